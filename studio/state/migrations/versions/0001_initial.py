"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text, nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=False)


def upgrade() -> None:
    _records()
    _jobs()
    op.create_table(
        "operations",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("environment", sa.String(128), nullable=False, index=True),
        *(_text(*column) for column in (("command", 64), ("actor", 255), ("commit", 64))),
        *(_text(*column) for column in (("started_at", 32), ("finished_at", 32), ("outcome", 32))),
        _json("summary"),
    )
    op.create_table(
        "leases",
        sa.Column("environment", sa.String(128), primary_key=True),
        _text("holder"),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )


def _records() -> None:
    op.create_table(
        "environments",
        sa.Column("name", sa.String(128), primary_key=True),
        _text("lineage", 36),
        sa.Column("serial", sa.Integer, nullable=False),
    )
    op.create_table(
        "resources",
        *(_text(*column) for column in (("environment", 128), ("kind", 64), ("name", 255), ("uid", 36))),
        _json("spec"),
        _json("metadata"),
        _text("fingerprint", 64),
        _json("inputs"),
        _text("status", 16),
        _json("facts"),
        _json("outcome"),
        _text("error"),
        _text("source"),
        *(_text(*column) for column in (("commit", 64), ("created_at", 32), ("updated_at", 32))),
        sa.PrimaryKeyConstraint("environment", "kind", "name"),
    )


def _jobs() -> None:
    op.create_table(
        "artifacts",
        *(_text(*column) for column in (("kind", 64), ("fingerprint", 64))),
        _json("output"),
        _text("run_key", 255),
        _text("run_dir"),
        *(_text(*column) for column in (("mlflow_run_id", 64), ("mlflow_experiment_id", 64))),
        sa.Column("seconds", sa.Float, nullable=False),
        _json("resources"),
        _text("created_at", 32),
        sa.PrimaryKeyConstraint("kind", "fingerprint"),
    )
    op.create_table(
        "runs",
        _text("key", 255),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("environment", sa.String(128), nullable=False, index=True),
        *(_text(*c) for c in (("kind", 64), ("name", 255), ("fingerprint", 64), ("backend", 32), ("status", 16))),
        _json("handle"),
        _text("error"),
        *(_text(*column) for column in (("submitted_at", 32), ("finished_at", 32))),
        sa.PrimaryKeyConstraint("key", "attempt"),
    )
