"""Projects with a past."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.core.references import Ref
from studio.state.base import Run, RunStatus
from tests import projects

from .front_door import ask
from .states import writing


@pytest.fixture
def applied(data_only: Path) -> Path:
    assert ask(data_only, "apply", "--yes").code == 0
    return data_only


@pytest.fixture
def trained(desk: Path) -> Path:
    """A project whose records say that everything was done, and whose training left two runs."""
    items = [item for item in projects.wanted(desk).items.values() if not item.shipped]
    with writing(desk) as state:
        for item in items:
            state.save_record(projects.record(item))
        for attempt, status in ((1, RunStatus.FAILED), (2, RunStatus.SUCCEEDED)):
            state.save_run(Run("key", attempt, "default", Ref("FineTuningJob", "train"), "f" * 64, "local", status))
    return desk
