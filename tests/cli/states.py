"""The state of a project, opened for a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.state.lease import held
from studio.state.sql import SqlState, open_engine

URL = "sqlite:///.studio/state.db"


@contextmanager
def writing(root: Path) -> Iterator[SqlState]:
    engine = open_engine(URL, root)
    try:
        with held(engine, "default", "studio apply") as state:
            yield state
    finally:
        engine.dispose()


@contextmanager
def reading(root: Path) -> Iterator[SqlState]:
    engine = open_engine(URL, root)
    try:
        yield SqlState(engine, "default")
    finally:
        engine.dispose()
