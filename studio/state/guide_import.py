"""Rows of the guide's tables as resources. A row that cannot become one is reported, and so are those that need it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from studio.core.references import Ref
from studio.resources import KINDS
from studio.resources.base import API_VERSION, Resource, slug
from studio.state.cells import Fault, RowError, checked, mapping
from studio.state.guide import KIND_OF, TABLE_OF
from studio.state.guide_export import EVALUATION_CONFIGS, JOB_CONFIGS, Row

LONGEST_NAME = 200
"""Leaves room for what tells two resources of the same name apart."""
ORDER = ("models", "datasets", "configs", "prompts", "fine_tuning_jobs", "adapters", "evaluation_jobs")
"""A table comes after those whose rows its own cannot do without."""
Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A resource, the rows that it was made from, and what they say that no field holds."""

    resource: Resource
    uid: str
    rows: tuple[Row, ...]
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Reader:
    """Reads rows. ``taken`` are names that are not free, ``known`` uids that are recorded already."""

    taken: frozenset[Ref] = frozenset()
    known: Mapping[tuple[str, str], Ref] = field(default_factory=dict)
    produced: Mapping[str, str] = field(default_factory=dict)
    """Ids and names of adapters that jobs left without a record of their own."""
    found: list[Found] = field(default_factory=list)
    there: list[Ref] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    """Table and id to the name of what was made of it."""
    planned: dict[tuple[str, str], str] = field(default_factory=dict)
    contents: dict[str, Any] = field(default_factory=dict)
    """Name of a Config to its content."""
    owners: dict[str, str] = field(default_factory=dict)
    """A uid belongs to one resource of any kind."""
    at: str = ""
    """The table that is being read."""

    def read(self, tables: Mapping[str, list[Any]]) -> None:
        """Read every row of the guide's tables."""
        self.owners = {uid: kind for kind, uid in self.known}
        self.names = {("adapters", uid): name for uid, name in self.produced.items()}
        self.names |= {(TABLE_OF[kind], uid): ref.name for (kind, uid), ref in self.known.items() if kind in TABLE_OF}
        units = {table: self._units(table, tables.get(table, [])) for table in ORDER}
        for table in ORDER:
            self._plan_names(table, units[table])
        for table in ORDER:
            for uid, rows in units[table]:
                self._make(table, uid, rows)

    def _units(self, table: str, rows: list[Any]) -> list[tuple[str, list[Row]]]:
        """The table's good rows by the resource they are part of: each its own, but evaluations by their parent."""
        units: dict[str, list[Row]] = {}
        seen: set[str] = set()
        for index, row in enumerate(rows):
            try:
                good, strange = checked(table, row)
                if good["id"] in seen:
                    raise RowError("the id stands twice in the table")
            except RowError as error:
                self.faults.append(Fault(table, row_id(row, index), str(error)))
                continue
            seen.add(good["id"])
            uid = (good.get("parent_job_id") if table == "evaluation_jobs" else None) or good["id"]
            owner = self.owners.setdefault(uid, KIND_OF[table])
            if owner != KIND_OF[table]:
                self.faults.append(Fault(table, good["id"], f"the id {uid} is that of a {owner}"))
                continue
            if strange:
                words = f"{', '.join(strange)}: no such column in the guide; kept with the record"
                self.notes.append(Fault(table, good["id"], words))
            units.setdefault(uid, []).append(good)
        return [*units.items()]

    def _plan_names(self, table: str, units: list[tuple[str, list[Row]]]) -> None:
        """Names that clash with none: of equals the one with the smallest id keeps the plain name."""
        kind = KIND_OF[table]
        used = {ref.name for ref in self.taken if ref.kind == kind}
        slugs = ((slug(_called(table, rows[0]), kind.lower()), uid) for uid, rows in units)
        wanted = sorted((name[:LONGEST_NAME].strip("-."), uid) for name, uid in slugs)
        for plain, uid in wanted:
            if (kind, uid) in self.known:
                self.planned[table, uid] = self.known[kind, uid].name
                continue
            hashed = hashlib.sha256(uid.encode()).hexdigest()
            tries = (plain, *(f"{plain}-{hashed[:length]}" for length in (8, 40)))
            name = next((each for each in tries if each not in used), hashed)
            used.add(name)
            self.planned[table, uid] = name

    def _make(self, table: str, uid: str, rows: list[Row]) -> None:
        self.at, kind, name = table, KIND_OF[table], self.planned[table, uid]
        if (kind, uid) in self.known:
            self.there.append(Ref(kind, name))
        else:
            try:
                resource, facts = self._resource(table, name, rows)
            except RowError as error:
                self.faults += [Fault(table, row["id"], str(error)) for row in rows]
                return
            self.found.append(Found(resource, uid, tuple(rows), facts))
        self.names[table, uid] = name
        if table == "configs":
            self.contents[name] = _content(rows[0])

    def _resource(self, table: str, name: str, rows: list[Row]) -> tuple[Resource, dict[str, Any]]:
        row, kind = rows[0], KIND_OF[table]
        spec = _evaluation(self, rows) if table == "evaluation_jobs" else _MAKERS[table](self, row)
        metadata = {"name": name, "title": row.get("name"), "description": row.get("description")}
        if metadata["title"] == name:
            del metadata["title"]
        facts = {
            key: row[key] for key in ("mlflow_experiment_id", "mlflow_run_id") if row.get(key) and table == "models"
        }
        document = {"apiVersion": API_VERSION, "kind": kind, "metadata": _said(metadata), "spec": _said(spec)}
        try:
            return KINDS[kind].model.model_validate(document), facts
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise RowError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def name(self, table: str, row: Row, column: str, *, needed: bool = False) -> str:
        """What the row with that id is called now; "" for an optional one that is not there."""
        uid = row.get(column)
        if not uid:
            if needed:
                raise RowError(f"{column} is empty")
            return ""
        if (table, uid) in self.names:
            return self.names[table, uid]
        why = "was not imported" if (table, uid) in self.planned else f"is no row of {table}"
        if needed:
            raise RowError(f"{column} {uid} {why}")
        self.notes.append(Fault(self.at, row["id"], f"{column} {uid} {why}; left out"))
        return ""

    def configs(self, row: Row, fields: Iterable[str]) -> Spec:
        """Each configuration by name while the Config says what the job used, else as the snapshot has it."""
        spec: Spec = {}
        for name in fields:
            snapshot = mapping(name, row[name]) if row.get(name) else None
            config = self.name("configs", row, f"{name}_id") if row.get(f"{name}_id") else ""
            if config and snapshot is not None and snapshot != self.contents.get(config, snapshot):
                words = f"{name} is not what Config/{config} says now; taken from the job"
                self.notes.append(Fault(self.at, row["id"], words))
                config = ""
            spec[name] = config or snapshot
        return spec


