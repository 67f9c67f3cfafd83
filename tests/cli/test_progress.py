"""What is printed while apply runs, where there is no terminal."""

from __future__ import annotations

import pytest

from studio.cli.progress import FEW, Display
from studio.core.references import Ref
from studio.plan.actions import Action, Verb

ROOM = "waits for free CPU, memory or GPU"


def test_a_thousand_jobs_that_wait_for_the_same_are_not_a_thousand_lines(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(live=False)
    for n in range(1000):
        display.waiting(
            Action(Ref("FineTuningJob", f"j{n}"), Verb.CREATE, "f" * 64), "waits for free CPU, memory or GPU"
        )
    display.waiting(Action(Ref("FineTuningJob", "x"), Verb.CREATE, "f" * 64), "waits for the backend: away")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == FEW + 2 and lines[0] == "  FineTuningJob/j0: waits for free CPU, memory or GPU"
    assert lines[-2:] == [
        "  … and more: waits for free CPU, memory or GPU",
        "  FineTuningJob/x: waits for the backend: away",
    ]
