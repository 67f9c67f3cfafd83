"""Alembic's entry point; the caller passes an open connection."""

from __future__ import annotations

from alembic import context

from studio.state.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
