"""What is written is read back, by environment, and only what holds the lease can write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core.references import Ref
from studio.state.base import Artifact, Lineage, Operation, Record, RecordStatus, Run, RunStatus
from studio.state.lease import held
from studio.state.sql import EmptyState, SqlState, open_engine, open_reader

URL = "sqlite:///.studio/state.db"
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), text),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
mappings = st.dictionaries(text, values, max_size=3)
refs = st.builds(Ref, st.sampled_from(["Dataset", "FineTuningJob"]), st.text("abc-", min_size=1, max_size=5))
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
records = st.builds(
    Record, refs, text, mappings, mappings, digests, st.dictionaries(text, text, max_size=3),
    st.sampled_from(RecordStatus), mappings, mappings, text, text, text, text, text,
)  # fmt: skip
artifacts = st.builds(
    Artifact, st.sampled_from(["FineTuningJob", "ModelExport"]), digests, mappings, text, text, text, text,
    st.floats(0, 1e9), mappings, text,
)  # fmt: skip
runs = st.builds(
    Run, text, st.integers(1, 99), st.just("default"), refs, digests, text, st.sampled_from(RunStatus), mappings, text,
    text, text,
)  # fmt: skip
operations = st.builds(Operation, st.uuids().map(str), st.just("default"), text, text, text, text, text, text, mappings)


@contextmanager
def writing(url: str, root: Path, environment: str = "default") -> Iterator[SqlState]:
    engine = open_engine(url, root)
    try:
        with held(engine, environment, "studio apply") as state:
            yield state
    finally:
        engine.dispose()


@pytest.fixture
def state(state_url: str, tmp_path: Path) -> Iterator[SqlState]:
    with writing(state_url, tmp_path) as found:
        yield found


def record(name: str, **values: Any) -> Record:
    return Record(Ref("Dataset", name), "uid", {}, {}, "f" * 64, {}, RecordStatus.READY, **values)


def run(key: str, attempt: int, submitted_at: str, **values: Any) -> Run:
    made = Run(key, attempt, "default", Ref("FineTuningJob", key), "f" * 64, "local", RunStatus.INTENT)
    return replace(made, submitted_at=submitted_at, **values)


# Round trips


@settings(max_examples=60)
@given(records)
def test_a_record_is_read_back_as_it_was_written(state: SqlState, one: Record) -> None:
    state.save_record(one)
    assert state.records()[one.ref] == one


@settings(max_examples=60)
@given(artifacts)
def test_an_artifact_is_read_back_as_it_was_written(state: SqlState, one: Artifact) -> None:
    state.save_artifact(one)
    assert state.artifact(one.kind, one.fingerprint) == one
    assert one.fingerprint in state.outputs(one.kind)


@settings(max_examples=60)
@given(runs)
def test_a_run_is_read_back_as_it_was_written(state: SqlState, one: Run) -> None:
    state.save_run(one)
    assert one in state.runs() and one in state.runs(one.ref) and one in state.attempts(one.key)


@settings(max_examples=40)
@given(operations)
def test_an_operation_is_read_back_as_it_was_written(state: SqlState, one: Operation) -> None:
    state.save_operation(one)
    assert one in state.operations(limit=1000)


def test_what_a_database_cannot_hold_is_kept_in_json_and_replaced_in_text(state: SqlState) -> None:
    odd = {"\0": "\ud800", "loss": [float("inf"), -float("inf")]}
    state.save_record(replace(record("a"), facts=odd, error="cut \0 here"))
    found = state.records()[Ref("Dataset", "a")]
    assert found.facts == odd and found.error == "cut \N{REPLACEMENT CHARACTER} here"


# Replacing, deleting, ordering


def test_saving_again_replaces(state: SqlState) -> None:
    for description in ("first", "second"):
        state.save_record(replace(record("a"), metadata={"description": description}))
    assert [each.metadata for each in state.records().values()] == [{"description": "second"}]


def test_a_deleted_record_is_gone_and_the_others_stay(state: SqlState) -> None:
    for name in "ab":
        state.save_record(record(name))
    state.delete_record(Ref("Dataset", "a"))
    assert list(state.records()) == [Ref("Dataset", "b")]


def test_records_are_sorted_and_runs_are_newest_first(state: SqlState) -> None:
    for name in "cab":
        state.save_record(record(name))
    for key, attempt, when in (("x", 1, "2024-01-01"), ("y", 1, "2024-01-03"), ("x", 2, "2024-01-02")):
        state.save_run(run(key, attempt, when))
    assert [ref.name for ref in state.records()] == ["a", "b", "c"]
    assert [(each.key, each.attempt) for each in state.runs()] == [("y", 1), ("x", 2), ("x", 1)]
    assert [each.attempt for each in state.attempts("x")] == [2, 1]
    assert [each.key for each in state.runs(Ref("FineTuningJob", "y"))] == ["y"]


def test_only_runs_that_have_not_ended_are_active(state: SqlState) -> None:
    for status in RunStatus:
        state.save_run(replace(run(status.value, 1, "2024-01-01"), status=status))
    assert [each.status for each in state.active()] == [RunStatus.INTENT, RunStatus.SUBMITTED]
    assert EmptyState().active() == []


def test_only_the_latest_operations_are_given(state: SqlState) -> None:
    for day in range(1, 6):
        state.save_operation(Operation(str(day), "default", "apply", "me", "", f"2024-01-0{day}"))
    assert [each.id for each in state.operations(limit=2)] == ["5", "4"]


def test_every_write_counts_the_serial_and_the_lineage_stays(state: SqlState) -> None:
    assert state.lineage() == Lineage("", 0)
    state.save_record(record("a"))
    first = state.lineage()
    state.save_record(record("b"))
    state.delete_record(Ref("Dataset", "a"))
    assert (first.serial, state.lineage().serial) == (1, 3)
    assert first.id == state.lineage().id and len(first.id) == 36


# Environments


def test_records_belong_to_an_environment_and_artifacts_to_all(state_url: str, tmp_path: Path) -> None:
    made = Artifact("FineTuningJob", "f" * 64, {"adapter": "x"}, "key", "dir", "", "", 1.0, {}, "now")
    with writing(state_url, tmp_path, "dev") as dev:
        dev.save_record(record("a"))
        dev.save_artifact(made)
        dev.save_run(run("key", 1, "2024"))
    with writing(state_url, tmp_path, "prod") as prod:
        assert prod.records() == {} and prod.operations() == []
        assert prod.artifact("FineTuningJob", "f" * 64) == made
        prod.save_record(record("b"))
        assert prod.lineage().serial == 1
    with writing(state_url, tmp_path, "dev") as dev:
        assert list(dev.records()) == [Ref("Dataset", "a")]


# Reading only


def test_reading_where_nothing_is_recorded_creates_nothing(tmp_path: Path) -> None:
    found = open_reader(URL, tmp_path, "default")
    assert isinstance(found, EmptyState) and list(tmp_path.iterdir()) == []
    ref = Ref("Dataset", "a")
    assert (found.lineage(), found.records(), found.lease(), found.artifact("x", "y")) == (
        Lineage("", 0),
        {},
        None,
        None,
    )
    assert found.runs() == found.runs(ref) == found.attempts("x") == found.operations() == []
    assert found.outputs("FineTuningJob") == {}


def test_an_empty_file_in_place_of_the_state_is_an_empty_state(tmp_path: Path) -> None:
    (tmp_path / ".studio").mkdir()
    (tmp_path / ".studio" / "state.db").touch()
    assert isinstance(open_reader(URL, tmp_path, "default"), EmptyState)


def test_a_reader_sees_what_was_written_and_cannot_write(state_url: str, tmp_path: Path) -> None:
    with writing(state_url, tmp_path) as state:
        state.save_record(record("a"))
    reader = open_reader(state_url, tmp_path, "default")
    assert isinstance(reader, SqlState) and list(reader.records()) == [Ref("Dataset", "a")]
    with pytest.raises(AssertionError, match="opened for reading"):
        reader.save_record(record("b"))
    reader.engine.dispose()


def test_a_write_that_fails_leaves_nothing_behind(state: SqlState) -> None:
    state.save_record(record("a"))
    before = state.lineage()
    with pytest.raises(Exception, match="JSON serializable"):
        state.save_record(replace(record("b"), spec={"x": object()}))
    assert list(state.records()) == [Ref("Dataset", "a")] and state.lineage() == before


# Several writes at once


def test_writes_together_are_one_change_and_what_is_read_inside_sees_them(state: SqlState) -> None:
    state.save_record(record("a"))
    before = state.lineage().serial
    with state.together():
        state.delete_record(Ref("Dataset", "a"))
        state.save_record(record("b"))
        assert [ref.name for ref in state.records()] == ["b"]
    assert [ref.name for ref in state.records()] == ["b"]
    assert state.lineage().serial == before + 1


def test_together_without_a_write_is_no_change(state: SqlState) -> None:
    state.save_record(record("a"))
    before = state.lineage()
    with state.together():
        assert list(state.records()) == [Ref("Dataset", "a")]
    with state.together():
        state.save_records([])
    assert state.lineage() == before


def test_together_inside_together_is_one_transaction(state: SqlState) -> None:
    with pytest.raises(ZeroDivisionError), state.together():
        with state.together():
            state.save_records([record("a"), record("b")])
        raise ZeroDivisionError
    assert state.records() == {}


def test_many_records_at_once_are_one_change(state: SqlState) -> None:
    state.save_records(record(f"r{n:03}") for n in range(300))
    state.save_records(replace(record(f"r{n:03}"), error="again") for n in range(200))
    assert [each.error for each in state.records().values()] == ["again"] * 200 + [""] * 100
    assert state.lineage().serial == 2


def test_of_writes_together_none_happens_when_one_fails(state: SqlState) -> None:
    state.save_record(record("a"))
    before = state.lineage()
    with pytest.raises(ZeroDivisionError), state.together():
        state.delete_record(Ref("Dataset", "a"))
        raise ZeroDivisionError
    assert [ref.name for ref in state.records()] == ["a"] and state.lineage() == before
    state.save_record(record("c"))
    assert [ref.name for ref in state.records()] == ["a", "c"]
