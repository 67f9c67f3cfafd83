"""Adapters that can be had although the disk that they were trained on is not this one."""

from __future__ import annotations

from studio.core.record import Record


class Kept(Record):
    """Where an adapter's files are besides the disk that it was trained on: artifacts of an MLflow run."""

    server: str
    """Which server that is, hashed (``Tracking.server``)."""
    run_id: str
    path: str
