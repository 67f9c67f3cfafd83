"""Projects to replay invariants over: every example, every golden project that is valid, and generated ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from studio.backends import BACKENDS
from studio.workflow import places
from tests.fakes.backend import CountingBackend
from tests.projects import ROOT

OURS = shutil.ignore_patterns(".studio", "__pycache__", ".ruff_cache", "command", "expected.txt")


@contextmanager
def counting(root: Path) -> Iterator[CountingBackend]:
    """Jobs run nowhere and are counted."""
    backend = CountingBackend(root)
    with mock.patch.dict(BACKENDS, {"local": lambda *_: backend}), mock.patch.object(places, "pause", lambda _: None):
        yield backend


@pytest.fixture
def shipped(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of a project of this repository, by its path."""
    return Path(shutil.copytree(ROOT / request.param, tmp_path / "project", ignore=OURS, symlinks=True))
