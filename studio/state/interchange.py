"""An environment's state as the guide's JSON, and back.

The document has the guide's seven tables, each with ``schema`` and ``data``. What these cannot hold stands beside them
in tables of our own, whose names begin with ``studio_`` and whose cells are as plain: an importer that follows the
guide makes them and never looks at them. ``schema`` is written for such importers; nothing here ever executes it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Table

from studio.core.errors import UsageError
from studio.core.references import Ref
from studio.core.secrets import redact
from studio.resources import KINDS
from studio.state import guide_export, schema
from studio.state.base import Artifact, Operation, Record, Run
from studio.state.cells import Fault, RowError, demand_cell, json_object
from studio.state.guide import SCHEMA_VERSION, TABLES, Column, schema_text
from studio.state.guide_import import Found, Reader, row_id

MAX_BYTES = 256 << 20
"""Far above the state of 100,000 resources."""
FORMAT = 1
V = TypeVar("V", Record, Artifact, Run, Operation)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that state holds of an environment, but for its lease and the count of its changes."""

    records: tuple[Record, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    runs: tuple[Run, ...] = ()
    operations: tuple[Operation, ...] = ()


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a document holds: ours as it was, the guide's rows as resources, and what could not be read."""

    snapshot: Snapshot
    found: tuple[Found, ...]
    there: tuple[Ref, ...]
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """One of our own tables: the values that it holds, by their fields. An environment is given, not kept."""

    type: type[Any]
    stored: Table
    key: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def columns(self) -> tuple[Column, ...]:
        return tuple(Column(name, _TYPES.get(each.type, "TEXT")) for each in self.kept() for name in _names(each))

    def kept(self) -> list[Field[Any]]:
        return [each for each in fields(self.type) if each.name not in self.left_out]


_TYPES: dict[Any, str] = {"int": "INTEGER", "float": "DOUBLE"}
OWN: dict[str, _Table] = {
    "studio_records": _Table(Record, schema.resources, ("kind", "name")),
    "studio_artifacts": _Table(Artifact, schema.artifacts, ("kind", "fingerprint")),
    "studio_runs": _Table(Run, schema.runs, ("key", "attempt"), ("environment",)),
    "studio_operations": _Table(Operation, schema.operations, ("id",), ("environment",)),
}
_READ = {name: TypeAdapter[Any](table.type) for name, table in OWN.items()}
"""Made once: making one takes longer than reading a thousand values."""
FORMAT_TABLE = "studio_format"


def to_text(snapshot: Snapshot) -> str:
    """The document; the same state gives the same bytes. Whatever looks like a secret is hidden."""
    snapshot = Snapshot(*(tuple(map(_hidden, part)) for part in _parts(snapshot)))
    guide = guide_export.tables({record.ref: record for record in snapshot.records})
    document = {
        name: {"schema": schema_text(name, columns, ("id",)), "data": guide[name]} for name, columns in TABLES.items()
    }
    for (name, table), values in zip(OWN.items(), _parts(snapshot), strict=True):
        rows = sorted((_row(table, value) for value in values), key=lambda row: [str(row[key]) for key in table.key])
        document[name] = {"schema": schema_text(name, table.columns(), table.key), "data": rows}
    columns = (Column("format", "INTEGER NOT NULL"),)
    document[FORMAT_TABLE] = {"schema": schema_text(FORMAT_TABLE, columns, ("format",)), "data": [{"format": FORMAT}]}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def parse(raw: bytes) -> dict[str, list[Any]]:
    """Table to rows; raises UsageError for what is no such document."""
    if len(raw) > MAX_BYTES:
        raise UsageError(f"the file has more than {MAX_BYTES >> 20} MiB", "import an export of one environment")
    try:
        document = json.loads(raw, parse_constant=_refuse_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the file is not JSON: {error}", EXPECTED) from error
    if not isinstance(document, dict):
        raise UsageError("the file is not a JSON object of tables", EXPECTED)
    tables: dict[str, list[Any]] = {}
    for name, table in document.items():
        data = table.get("data") if isinstance(table, dict) else None
        if not isinstance(data, list):
            raise UsageError(f"table {name!r} has no list of rows under 'data'", EXPECTED)
        tables[name] = data
    if not {*TABLES, *OWN} & set(tables):
        raise UsageError("the file holds none of the guide's tables", EXPECTED)
    return tables


EXPECTED = "name a file of 'studio state export', or of the old studio's database export"


def read(
    tables: Mapping[str, list[Any]], environment: str, taken: Iterable[Ref], known: Mapping[tuple[str, str], Ref]
) -> Incoming:
    """The document's content. ``taken`` names are not given to the guide's rows; ``known`` are recorded uids."""
    _demand_format(tables)
    faults = _strange(tables)
    parts: list[tuple[Any, ...]] = []
    for name, table in OWN.items():
        parts.append(tuple(_values(name, table, tables.get(name, ()), environment, faults)))
    snapshot = Snapshot(*parts)
    rows, altered = _not_ours(tables, snapshot)
    names = {record.ref for record in snapshot.records}
    uids = {(record.ref.kind, record.uid): record.ref for record in snapshot.records}
    reader = Reader(frozenset({*taken, *names}), {**known, **uids}, guide_export.produced(snapshot.records))
    reader.read(rows)
    there = tuple(ref for ref in reader.there if ref not in names)
    return Incoming(
        snapshot, tuple(reader.found), there, tuple(sorted({*faults, *altered, *reader.faults})),
        tuple(sorted(reader.notes)),
    )  # fmt: skip


def _not_ours(tables: Mapping[str, list[Any]], snapshot: Snapshot) -> tuple[dict[str, list[Any]], list[Fault]]:
    """The guide's rows that our own records do not account for; those that contradict a record are faults."""
    ours = guide_export.tables({record.ref: record for record in snapshot.records})
    rest: dict[str, list[Any]] = {}
    altered: list[Fault] = []
    for name in TABLES:
        written = Counter(_canonical(row) for row in ours[name])
        ids = {row["id"] for row in ours[name]}
        for index, row in enumerate(tables.get(name, ())):
            if written[_canonical(row)]:
                written[_canonical(row)] -= 1
            elif ids and (uid := row_id(row, index)) in ids:
                altered.append(Fault(name, uid, "the row was changed, and its record in studio_records was not"))
            else:
                rest.setdefault(name, []).append(row)
    return rest, altered


def _strange(tables: Mapping[str, list[Any]]) -> list[Fault]:
    """Tables that nobody can read are not passed over in silence."""
    known = {*TABLES, *OWN, FORMAT_TABLE, SCHEMA_VERSION}
    return [
        Fault(name, f"{len(rows)} rows", "no such table in the guide")
        for name, rows in tables.items()
        if name not in known
    ]


def _demand_format(tables: Mapping[str, list[Any]]) -> None:
    rows = tables.get(FORMAT_TABLE, [{"format": FORMAT}])
    if rows != [{"format": FORMAT}]:
        raise UsageError(
            f"the file is not of format {FORMAT}", "import it with the studio that wrote it, or a newer one"
        )


def _parts(snapshot: Snapshot) -> tuple[tuple[Any, ...], ...]:
    return snapshot.records, snapshot.artifacts, snapshot.runs, snapshot.operations


def _names(each: Field[Any]) -> tuple[str, ...]:
    return ("kind", "name") if each.name == "ref" else (each.name,)


def _row(table: _Table, value: Any) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for each in table.kept():
        held = getattr(value, each.name)
        if each.name == "ref":
            row |= {"kind": held.kind, "name": held.name}
        else:
            row[each.name] = json.dumps(held, sort_keys=True) if _is_json(each) else held
    return row


def _values(name: str, table: _Table, rows: Iterable[Any], environment: str, faults: list[Fault]) -> Iterator[Any]:
    """Rows of one of our own tables as values; each bad one is a fault."""
    seen = set()
    for index, row in enumerate(rows):
        label = "/".join(str(row.get(key)) for key in table.key) if isinstance(row, dict) else f"row {index + 1}"
        try:
            value = _value(name, row, environment)
            if label in seen:
                raise RowError("it stands twice in the table")
        except RowError as error:
            faults.append(Fault(name, label, str(error)))
            continue
        seen.add(label)
        yield value


def _value(own: str, row: Any, environment: str) -> Any:
    table = OWN[own]
    if not isinstance(row, dict):
        raise RowError("the row is not a mapping of columns to values")
    columns = {column.name: column for column in table.columns()}
    needed = {name for each in table.kept() if not _has_default(each) for name in _names(each)}
    wrong = sorted((needed - set(row)) | (set(row) - set(columns)))
    if wrong:  # an older studio exported fewer of those that may be missing
        raise RowError(f"columns are missing or too many: {', '.join(wrong)}")
    for name, cell in row.items():
        demand_cell(columns[name], cell, getattr(table.stored.c[name].type, "length", None))
    if row.get("kind", "Model") not in KINDS:
        raise RowError(f"there is no kind {row['kind']!r}")
    made: dict[str, Any] = {"environment": environment} if "environment" in table.left_out else {}
    for each in table.kept():
        if each.name == "ref":
            made["ref"] = Ref(row["kind"], row["name"])
        elif each.name in row:
            made[each.name] = json_object(each.name, row[each.name]) if _is_json(each) else row[each.name]
    try:
        return _READ[own].validate_python(made)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise RowError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _has_default(each: Field[Any]) -> bool:
    return each.default is not MISSING or each.default_factory is not MISSING


def _is_json(each: Field[Any]) -> bool:
    return str(each.type).startswith("dict")


def _canonical(row: Any) -> str:
    return json.dumps(row, sort_keys=True)


def _hidden(value: V) -> V:
    return replace(value, **{each.name: _redacted(getattr(value, each.name)) for each in fields(value)})


def _redacted(value: Any) -> Any:
    match value:
        case StrEnum() | Ref():
            return value
        case str():
            return redact(value)
        case dict():
            return {redact(key): _redacted(held) for key, held in value.items()}
        case list() | tuple():
            return [_redacted(held) for held in value]
        case _:
            return value


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping whose keys stand there once: of two, one would be dropped in silence."""
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} stands twice in a mapping")
    return found
