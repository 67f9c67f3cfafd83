"""Records as rows of the guide's tables. Total: whatever a record holds, there is a row of plain values for it."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from studio.core.fingerprints import digest
from studio.core.references import Ref
from studio.state.base import Record
from studio.state.guide import KIND_OF, TABLE_OF, TABLES

Row = dict[str, Any]
IMPORTED = "imported"
"""Under this key of its outcome a record keeps the guide's rows that it was made from."""
ADAPTER = "adapter"
JOB_CONFIGS = {
    "training_arguments_config": "training_arguments",
    "model_bnb_config": "bitsandbytes_config",
    "adapter_bnb_config": "bitsandbytes_config",
    "lora_config": "lora_config",
    "axolotl_config": "axolotl",
    "user_config": "custom",
}
EVALUATION_CONFIGS = {
    "model_bnb_config": "bitsandbytes_config",
    "adapter_bnb_config": "bitsandbytes_config",
    "generation_config": "generation_config",
}
"""Fields of jobs that take a Config, with its type; the guide's columns are these names, and these with ``_id``."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The uids behind names; ``produced`` are the adapters that jobs left without a record of their own."""

    records: Mapping[Ref, Record]
    produced: Mapping[str, str]

    def uid(self, table: str, name: Any) -> str | None:
        record = self.records.get(Ref(KIND_OF[table], name)) if isinstance(name, str) else None
        return record.uid if record else None

    def adapter(self, name: Any) -> str | None:
        return self.uid("adapters", name) or (self.produced.get(name) if isinstance(name, str) else None)


def tables(records: Mapping[Ref, Record]) -> dict[str, list[Row]]:
    """Every table with its rows, by kind and name of the records; an evaluation's baseline comes first."""
    found: dict[str, list[Row]] = {table: [] for table in TABLES}
    by_name = {name: uid for uid, name in sorted(produced(records.values()).items(), reverse=True)}
    known = _Known(records, by_name)
    for _, record in sorted(records.items()):
        for table, row in _rows(record, known):
            found[table].append(row)
    return found


def produced(records: Iterable[Record]) -> dict[str, str]:
    """Ids of the rows of adapters that jobs left, with their names; no record is their own."""
    jobs = (each for each in records if each.ref.kind == "FineTuningJob" and "adapter" in _output(each))
    return {made_id(job.uid, ADAPTER): str(job.spec.get("adapter_name")) for job in jobs}


