"""Records and runs joined: what is recorded, what is running, and what ended while nobody looked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio.backends.local import LocalBackend
from studio.core.references import Ref
from studio.inspection import handle_of, standing, standings
from studio.state.base import Record, RecordStatus, Run, RunStatus
from studio.state.lease import held
from studio.state.sql import SqlState, open_engine

JOB = Ref("FineTuningJob", "train")
RECORD = Record(Ref("Dataset", "tickets"), "uid", {}, {}, "f" * 64, {}, RecordStatus.READY)
RUN = Run("key", 1, "default", JOB, "f" * 64, "local", RunStatus.SUBMITTED, {"folder": "x"}, submitted_at="2024-01-01")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqlState]:
    engine = open_engine("sqlite:///state.db", tmp_path)
    with held(engine, "default", "studio apply") as found:
        yield found
    engine.dispose()


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "runs", dict(os.environ))


def test_every_recorded_or_running_resource_has_a_standing_in_order(state: SqlState, backend: LocalBackend) -> None:
    state.save_run(RUN)
    state.save_record(RECORD)
    found = standings(state, backend)
    assert [str(each.ref) for each in found] == ["Dataset/tickets", "FineTuningJob/train"]
    assert [each.state for each in found] == ["ready", "submitted"]


def test_only_the_latest_run_counts(state: SqlState, backend: LocalBackend) -> None:
    state.save_run(replace(RUN, status=RunStatus.FAILED))
    state.save_run(replace(RUN, attempt=2, submitted_at="2024-01-02", status=RunStatus.SUCCEEDED))
    [found] = standings(state, backend)
    assert found.run is not None and found.run.attempt == 2 and found.state == "succeeded"


def test_a_run_that_the_backend_does_not_know_has_no_live_status(backend: LocalBackend) -> None:
    assert standing(JOB, None, RUN, backend).live is None


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_that_ended_is_not_asked_for(backend: LocalBackend, status: RunStatus) -> None:
    found = standing(JOB, None, replace(RUN, status=status), backend)
    assert found.live is None and found.state == status.value


def test_a_runs_handle_is_what_the_backend_gave() -> None:
    handle = handle_of(RUN)
    assert (handle.key, handle.attempt, handle.details) == ("key", 1, {"folder": "x"})
