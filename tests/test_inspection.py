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
from studio.resources.base import Metadata
from studio.resources.config import Config, ConfigSpec
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
    state.save_run(replace(RUN, status=RunStatus.CANCELLED))
    state.save_run(replace(RUN, attempt=2, submitted_at="2024-01-02", status=RunStatus.FAILED))
    [found] = standings(state, backend)
    assert found.run is not None and found.run.attempt == 2 and found.state == "failed"


def test_a_run_that_the_backend_does_not_know_has_no_live_status(backend: LocalBackend) -> None:
    assert standing(JOB, None, RUN, backend).live is None


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_that_ended_is_not_asked_for(backend: LocalBackend, status: RunStatus) -> None:
    found = standing(JOB, None, replace(RUN, status=status), backend)
    assert found.live is None and found.state == status.value


def test_what_was_made_and_deleted_is_not_applied_and_listed_only_while_it_is_declared(
    state: SqlState, backend: LocalBackend
) -> None:
    config = Config(metadata=Metadata(name="lora"), spec=ConfigSpec(type="lora_config", config={}))
    state.save_run(replace(RUN, ref=config.ref, status=RunStatus.SUCCEEDED))
    assert standings(state, backend) == []
    assert [each.state for each in standings(state, backend, {config.ref: config})] == ["not applied"]


def test_a_runs_handle_is_what_the_backend_gave(backend: LocalBackend) -> None:
    handle = handle_of(RUN, backend)
    assert handle and (handle.key, handle.attempt, handle.details) == ("key", 1, {"folder": "x"})
    assert handle_of(replace(RUN, handle={}), backend) is None  # an intent that never arrived


def test_a_backend_that_does_not_answer_leaves_the_rest_to_be_read(state: SqlState, tmp_path: Path) -> None:
    (tmp_path / "runs" / "key").mkdir(parents=True)
    (tmp_path / "runs" / "key" / "supervisor.json").write_text("{half")
    state.save_run(RUN)
    state.save_record(RECORD)
    first, second = standings(state, LocalBackend(tmp_path / "runs", {}))
    assert (first.state, second.state) == ("ready", "not known") and "cannot be read" in second.silence


def test_an_older_run_under_way_is_of_an_earlier_version(state: SqlState, backend: LocalBackend) -> None:
    state.save_run(RUN)
    state.save_run(replace(RUN, key="newer", submitted_at="2024-01-02", status=RunStatus.CANCELLED))
    latest, older = standings(state, backend)
    assert latest.run and older.run and (latest.run.key, older.run.key) == ("newer", "key")
    assert (latest.outdated, older.outdated) == (False, True)


@pytest.mark.parametrize(("updated", "outdated"), [("2023-12-31", False), ("2024-01-02", True)])
def test_a_run_is_outdated_once_another_version_is_recorded_after_it(
    backend: LocalBackend, updated: str, outdated: bool
) -> None:
    record = replace(RECORD, ref=JOB, fingerprint="e" * 64, updated_at=updated)
    assert standing(JOB, record, RUN, backend).outdated is outdated
    assert not standing(JOB, replace(record, fingerprint=RUN.fingerprint), RUN, backend).outdated


def test_a_cancelled_run_counts_until_something_newer_is_recorded(backend: LocalBackend) -> None:
    cancelled = replace(RUN, status=RunStatus.CANCELLED)
    older, newer = (replace(RECORD, ref=JOB, updated_at=when) for when in ("2023-12-31", "2024-01-02"))
    assert standing(JOB, older, cancelled, backend).state == "cancelled"
    assert standing(JOB, newer, cancelled, backend).state == "ready"


def test_what_is_declared_and_not_recorded_is_listed(state: SqlState, backend: LocalBackend) -> None:
    state.save_record(RECORD)
    config = Config(metadata=Metadata(name="lora"), spec=ConfigSpec(type="lora_config", config={}))
    assert [each.state for each in standings(state, backend, {config.ref: config})] == ["not applied", "ready"]