def _model(reader: Reader, row: Row) -> Spec:
    return _same(row, "type", "framework", "huggingface_model_name", "location", "cml_registered_model_id")


def _dataset(reader: Reader, row: Row) -> Spec:
    spec = _same(row, "type", "huggingface_name", "location")
    if row.get("features"):
        try:
            features = json.loads(row["features"])
        except (ValueError, RecursionError) as error:
            raise RowError("features is not JSON") from error
        if not isinstance(features, list) or not all(isinstance(each, str) for each in features):
            raise RowError("features is not a JSON list of names")
        spec["features"] = features
    return spec


def _adapter(reader: Reader, row: Row) -> Spec:
    return _same(row, "type", "location", "huggingface_name", "cml_registered_model_id") | {
        "model": reader.name("models", row, "model_id", needed=True),
        "fine_tuning_job": reader.name("fine_tuning_jobs", row, "fine_tuning_job_id"),
        "prompt": reader.name("prompts", row, "prompt_id"),
    }


def _prompt(reader: Reader, row: Row) -> Spec:
    dataset = reader.name("datasets", row, "dataset_id", needed=True)
    return {"dataset": dataset} | _same(row, "type", "prompt_template", "input_template", "completion_template")


def _config(reader: Reader, row: Row) -> Spec:
    return _same(row, "type", "model_family") | {"config": _content(row), "default": row.get("is_default") == 1}


def _training(reader: Reader, row: Row) -> Spec:
    numbers = ("num_workers", "num_cpu", "num_gpu", "num_memory", "num_epochs", "learning_rate")
    shares = ("dataset_fraction", "train_test_split", "gpu_label_id")
    adapter = reader.planned.get(("adapters", row.get("adapter_id") or ""), "")
    return {
        "base_model": reader.name("models", row, "base_model_id", needed=True),
        "dataset": reader.name("datasets", row, "dataset_id", needed=True),
        "prompt": reader.name("prompts", row, "prompt_id"),
        **_same(row, *numbers, *shares, "out_dir", "user_script", "framework_type"),
        **reader.configs(row, JOB_CONFIGS),
        "adapter_name": adapter or row.get("adapter_name"),
    }


def _evaluation(reader: Reader, rows: list[Row]) -> Spec:
    """One evaluation of all rows with the same parent; the first is the baseline, as in the guide."""
    row = rows[0]
    for column in ("dataset_id", "prompt_id", "type", *EVALUATION_CONFIGS):
        if any(each.get(column) != row.get(column) for each in rows):
            raise RowError(f"rows of parent_job_id {row.get('parent_job_id')} differ in {column}")
    combinations = [
        {
            "base_model": reader.name("models", each, "base_model_id", needed=True),
            "adapter": reader.name("adapters", each, "adapter_id", needed=bool(each.get("adapter_id"))),
        }
        for each in rows
    ]
    return {
        "model_adapter_combinations": [_said(each) for each in combinations],
        "dataset": reader.name("datasets", row, "dataset_id", needed=True),
        "prompt": reader.name("prompts", row, "prompt_id", needed=True),
        **_same(row, "type", "num_cpu", "num_gpu", "num_memory"),
        **reader.configs(row, EVALUATION_CONFIGS),
    }


_MAKERS: dict[str, Callable[[Reader, Row], Spec]] = {
    "models": _model,
    "datasets": _dataset,
    "adapters": _adapter,
    "prompts": _prompt,
    "configs": _config,
    "fine_tuning_jobs": _training,
}


def _content(row: Row) -> Any:
    """A Config's blob as a mapping; Axolotl's is YAML and stays the text that it is."""
    text = row.get("config")
    if not text:
        raise RowError("config is empty")
    return text if row.get("type") == "axolotl" else mapping("config", text)


def _called(table: str, row: Row) -> str:
    """What a resource is named after; jobs and configurations have no name in the guide."""
    match table:
        case "fine_tuning_jobs":
            return row.get("adapter_name") or "job"
        case "evaluation_jobs":
            return "evaluation"
        case "configs":
            words = (row.get("type"), row.get("description") or row.get("model_family"))
            return "-".join(word for word in words if word)
        case _:
            return row.get("name") or row.get("huggingface_name") or row.get("huggingface_model_name") or ""


def _same(row: Row, *columns: str) -> Spec:
    return {column: row.get(column) for column in columns}


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty: the guide's columns have no other way to say nothing."""
    return {name: value for name, value in values.items() if value not in (None, "")}


def row_id(row: Any, index: int) -> str:
    """What a row is called in messages: its id, else its number in the table."""
    found = row.get("id") if isinstance(row, dict) else None
    return found if isinstance(found, str) and found else f"row {index + 1}"
