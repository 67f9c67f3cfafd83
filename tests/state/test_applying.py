"""The apply loop on both databases, through failures of jobs, of locks and of connections."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.apply.outcome import Ending
from studio.backends import BACKENDS
from studio.core.errors import LeaseLostError, StudioError
from studio.plan.actions import Verb
from studio.state import transactions
from studio.state.base import Lease, RunStatus
from studio.state.sql import SqlState, open_engine
from studio.workflow import places
from tests.fakes.backend import CountingBackend, failed
from tests.fakes.wire import Wire, wire
from tests.postgresql import Server
from tests.state.players import broken
from tests.test_apply import EVALUATION, QUICKSTART, ROUTER, Project


def project_at(url: str, root: Path, patch: pytest.MonkeyPatch) -> Project:
    """The quickstart with its state at ``url``."""
    shutil.copytree(QUICKSTART, root, ignore=shutil.ignore_patterns(".studio", "build"))
    settings = root / "studio.yaml"
    lines = settings.read_text().splitlines(keepends=True)
    named = ["  state: {env: STUDIO_TEST_STATE}\n" if line.startswith("  state:") else line for line in lines]
    settings.write_text("".join(named))
    backend = CountingBackend(root)
    patch.setenv("STUDIO_TEST_STATE", url)
    patch.setitem(BACKENDS, "local", lambda site: backend)
    patch.setattr(places, "pause", lambda _: None)
    return Project(root, backend)


@pytest.fixture
def project(state_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return project_at(state_url, tmp_path / "project", monkeypatch)


@pytest.fixture
def line(server: Server) -> Iterator[Wire]:
    with wire(server.port) as found:
        yield found


@pytest.fixture
def remote(server: Server, line: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose state is at the end of a wire."""
    url = server.database().replace(str(server.port), str(line.port))
    return project_at(url, tmp_path / "project", monkeypatch)


def test_apply_then_plan_is_empty_and_every_run_is_closed(project: Project) -> None:
    assert {outcome.ending for outcome in project.apply().values()} == {Ending.DONE}
    planned = project.plan()
    assert planned.plan.pending == () and len(project.backend.submissions) == 3
    assert [run.status for run in planned.state.runs()] == [RunStatus.SUCCEEDED] * 3
    assert [operation.outcome for operation in planned.state.operations()] == ["succeeded"]
    assert planned.state.lease() is None


def test_a_failed_job_is_recorded_and_retried(project: Project) -> None:
    project.backend.ends["router"] = failed("CUDA out of memory")
    assert project.apply()[EVALUATION].ending is Ending.BLOCKED
    planned = project.plan()
    assert planned.state.records()[ROUTER].error == "CUDA out of memory"
    assert next(action.verb for action in planned.plan.actions if action.ref == ROUTER) is Verb.RETRY
    del project.backend.ends["router"]
    project.apply()
    assert [run.attempt for run in project.plan().state.runs(ROUTER)] == [2, 1]


def test_an_ending_its_artifact_its_record_and_its_run_are_one_change(project: Project) -> None:
    serials = []

    def look(_: float) -> None:
        state = project.plan().state
        done = {run.ref for run in state.runs() if run.status is RunStatus.SUCCEEDED}
        assert done == {ref for ref, record in state.records().items() if record.outcome}
        serials.append(state.lineage().serial)

    project.backend.polls = 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "pause", look)
        project.apply()
    assert len(serials) > 3 and serials == sorted(serials)


def test_a_lock_that_is_taken_away_while_jobs_run_stops_the_loop_and_not_the_jobs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_LEASE_SECONDS", "2")
    engine = open_engine(places.state_url(project.plan().checked.loaded), project.root)
    project.backend.polls = 10**9
    taken: list[Lease | None] = []

    def pause(_: float) -> None:
        if not taken:
            taken.append(SqlState(engine, "default").lease())
            assert broken(engine, "default")

    monkeypatch.setattr(places, "pause", pause)
    with pytest.raises(LeaseLostError, match="taken over"):
        project.apply()
    assert taken[0] is not None and "'studio apply', process" in taken[0].holder
    project.backend.polls = 0
    project.apply()
    assert len(project.backend.submissions) == 3 and project.plan().plan.pending == ()
    engine.dispose()


def test_an_apply_survives_connections_that_break_at_every_pause(
    remote: Project, line: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "pause", lambda _: line.cut())
    remote.backend.polls = 4
    assert {outcome.ending for outcome in remote.apply().values()} == {Ending.DONE}
    assert line.cuts > 3 and len(remote.backend.submissions) == 3
    assert remote.plan().plan.pending == ()


def test_an_apply_whose_server_stays_away_ends_and_the_next_one_attaches(
    remote: Project, line: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go_away(_: float) -> None:
        line.is_down = True
        line.cut()

    monkeypatch.setattr(transactions, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setenv("STUDIO_LEASE_SECONDS", "2")
    monkeypatch.setattr(places, "pause", go_away)
    remote.backend.polls = 2
    with pytest.raises(StudioError, match="the state at postgresql"):
        remote.apply()
    assert len(remote.backend.submissions) == 1
    line.is_down = False
    monkeypatch.setattr(places, "pause", lambda _: None)
    while remote.plan().state.lease():  # it could not be given back
        time.sleep(0.1)
    remote.apply()
    assert len(remote.backend.submissions) == 3 and remote.plan().plan.pending == ()
