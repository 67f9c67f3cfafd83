"""State in SQLite or PostgreSQL. Every write is a transaction, alone or with others, and is fenced by the lease."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, and_, delete, exists, select

from studio.core.references import Ref
from studio.state import engine as database
from studio.state import rows, schema
from studio.state.base import (
    ACTIVE,
    Artifact,
    Lease,
    Lineage,
    Operation,
    Record,
    Run,
    StateReader,
)
from studio.state.clock import Epoch
from studio.state.encoding import storable
from studio.state.glance import steadily
from studio.state.holder import is_gone
from studio.state.insertion import Insertion, added, upserted
from studio.state.transactions import PATIENCE_SECONDS, Hold, Rows, Transaction, lease_lost, surviving

NEW = Lineage("", 0)
"""The lineage of a state that does not exist yet."""


class SqlState:
    """One environment's state. Without a lease it only reads, also what has an earlier ``revision`` of the schema."""

    def __init__(
        self, engine: Engine, environment: str, hold: Hold | None = None, revision: str = schema.REVISIONS[-1]
    ) -> None:
        self.engine = engine
        self.environment = environment
        self._hold = hold
        self._revision = revision
        self._open: Transaction | None = None

    def lineage(self) -> Lineage:
        table = schema.environments
        row = self._one(self._select(table).where(table.c.name == self.environment))
        return Lineage(row["lineage"], row["serial"]) if row else NEW

    def records(self) -> Mapping[Ref, Record]:
        here = schema.resources.c.environment == self.environment
        return {record.ref: record for _, record in self._records(here)}

    def artifact(self, kind: str, fingerprint: str) -> Artifact | None:
        table = schema.artifacts
        row = self._one(self._select(table).where(table.c.kind == kind, table.c.fingerprint == fingerprint))
        return Artifact(**row) if row else None

    def outputs(self, kind: str) -> Mapping[str, dict[str, Any]]:
        table = schema.artifacts
        found = self._all(select(table.c.fingerprint, table.c.output).where(table.c.kind == kind))
        return {row["fingerprint"]: row["output"] for row in found}

    def artifacts(self) -> list[Artifact]:
        table = schema.artifacts
        found = [Artifact(**row) for row in self._all(self._select(table))]
        return sorted(found, key=lambda each: (each.kind, each.fingerprint))  # databases sort by their own locale

    def everywhere(self, kind: str) -> list[tuple[str, Record]]:
        return self._records(schema.resources.c.kind == kind)

    def _records(self, which: ColumnElement[bool]) -> list[tuple[str, Record]]:
        return rows.records(self._rows(select(*rows.record_columns()).where(which)))

    def runs(self, ref: Ref | None = None) -> list[Run]:
        table = schema.runs
        query = self._select(table).where(table.c.environment == self.environment)
        if ref:
            query = query.where(table.c.kind == ref.kind, table.c.name == ref.name)
        return [rows.run(row) for row in self._all(query.order_by(table.c.submitted_at.desc(), table.c.attempt.desc()))]

    def active(self) -> list[Run]:
        table = schema.runs
        here = (table.c.environment == self.environment, table.c.status.in_(sorted(ACTIVE)))
        found = [rows.run(row) for row in self._all(self._select(table).where(*here))]
        return sorted(found, key=lambda each: (each.key, each.attempt))

    def attempts(self, key: str) -> list[Run]:
        table = schema.runs
        return [
            rows.run(row)
            for row in self._all(self._select(table).where(table.c.key == key).order_by(table.c.attempt.desc()))
        ]

    def operations(self, limit: int = 20) -> list[Operation]:
        table = schema.operations
        query = self._select(table).where(table.c.environment == self.environment)
        return [rows.operation(row) for row in self._all(query.order_by(table.c.started_at.desc()).limit(limit))]

    def lease(self) -> Lease | None:
        table = schema.leases
        query = self._select(table, Epoch().label("now")).where(table.c.environment == self.environment)
        row = self._one(query)
        left = row["expires_at"] - row["now"] if row else 0.0
        if row is None or left <= 0 or is_gone(row.get("process", {})):
            return None
        return Lease(row["environment"], row["holder"], row["token"], left)

    def demand_lease(self) -> None:
        if self._hold and self._hold.lost.is_set():
            raise lease_lost(self.environment, None)

    def save_record(self, record: Record) -> None:
        self.save_records([record])

    def save_records(self, records: Iterable[Record]) -> None:
        self._put(schema.resources, [{**rows.columns(record), "environment": self.environment} for record in records])

    def delete_record(self, ref: Ref) -> None:
        table = schema.resources
        same = (table.c.environment == self.environment, table.c.kind == ref.kind, table.c.name == ref.name)
        with self._transaction() as transaction:
            transaction.write(delete(table).where(*same), [])

    def save_artifact(self, artifact: Artifact) -> None:
        self._put(schema.artifacts, [asdict(artifact)])

    def discard_artifact(self, record: Record) -> bool:
        filed, users = schema.artifacts, schema.resources
        own = and_(users.c.environment == self.environment, users.c.name == record.ref.name)
        same = (users.c.kind == record.ref.kind, users.c.fingerprint == record.fingerprint)
        here = (filed.c.kind == record.ref.kind, filed.c.fingerprint == record.fingerprint)
        with self._transaction() as transaction:
            transaction.write(delete(filed).where(*here, ~exists().where(*same, ~own)), [])
            return not transaction.read(select(filed.c.kind).where(*here))

    def save_run(self, run: Run) -> None:
        self._put(schema.runs, [rows.columns(run)])

    def save_operation(self, operation: Operation) -> None:
        self._put(schema.operations, [asdict(operation)])

    def restore(
        self,
        records: Iterable[Record],
        artifacts: Iterable[Artifact],
        runs: Iterable[Run],
        operations: Iterable[Operation],
    ) -> None:
        here = {"environment": self.environment}
        with self.together():
            self._put(schema.resources, [{**rows.columns(each), **here} for each in records], added)
            self._put(schema.artifacts, [asdict(each) for each in artifacts], added)
            self._put(schema.runs, [rows.columns(each) for each in runs], added)
            self._put(schema.operations, [asdict(each) for each in operations], added)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make the writes inside one transaction: all of them happen, or none. Reads inside see them."""
        with self._transaction():
            yield

    def _put(self, table: Table, given: Rows, insertion: Insertion = upserted) -> None:
        if given:
            clean = [{name: storable(value) for name, value in row.items()} for row in given]
            with self._transaction() as transaction:
                transaction.write(insertion(self.engine.dialect.name, table, list(clean[0])), clean)

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        """The transaction that is open, else a new one, committed at the end."""
        if self._hold is None:
            raise AssertionError("this state was opened for reading")
        if self._open is not None:
            yield self._open
            return
        self._open = Transaction(self.engine, self._hold)
        try:
            yield self._open
            self._open.commit()
        finally:
            self._open.close()
            self._open = None

    def _select(self, table: Table, *more: Any) -> Any:
        return select(*schema.columns(table, self._revision), *more)

    def _one(self, query: Any) -> dict[str, Any] | None:
        return next(iter(self._all(query)), None)

    def _all(self, query: Any) -> list[dict[str, Any]]:
        return [row._asdict() for row in self._rows(query)]

    def _rows(self, query: Any) -> Sequence[Any]:
        try:
            if self._open is not None:
                return self._open.read(query)
            patience = PATIENCE_SECONDS if self._hold else 0.0
            read = partial(steadily, self.engine, lambda connection: connection.execute(query).all())
            return surviving(read, self.engine, patience)
        except json.JSONDecodeError as error:
            raise rows.damage("a row", f"value: {error}") from None


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

    def everywhere(self, kind: str) -> list[tuple[str, Record]]:
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
    found = database.readable(engine)
    return SqlState(engine, environment, revision=found) if found else EmptyState()


def open_engine(url: str, root: Path) -> Engine:
    """The state for writing: created and migrated where needed. A lease is still to be taken."""
    located = database.locate(url, root)
    file = database.sqlite_file(located)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = database.connect(located)
    database.migrate(engine)
    return engine
