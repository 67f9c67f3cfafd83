"""State as the guide's JSON: what is exported comes back, whoever wrote it, and what cannot come in is said."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core.errors import UsageError
from studio.core.references import Ref
from studio.state.base import Artifact, Operation, Record, RecordStatus, Run, RunStatus
from studio.state.cells import Fault
from studio.state.guide import KIND_OF, TABLES
from studio.state.interchange import MAX_BYTES, Incoming, Snapshot, parse, read, to_text
from studio.state.lease import held
from studio.state.sql import SqlState, open_engine
from studio.workflow.transferring import _record as as_record

from .guide_databases import Row, databases, exported_by_the_guide, imported_by_the_guide, row
from .test_sql import artifacts, operations, records, runs

FOLDERS = count()


def unique(values: st.SearchStrategy[Any], key: Callable[[Any], Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=4, unique_by=key).map(tuple)


snapshots = st.builds(
    Snapshot,
    unique(records, lambda each: each.ref),
    unique(artifacts, lambda each: (each.kind, each.fingerprint)),
    unique(runs, lambda each: (each.key, each.attempt)),
    unique(operations, lambda each: each.id),
)


@contextmanager
def empty(root: Path) -> Iterator[SqlState]:
    engine = open_engine(f"sqlite:///{next(FOLDERS)}.db", root)
    try:
        with held(engine, "default", "studio apply") as state:
            yield state
    finally:
        engine.dispose()


def taken_from(state: SqlState) -> Snapshot:
    return Snapshot(
        tuple(state.records().values()), tuple(state.artifacts()), tuple(state.runs()), tuple(state.operations(999))
    )


def given_to(state: SqlState, snapshot: Snapshot) -> None:
    state.restore(snapshot.records, snapshot.artifacts, snapshot.runs, snapshot.operations)


def document(text: str) -> Incoming:
    return read(parse(text.encode()), "default", (), {})


def guide_rows(text: str) -> dict[str, list[Row]]:
    found = json.loads(text)
    return {name: sorted(found[name]["data"], key=lambda each: str(each["id"])) for name in TABLES}


# Our own states


@pytest.mark.slow
@settings(max_examples=60)
@given(snapshots)
def test_a_state_comes_back_as_it_was_and_is_exported_to_the_same_bytes(tmp_path: Path, snapshot: Snapshot) -> None:
    with empty(tmp_path) as first, empty(tmp_path) as second:
        given_to(first, snapshot)
        text = to_text(taken_from(first))
        incoming = document(text)
        assert incoming.faults == incoming.notes == incoming.found == ()
        given_to(second, incoming.snapshot)
        assert second.records() == first.records()
        assert second.artifacts() == first.artifacts()
        assert to_text(taken_from(second)) == text


@settings(max_examples=60)
@given(snapshots)
def test_the_old_studio_imports_every_row_of_an_export(snapshot: Snapshot) -> None:
    distinct = {(each.ref.kind, each.uid): each for each in snapshot.records}  # the guide's ids are primary keys
    text = to_text(replace(snapshot, records=tuple(distinct.values())))
    database, log = imported_by_the_guide(text)
    assert log == []
    for name, rows in guide_rows(text).items():
        assert len(rows) == database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]


def test_a_state_goes_from_one_database_to_another(state_url: str, tmp_path: Path) -> None:
    values = {"n": 2**60, "f": 0.1, "t": "\u4e2d\n", "b": True, "z": None, "l": [1, {"a": []}]}
    record = replace(RECORD, spec=values, facts=values, outcome={"output": values}, inputs={"a": "b"})
    job = Ref("FineTuningJob", "j")
    made = Artifact("FineTuningJob", "f" * 64, values, "key", "dir", "", "", 1.5, {"cpu": 1}, "t", {"device": "cpu"})
    run = Run("key", 1, "default", job, "f" * 64, "local", RunStatus.SUCCEEDED, values, filing=values)
    operation = Operation(
        str(uuid.uuid4()), "default", "apply", "ada", "c", "s", "e", "succeeded", {"Dataset/a": "done"}
    )
    snapshot = Snapshot((record,), (made,), (run,), (operation,))
    engine = open_engine(state_url, tmp_path)
    with held(engine, "default", "studio state import") as state:
        for _ in range(2):  # what is there already stays as it is
            given_to(state, document(to_text(snapshot)).snapshot)
        assert to_text(taken_from(state)) == to_text(snapshot)
        assert state.operations(sys.maxsize) == [operation] and state.records()[record.ref] == record
    engine.dispose()


def test_tokens_are_not_exported(tmp_path: Path) -> None:
    token = "hf_" + "a" * 30
    record = Record(Ref("Dataset", "a"), "u", {"location": token}, {}, "", {}, RecordStatus.READY, error=f"{token}!")
    text = to_text(Snapshot((record,)))
    assert token not in text and document(text).snapshot.records[0].error == "***!"


# Databases of the old studio


@settings(max_examples=80)
@given(databases())
def test_a_database_of_the_old_studio_goes_in_and_comes_out_as_it_was(tables: dict[str, list[Row]]) -> None:
    incoming = document(exported_by_the_guide(tables))
    assert incoming.faults == ()
    made = tuple(as_record(found, "") for found in incoming.found)
    assert len({record.ref for record in made}) == len(made)
    text = to_text(Snapshot(made))
    assert guide_rows(text) == {name: sorted(rows, key=lambda each: each["id"]) for name, rows in tables.items()}
    again = document(text)
    assert again.snapshot.records == tuple(sorted(made, key=lambda each: each.ref)) and again.faults == ()


@settings(max_examples=30)
@given(databases(), st.randoms(use_true_random=False))
def test_names_do_not_depend_on_the_order_of_rows(tables: dict[str, list[Row]], random: Any) -> None:
    shuffled = {name: random.sample(rows, len(rows)) for name, rows in tables.items() if name != "evaluation_jobs"}
    names = [
        {found.uid: found.resource.ref for found in document(exported_by_the_guide(each)).found}
        for each in ({**tables, "evaluation_jobs": []}, shuffled)
    ]
    assert names[0] == names[1]


def studio(**changes: Any) -> dict[str, list[Row]]:
    """A small database with one row of everything; ``changes`` are columns of tables."""
    tables = {
        "models": [row("models", id="m", type="huggingface", name="Llama 2", huggingface_model_name="meta/llama")],
        "datasets": [row("datasets", id="d", type="project_csv", name="Data", location="a.csv", features='["q", "a"]')],
        "prompts": [row("prompts", id="p", type="in_place", name="Ask", dataset_id="d", prompt_template="{q}")],
        "configs": [row("configs", id="c", type="lora_config", description="small", config='{"r": 8}', is_default=0)],
        "fine_tuning_jobs": [
            row(
                "fine_tuning_jobs", id="j", base_model_id="m", dataset_id="d", prompt_id="p", adapter_id="a",
                lora_config_id="c", lora_config='{"r": 8}', adapter_name="Router", num_epochs=2, learning_rate=0.1,
                cml_job_id="cml-7", framework_type="legacy",
            )
        ],
        "adapters": [
            row("adapters", id="a", type="project", name="Router!", model_id="m", location="x", fine_tuning_job_id="j")
        ],
        "evaluation_jobs": [
            row("evaluation_jobs", id="e1", parent_job_id="e", base_model_id="m", dataset_id="d", prompt_id="p"),
            row("evaluation_jobs", id="e2", parent_job_id="e", base_model_id="m", dataset_id="d", prompt_id="p",
                adapter_id="a"),
        ],
    }  # fmt: skip
    for table, values in changes.items():
        tables[table][-1] |= values
    return tables


def imported(tables: dict[str, list[Row]]) -> dict[str, dict[str, Any]]:
    incoming = document(exported_by_the_guide(tables))
    assert incoming.faults == ()
    return {str(each.resource.ref): each.resource.spec.model_dump(exclude_defaults=True) for each in incoming.found}


def test_ids_become_names_and_what_the_columns_say_becomes_the_spec() -> None:
    found = imported(studio())
    assert found == {
        "Model/llama-2": {"type": "huggingface", "huggingface_model_name": "meta/llama"},
        "Dataset/data": {"type": "project_csv", "location": "a.csv", "features": ("q", "a")},
        "Config/lora-config-small": {"type": "lora_config", "config": {"r": 8}},
        "Prompt/ask": {"dataset": "data", "prompt_template": "{q}"},
        "FineTuningJob/router": {
            "base_model": "llama-2", "dataset": "data", "prompt": "ask", "adapter_name": "router",
            "lora_config": "lora-config-small", "num_epochs": 2, "learning_rate": 0.1,
        },
        "Adapter/router": {"type": "project", "model": "llama-2", "location": "x", "fine_tuning_job": "router"},
        "EvaluationJob/evaluation": {
            "model_adapter_combinations": ({"base_model": "llama-2"}, {"base_model": "llama-2", "adapter": "router"}),
            "dataset": "data", "prompt": "ask",
        },
    }  # fmt: skip
    incoming = document(exported_by_the_guide(studio()))
    titles = {each.uid: each.resource.metadata.title for each in incoming.found}
    assert titles == {"m": "Llama 2", "d": "Data", "c": "", "p": "Ask", "j": "", "a": "Router!", "e": ""}


def test_the_snapshot_of_a_job_counts_where_its_config_has_changed_or_gone() -> None:
    changed = document(exported_by_the_guide(studio(configs={"config": '{"r": 64}'})))
    job = next(each.resource for each in changed.found if each.uid == "j")
    assert job.spec.model_dump()["lora_config"] == {"r": 8}
    assert [note.reason for note in changed.notes] == [
        "lora_config is not what Config/lora-config-small says now; taken from the job"
    ]
    gone = document(exported_by_the_guide(studio(fine_tuning_jobs={"lora_config_id": "zzz"})))
    job = next(each.resource for each in gone.found if each.uid == "j")
    assert job.spec.model_dump()["lora_config"] == {"r": 8}
    assert [note.reason for note in gone.notes] == ["lora_config_id zzz is no row of configs; left out"]


@pytest.mark.parametrize(
    ("table", "values", "reason"),
    [
        ("datasets", {"features": "{"}, "features is not JSON"),
        ("datasets", {"features": '{"a": 1}'}, "features is not a JSON list of names"),
        ("datasets", {"features": "[" * 100_000}, "features is not JSON"),
        ("datasets", {"name": ["a"]}, "name is not text"),
        ("datasets", {"name": "a\0b"}, "name holds a NUL character"),
        ("datasets", {"name": "a\ud800"}, "name holds half of a character"),
        ("datasets", {"location": "hf_" + "a" * 30}, "location holds what looks like a Hugging Face token"),
        ("datasets", {"location": "http://me:secret@host"}, "location holds what looks like a password in a URL"),
        ("datasets", {"id": ""}, "it has no id"),
        ("datasets", {"id": 7}, "id is not text"),
        ("datasets", {"id": "x" * 37}, "id has more than 36 characters"),
        ("models", {"name": {"a": 1}}, "name is not text"),
        ("configs", {"config": ""}, "config is empty"),
        ("configs", {"config": "[1]"}, "config is not a JSON object"),
        ("configs", {"config": '{"r": NaN}'}, "config is not JSON"),
        ("configs", {"config": '{"a":' * 200 + "1" + "}" * 200}, "config is nested more than 150 levels deep"),
        ("configs", {"config": '{"api_key": "x"}'}, "config holds a secret under 'api_key'"),
        ("configs", {"is_default": "yes"}, "is_default is not a whole number"),
        ("prompts", {"dataset_id": "gone"}, "dataset_id gone is no row of datasets"),
        ("prompts", {"dataset_id": None}, "dataset_id is empty"),
        ("fine_tuning_jobs", {"num_cpu": True}, "num_cpu is not a whole number"),
        ("fine_tuning_jobs", {"num_cpu": 1.5}, "num_cpu is not a whole number"),
        ("fine_tuning_jobs", {"learning_rate": "fast"}, "learning_rate is not a number"),
        ("fine_tuning_jobs", {"base_model_id": "gone"}, "base_model_id gone is no row of models"),
        ("fine_tuning_jobs", {"lora_config": "{'r': 8}"}, "lora_config is not JSON"),
        ("adapters", {"model_id": None}, "model_id is empty"),
        ("evaluation_jobs", {"adapter_id": "gone"}, "adapter_id gone is no row of adapters"),
        ("evaluation_jobs", {"prompt_id": "q"}, "rows of parent_job_id e differ in prompt_id"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_imported_is_listed_with_the_reason(table: str, values: Row, reason: str) -> None:
    tables = studio(**{table: values})
    incoming = document(exported_by_the_guide(tables))
    own = [fault for fault in incoming.faults if fault.table == table]
    assert own and reason in own[0].reason
    dealt_with = {row["id"] for found in incoming.found for row in found.rows} | {fault.id for fault in incoming.faults}
    every = {
        row["id"] if row["id"] and isinstance(row["id"], str) else "row 1" for rows in tables.values() for row in rows
    }
    assert dealt_with == every


def test_what_needs_a_row_that_failed_fails_too_and_says_so() -> None:
    incoming = document(exported_by_the_guide(studio(datasets={"features": "{"})))
    assert [str(fault.table) for fault in incoming.faults] == [
        "datasets", "evaluation_jobs", "evaluation_jobs", "fine_tuning_jobs", "prompts",
    ]  # fmt: skip
    assert Fault("prompts", "p", "dataset_id d was not imported") in incoming.faults
    assert {note.reason for note in incoming.notes} == {"fine_tuning_job_id j was not imported; left out"}


def test_an_id_belongs_to_one_resource_of_any_kind() -> None:
    tables = {"models": [row("models", id="x", name="m")], "datasets": [row("datasets", id="x", name="d")]}
    incoming = document(exported_by_the_guide(tables))
    assert incoming.faults == (Fault("datasets", "x", "the id x is that of a Model"),)
    taken = read(parse(exported_by_the_guide({"datasets": tables["datasets"]}).encode()), "default", (),
                 {("Prompt", "x"): Ref("Prompt", "p")})  # fmt: skip
    assert taken.faults == (Fault("datasets", "x", "the id x is that of a Prompt"),) and taken.found == ()


def test_strange_rows_tables_and_columns_are_not_passed_over() -> None:
    tables: dict[str, list[Any]] = {
        "models": [7, row("models", id="m"), row("models", id="m"), {**row("models", id="n"), "licence": "MIT"}],
        "users": [{"id": 1}, {"id": 2}],
    }
    incoming = document(exported_by_the_guide(tables))
    assert incoming.faults == (
        Fault("models", "m", "the id stands twice in the table"),
        Fault("models", "row 1", "the row is not a mapping of columns to values"),
        Fault("users", "2 rows", "no such table in the guide"),
    )
    assert incoming.notes == (Fault("models", "n", "licence: no such column in the guide; kept with the record"),)
    assert [found.uid for found in incoming.found] == ["m", "n"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "none of the guide's tables"),
        ('{"models": 7}', "table 'models' has no list of rows"),
        ('{"models": {"data": {}}}', "table 'models' has no list of rows"),
        ('{"models": {"data": []}, "models": {"data": []}}', "the key 'models' stands twice"),
        ('{"models": {"data": [{"id": "a", "id": "b"}]}}', "the key 'id' stands twice"),
        ('{"models": {"data": [NaN]}}', "NaN is not JSON"),
        ("[" * 200_000, "is not JSON"),
        ('{"models": {"data": []}, "studio_format": {"data": [{"format": 2}]}}', "is not of format 1"),
    ],
)
def test_a_file_that_is_no_export_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        document(text)
    assert words in error.value.message and error.value.hint


def test_a_file_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(UsageError, match="more than 256 MiB"):
        parse(b" " * (MAX_BYTES + 1))


RECORD = Record(Ref("Dataset", "a"), "u", {"location": "x"}, {"name": "a"}, "f" * 64, {}, RecordStatus.READY)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"kind": "Gizmo"}, "there is no kind 'Gizmo'"),
        ({"spec": "7"}, "spec is not a JSON object"),
        ({"spec": {}}, "spec is not text"),
        ({"status": "perhaps"}, "status: Input should be"),
        ({"uid": "u" * 37}, "uid has more than 36 characters"),
        ({"uid": None}, "uid is empty"),
        ({"extra": 1}, "columns are missing or too many: extra"),
        ({"spec": '{"a": "\\u0000"}'}, "spec holds a NUL character"),
        ({"inputs": '{"a": 7}'}, "inputs.a: Input should be a valid string"),
    ],
)
def test_a_record_that_was_tampered_with_is_listed(values: Row, reason: str) -> None:
    exported = json.loads(to_text(Snapshot((RECORD,))))
    exported["studio_records"]["data"][0] |= values
    incoming = document(json.dumps(exported))
    fault = next(each for each in incoming.faults if each.table == "studio_records")
    assert reason in fault.reason and incoming.snapshot.records == ()


def test_an_export_of_before_a_column_was_added_is_read(tmp_path: Path) -> None:
    exported = json.loads(to_text(Snapshot((replace(RECORD, source="a.yaml"),))))
    del exported["studio_records"]["data"][0]["source"]
    assert document(json.dumps(exported)).snapshot.records == (RECORD,)
    del exported["studio_records"]["data"][0]["uid"]
    (fault,) = (each for each in document(json.dumps(exported)).faults if each.table == "studio_records")
    assert fault.reason == "columns are missing or too many: uid"


def test_a_row_of_ours_that_the_old_studio_changed_is_listed_and_a_new_one_is_imported() -> None:
    exported = json.loads(to_text(Snapshot((RECORD,))))
    exported["datasets"]["data"][0]["location"] = "elsewhere"
    exported["prompts"]["data"].append(row("prompts", id="p", name="new", dataset_id="u"))
    incoming = document(json.dumps(exported))
    assert incoming.faults == (Fault("datasets", "u", "the row was changed, and its record in studio_records was not"),)
    assert incoming.snapshot.records == (RECORD,)
    assert [each.resource.spec.model_dump(exclude_defaults=True) for each in incoming.found] == [{"dataset": "a"}]


def test_what_the_old_studio_made_of_our_adapter_is_imported() -> None:
    output = {"task": "training", "adapter": "x", "digest": "d"}
    job = replace(
        RECORD, ref=Ref("FineTuningJob", "j"), uid="j", spec={"adapter_name": "router"}, outcome={"output": output}
    )
    ask, model = replace(RECORD, ref=Ref("Prompt", "ask"), uid="p"), replace(RECORD, ref=Ref("Model", "tiny"), uid="m")
    exported = json.loads(to_text(Snapshot((RECORD, job, ask, model))))
    (adapter,) = exported["adapters"]["data"]
    added = row("evaluation_jobs", id="e", base_model_id="m", dataset_id="u", prompt_id="p", adapter_id=adapter["id"])
    exported["evaluation_jobs"]["data"].append(added)
    incoming = document(json.dumps(exported))
    assert incoming.faults == () and [each.uid for each in incoming.found] == ["e"]
    assert incoming.found[0].resource.spec.model_dump()["model_adapter_combinations"] == (
        {"base_model": "tiny", "adapter": "router"},
    )


def test_every_kind_of_the_guide_has_a_table() -> None:
    assert set(KIND_OF) == set(TABLES) and all(table in TABLES for table in KIND_OF)