def said(spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """Digest of what a record says; unchanged since the import, its rows are the guide's own."""
    return digest({"spec": spec, "metadata": metadata})


def made_id(uid: str, part: str | int) -> str:
    """The id of a row that is part of a record: always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{uid}/{part}"))


def _rows(record: Record, known: _Known) -> Iterator[tuple[str, Row]]:
    table = TABLE_OF.get(record.ref.kind)
    if table is None:
        return
    origin = _origin(record)
    kept = [row for row in origin.get("rows", ()) if isinstance(row, dict)]
    if kept and origin.get("said") == said(record.spec, record.metadata):
        yield from ((table, _plain(table, row)) for row in kept)
        return
    earlier = iter(kept)
    for where, row in _made(record, known):
        before = next(earlier, {}) if where == table else {}
        filled = {column: before.get(column) if value is None else value for column, value in row.items()}
        yield where, _plain(where, filled)


def _origin(record: Record) -> dict[str, Any]:
    found = record.outcome.get(IMPORTED)
    return found if isinstance(found, dict) and isinstance(found.get("rows"), list) else {}


def _made(record: Record, known: _Known) -> Iterator[tuple[str, Row]]:
    match record.ref.kind:
        case "FineTuningJob":
            yield from _training(record, known)
        case "EvaluationJob":
            yield from (("evaluation_jobs", row) for row in _evaluation(record, known))
        case kind:
            yield TABLE_OF[kind], _data(record, known)


def _data(record: Record, known: _Known) -> Row:
    """Kinds whose columns are fields of the same name, but for references, features and the blob of a Config."""
    table = TABLE_OF[record.ref.kind]
    row = {column.name: record.spec.get(column.name) for column in TABLES[table]}
    row |= {name: record.facts.get(name) for name in ("mlflow_experiment_id", "mlflow_run_id") if name in row}
    for column in TABLES[table]:
        if column.target:
            row[column.name] = known.uid(column.target, record.spec.get(column.name.removesuffix("_id")))
    row |= {"id": record.uid, "description": record.metadata.get("description")}
    match record.ref.kind:
        case "Dataset":
            features = record.facts.get("features") or record.spec.get("features")
            row["features"] = json.dumps(features) if features is not None else None
        case "Config":
            row["is_default"] = int(record.spec.get("default") is True)
            row["description"] = record.metadata.get("description") or record.ref.name
        case "Model":
            row["framework"] = record.spec.get("framework", "pytorch")
        case "Prompt":
            row |= {name: record.facts.get(name, row[name]) for name in row if name.endswith("_template")}
            row["type"] = record.spec.get("type", "in_place")
    if "name" in row:
        row["name"] = record.metadata.get("title") or record.ref.name
    return row


def _training(record: Record, known: _Known) -> Iterator[tuple[str, Row]]:
    spec, output = record.spec, _output(record)
    defaults = {"framework_type": "legacy", "num_workers": 1, "dataset_fraction": 1.0, "train_test_split": 0.9}
    row = {column.name: spec.get(column.name, defaults.get(column.name)) for column in TABLES["fine_tuning_jobs"]}
    row |= _configs(spec, JOB_CONFIGS, row, known) | _references(spec, known)
    name = spec.get("adapter_name")
    adapter = known.uid("adapters", name)
    row |= {"id": record.uid, "adapter_id": adapter}
    if adapter is None and isinstance(output.get("adapter"), str):
        row["adapter_id"] = made_id(record.uid, ADAPTER)
        yield "adapters", _produced(record, row, output["adapter"])
    row["num_gpu"] = spec.get("num_gpu", 0)
    yield "fine_tuning_jobs", row


def _produced(record: Record, job: Row, location: str) -> Row:
    """The adapter that a job left; the guide registers it as a resource of its own."""
    made: Row = dict.fromkeys(column.name for column in TABLES["adapters"])
    return made | {
        "id": job["adapter_id"],
        "type": "project",
        "name": job["adapter_name"],
        "model_id": job["base_model_id"],
        "location": location,
        "fine_tuning_job_id": record.uid,
        "prompt_id": job["prompt_id"],
        "mlflow_run_id": record.outcome.get("mlflow_run_id"),
    }


def _evaluation(record: Record, known: _Known) -> Iterator[Row]:
    """One row a combination, as the guide dispatches them; the parent is the job."""
    combinations = record.spec.get("model_adapter_combinations")
    given = [each for each in combinations if isinstance(each, dict)] if isinstance(combinations, list) else []
    for index, each in enumerate(given or [{}]):
        row = {column.name: record.spec.get(column.name) for column in TABLES["evaluation_jobs"]}
        row |= _configs(record.spec, EVALUATION_CONFIGS, row, known) | _references(record.spec, known)
        row |= {
            "id": made_id(record.uid, index),
            "type": record.spec.get("type", "mlflow"),
            "parent_job_id": record.uid,
            "base_model_id": known.uid("models", each.get("base_model")),
            "adapter_id": known.adapter(each.get("adapter")),
            "evaluation_dir": record.outcome.get("run_dir"),
        }
        yield row


def _configs(spec: Mapping[str, Any], fields: Iterable[str], row: Row, known: _Known) -> Row:
    """The id of a Config and a snapshot of its content, so that the row goes on to say what was used."""
    found: Row = {}
    for name in fields:
        value = spec.get(name)
        config = known.records.get(Ref("Config", value)) if isinstance(value, str) else None
        found[f"{name}_id"] = config.uid if config else None
        if name in row:
            found[name] = config.spec.get("config") if config else value
    return found


def _references(spec: Mapping[str, Any], known: _Known) -> Row:
    named = {"base_model_id": "models", "dataset_id": "datasets", "prompt_id": "prompts"}
    return {column: known.uid(table, spec.get(column.removesuffix("_id"))) for column, table in named.items()}


def _output(record: Record) -> dict[str, Any]:
    found = record.outcome.get("output")
    return found if isinstance(found, dict) else {}


def _plain(table: str, row: Mapping[str, Any]) -> Row:
    """The table's columns with values that a database column can hold."""
    return {column.name: _cell(row.get(column.name)) for column in TABLES[table]}


def _cell(value: Any) -> str | int | float | None:
    match value:
        case bool():
            return int(value)
        case None | str():
            return value
        case int() if abs(value) < 2**63:
            return value
        case float() if math.isfinite(value):
            return value
        case _:
            return json.dumps(value, sort_keys=True)
