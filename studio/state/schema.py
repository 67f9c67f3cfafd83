"""The tables. Alembic migrations make them; a test holds the two against each other."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Float, Integer, MetaData, PrimaryKeyConstraint, String, Table, Text, text

metadata = MetaData()
REVISIONS = ("0001", "0002")
"""The schemas that this version of studio reads, and brings forward to the last of them, in which it writes."""
_SECOND = {"since": "0002"}
"""Of a column: the first schema that has it. Without one, every schema has it."""

environments = Table(
    "environments",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("lineage", String(36), nullable=False),
    Column("serial", Integer, nullable=False),
)

resources = Table(
    "resources",
    metadata,
    Column("environment", String(128), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("uid", String(36), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("facts", JSON, nullable=False),
    Column("outcome", JSON, nullable=False),
    Column("error", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("commit", String(64), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    PrimaryKeyConstraint("environment", "kind", "name"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("kind", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("output", JSON, nullable=False),
    Column("run_key", String(255), nullable=False),
    Column("run_dir", Text, nullable=False),
    Column("mlflow_run_id", String(64), nullable=False),
    Column("mlflow_experiment_id", String(64), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("resources", JSON, nullable=False),
    Column("measures", JSON, nullable=False, server_default="{}", info=_SECOND),
    Column("created_at", String(32), nullable=False),
    PrimaryKeyConstraint("kind", "fingerprint"),
)

runs = Table(
    "runs",
    metadata,
    Column("key", String(255), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("environment", String(128), nullable=False, index=True),
    Column("kind", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("backend", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("handle", JSON, nullable=False),
    Column("error", Text, nullable=False),
    Column("submitted_at", String(32), nullable=False),
    Column("finished_at", String(32), nullable=False),
    Column("filing", JSON, nullable=False, server_default="{}", info=_SECOND),
    PrimaryKeyConstraint("key", "attempt"),
)

operations = Table(
    "operations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("environment", String(128), nullable=False, index=True),
    Column("command", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("commit", String(64), nullable=False),
    Column("started_at", String(32), nullable=False),
    Column("finished_at", String(32), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("summary", JSON, nullable=False),
    Column("plan", String(64), nullable=False, server_default=text("''"), info=_SECOND),
)

leases = Table(
    "leases",
    metadata,
    Column("environment", String(128), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("token", Integer, nullable=False),
    Column("process", JSON, nullable=False, server_default="{}", info=_SECOND),
    Column("expires_at", Float, nullable=False),
)


def columns(table: Table, revision: str) -> list[Column[Any]]:
    """The columns that a table has in a schema; what it lacks, the values' defaults stand for."""
    return [column for column in table.columns if column.info.get("since", REVISIONS[0]) <= revision]
