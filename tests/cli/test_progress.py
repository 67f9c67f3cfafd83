"""What is printed while apply runs, where there is no terminal."""

from __future__ import annotations

from io import StringIO

import pytest

from studio.cli.progress import FEW, Display
from studio.core import beacons
from studio.core.event import Event
from studio.core.references import Ref
from studio.plan.actions import Action, Verb
from studio.report import telling

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


ODD = (
    b'{"time": 1, "phase": "tr\\u001b[2Jain", "message": "a [/INST] b \\u001b]0;title\\u0007"}',
    b'{"time": 1, "phase": "load", "message": "\\n::error::planted"}',
    b'{"time": 1, "phase": "train", "loss": NaN, "eta_seconds": Infinity, "tokens_per_second": NaN}',
    b'{"time": 1, "phase": "train", "loss": Infinity, "step": -5, "total": 0}',
)
"""Anybody who may write to a workspace's project may write what is heard; and a training's loss may be no number."""


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("told", ODD)
def test_whatever_a_job_tells_is_shown_and_commands_nothing(
    live: bool, told: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    event, action = beacons.heard(told), Action(Ref("FineTuningJob", "x"), Verb.CREATE, "f" * 64)
    assert event is not None
    with Display(live) as display:
        display.started(action, "started")
        for each in (event, event.model_copy(update={"loss": 0.5})):
            display.progressed(action, each)
        display.waiting(action, f"waits: {event.message}")
    printed = capsys.readouterr().out + telling.progress(event)
    shown = printed if not live else telling.progress(event)
    assert "\x1b" not in shown and "\x07" not in printed
    assert not any(line.startswith("::") for line in printed.splitlines())


@pytest.mark.parametrize("columns", [30, 60, 80, 200])
def test_a_live_line_is_one_line_however_narrow_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setenv("COLUMNS", str(columns))
    action = Action(Ref("FineTuningJob", "a-job-with-quite-a-long-name"), Verb.CREATE, "f" * 64)
    with Display(live=True) as display:
        display.started(action, "started")
        display.progressed(action, Event(time=1, phase="train", step=5, total=10, loss=0.5, tokens_per_second=900))
        console = Console(width=columns, record=True, file=StringIO())
        console.print(display._bars.get_renderable())
    (shown,) = console.export_text().splitlines()
    assert len(shown) <= columns and ("5/10" in shown or columns < 60) and ("900 tokens/s" in shown) == (columns > 150)


def test_what_a_job_tells_of_loss_speed_memory_and_time_is_on_its_line() -> None:
    event = Event(
        time=1, phase="train", step=1500, total=2000, loss=0.25, eval_loss=0.5, tokens_per_second=1234.5,
        memory_bytes=1.5e9, eta_seconds=3725.0,
    )  # fmt: skip
    words = "train 1,500/2,000 loss 0.250, held-out loss 0.500, 1,234 tokens/s, 1.5 GB, 1:02:05 left"
    assert telling.progress(event) == words
    assert "40 GB on the GPU" in telling.progress(event.model_copy(update={"gpu_memory_bytes": 4e10}))
