"""State in SQLite or PostgreSQL. Every write is one transaction and is fenced by the lease."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, and_, delete, insert, select, update

from studio.core.errors import LeaseLostError
from studio.core.references import Ref
from studio.state import engine as database
from studio.state import schema
from studio.state.base import (
    ACTIVE,
    Artifact,
    Lease,
    Lineage,
    Operation,
    Record,
    RecordStatus,
    Run,
    RunStatus,
    StateReader,
)

NEW = Lineage("", 0)
"""The lineage of a state that does not exist yet."""
_FIELDS = tuple(each.name for each in fields(Record) if each.name != "ref")


class SqlState:
    """One environment's state. Without a lease it only reads."""

    def __init__(self, engine: Engine, environment: str, lease: Lease | None = None) -> None:
        self.engine = engine
        self.environment = environment
        self._lease = lease
        self._open: Connection | None = None

    def lineage(self) -> Lineage:
        table = schema.environments
        row = self._one(select(table).where(table.c.name == self.environment))
        return Lineage(row["lineage"], row["serial"]) if row else NEW

    def records(self) -> Mapping[Ref, Record]:
        table = schema.resources
        columns = (table.c[name] for name in ("kind", "name", *_FIELDS))
        with self._read() as connection:
            rows = connection.execute(select(*columns).where(table.c.environment == self.environment))
            found = {Ref(kind, name): values for kind, name, *values in rows}
        return {ref: _record(ref, found[ref]) for ref in sorted(found)}

    def artifact(self, kind: str, fingerprint: str) -> Artifact | None:
        table = schema.artifacts
        row = self._one(select(table).where(table.c.kind == kind, table.c.fingerprint == fingerprint))
        return Artifact(**row) if row else None

    def outputs(self, kind: str) -> Mapping[str, dict[str, Any]]:
        table = schema.artifacts
        rows = self._all(select(table.c.fingerprint, table.c.output).where(table.c.kind == kind))
        return {row["fingerprint"]: row["output"] for row in rows}

    def artifacts(self) -> list[Artifact]:
        table = schema.artifacts
        return [Artifact(**row) for row in self._all(select(table).order_by(table.c.kind, table.c.fingerprint))]

    def runs(self, ref: Ref | None = None) -> list[Run]:
        table = schema.runs
        query = select(table).where(table.c.environment == self.environment)
        if ref:
            query = query.where(table.c.kind == ref.kind, table.c.name == ref.name)
        return [_run(row) for row in self._all(query.order_by(table.c.submitted_at.desc(), table.c.attempt.desc()))]

    def active(self) -> list[Run]:
        table = schema.runs
        here = (table.c.environment == self.environment, table.c.status.in_(sorted(ACTIVE)))
        return [_run(row) for row in self._all(select(table).where(*here).order_by(table.c.key, table.c.attempt))]

    def attempts(self, key: str) -> list[Run]:
        table = schema.runs
        return [
            _run(row) for row in self._all(select(table).where(table.c.key == key).order_by(table.c.attempt.desc()))
        ]

    def operations(self, limit: int = 20) -> list[Operation]:
        table = schema.operations
        query = select(table).where(table.c.environment == self.environment)
        return [Operation(**row) for row in self._all(query.order_by(table.c.started_at.desc()).limit(limit))]

    def lease(self) -> Lease | None:
        table = schema.leases
        row = self._one(select(table).where(table.c.environment == self.environment))
        return Lease(**row) if row else None

    def save_record(self, record: Record) -> None:
        values = {**_columns(record), "environment": self.environment}
        self._put(schema.resources, values, ("environment", "kind", "name"))

    def delete_record(self, ref: Ref) -> None:
        table = schema.resources
        with self._write() as connection:
            same = (table.c.environment == self.environment, table.c.kind == ref.kind, table.c.name == ref.name)
            connection.execute(delete(table).where(*same))

    def save_artifact(self, artifact: Artifact) -> None:
        self._put(schema.artifacts, asdict(artifact), ("kind", "fingerprint"))

    def save_run(self, run: Run) -> None:
        self._put(schema.runs, _columns(run), ("key", "attempt"))

    def save_operation(self, operation: Operation) -> None:
        self._put(schema.operations, asdict(operation), ("id",))

    def restore(
        self,
        records: Iterable[Record],
        artifacts: Iterable[Artifact],
        runs: Iterable[Run],
        operations: Iterable[Operation],
    ) -> None:
        here = {"environment": self.environment}
        with self.together():
            self._add(schema.resources, [{**_columns(each), **here} for each in records])
            self._add(schema.artifacts, [asdict(each) for each in artifacts])
            self._add(schema.runs, [_columns(each) for each in runs])
            self._add(schema.operations, [asdict(each) for each in operations])

    def _add(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Insert the rows whose primary key is free."""
        key = [column.name for column in table.primary_key]
        there = {tuple(row[name] for name in key) for row in self._all(select(*table.primary_key))}
        new = [row for row in rows if tuple(row[name] for name in key) not in there]
        if new:
            with self._write() as connection:
                connection.execute(insert(table), new)

    def _put(self, table: Table, values: dict[str, Any], key: tuple[str, ...]) -> None:
        """Insert or replace one row."""
        same = and_(*(table.c[name] == values[name] for name in key))
        with self._write() as connection:
            changed = connection.execute(update(table).where(same).values(**values))
            if changed.rowcount == 0:
                connection.execute(insert(table).values(**values))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make the writes inside one transaction: all of them happen, or none. Reads inside see them."""
        if self._open is not None:
            yield
            return
        with self._write() as connection:
            self._open = connection
            try:
                yield
            finally:
                self._open = None

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """A transaction that checks the fencing token first and counts the serial up."""
        if self._lease is None:
            raise AssertionError("this state was opened for reading")
        if self._open is not None:
            yield self._open
            return
        with self.engine.begin() as connection:
            leases, environments = schema.leases, schema.environments
            held = (leases.c.environment == self.environment, leases.c.token == self._lease.token)
            if connection.execute(update(leases).where(*held).values(token=self._lease.token)).rowcount == 0:
                raise LeaseLostError(
                    f"the lock on environment {self.environment!r} was taken over by another process",
                    "nothing was written after that; run 'studio plan' to see where things stand",
                )
            here = environments.c.name == self.environment
            counted = connection.execute(update(environments).where(here).values(serial=environments.c.serial + 1))
            if counted.rowcount == 0:
                fresh = {"name": self.environment, "lineage": str(uuid.uuid4()), "serial": 1}
                connection.execute(insert(environments).values(**fresh))
            yield connection

    def _one(self, query: Any) -> dict[str, Any] | None:
        return next(iter(self._all(query)), None)

    def _all(self, query: Any) -> list[dict[str, Any]]:
        with self._read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _read(self) -> AbstractContextManager[Connection]:
        return nullcontext(self._open) if self._open is not None else self.engine.connect()


class EmptyState:
    """A state that does not exist yet; planning must not create it."""

    def lineage(self) -> Lineage:
        return NEW

    def records(self) -> Mapping[Ref, Record]:
        return {}

    def artifact(self, kind: str, fingerprint: str) -> Artifact | None:
        return None

    def outputs(self, kind: str) -> Mapping[str, dict[str, Any]]:
        return {}

    def artifacts(self) -> list[Artifact]:
        return []

    def runs(self, ref: Ref | None = None) -> list[Run]:
        return []

    def active(self) -> list[Run]:
        return []

    def attempts(self, key: str) -> list[Run]:
        return []

    def operations(self, limit: int = 20) -> list[Operation]:
        return []

    def lease(self) -> Lease | None:
        return None


def open_reader(url: str, root: Path, environment: str) -> StateReader:
    """The state for reading; nothing is created or changed."""
    located = database.locate(url, root)
    file = database.sqlite_file(located)
    if file is not None and not file.exists():
        return EmptyState()
    engine = database.connect(located, read_only=True)
    database.demand_current(engine)
    return SqlState(engine, environment) if database.revision(engine) else EmptyState()


def open_engine(url: str, root: Path) -> Engine:
    """The state for writing: created and migrated where needed. A lease is still to be taken."""
    located = database.locate(url, root)
    file = database.sqlite_file(located)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = database.connect(located)
    database.migrate(engine)
    return engine


def _columns(value: Record | Run) -> dict[str, Any]:
    values = asdict(value)
    values.pop("ref")
    return {**values, "kind": value.ref.kind, "name": value.ref.name}


def _record(ref: Ref, values: list[Any]) -> Record:
    row = dict(zip(_FIELDS, values, strict=True))
    row["status"] = RecordStatus(row["status"])
    return Record(ref, **row)


def _run(row: dict[str, Any]) -> Run:
    row = dict(row)
    ref = Ref(row.pop("kind"), row.pop("name"))
    return Run(**{**row, "ref": ref, "status": RunStatus(row["status"])})
