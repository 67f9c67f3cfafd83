"""Whatever a script writes into its files, the job reads on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core.errors import JobError
from studio.core.secrets import redact
from studio.jobs.events import EventLog, read
from studio.jobs.tracking import TrackedStep
from studio.jobs.training import script_metrics
from studio.jobs.training.posting import PATIENCE_SECONDS, Post
from studio.jobs.training.script_events import AT_ONCE, Told

pytestmark = pytest.mark.slow
NAMES = st.sampled_from(["step", "total", "loss", "eval_loss", "message", "time", "a/b", "../a", "a b", "", "x" * 300])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([1]) | st.just(10**400)
SAID = st.dictionaries(NAMES | st.text(max_size=4), VALUES, max_size=5)
LINES = st.lists(st.binary(max_size=40) | SAID.map(lambda said: json.dumps(said).encode()), max_size=8)


class Run:
    """What MLflow was told."""

    def __init__(self) -> None:
        self.steps: list[tuple[dict[str, float], int]] = []

    def log_steps(self, steps: list[TrackedStep]) -> None:
        self.steps += [(each.values, each.step) for each in steps]


def followed(folder: Path, *parts: bytes, earlier: bytes = b"") -> tuple[Told, Run]:
    """Everything that was written, in parts, and followed after each."""
    file, run = folder / "told.jsonl", Run()
    for path in (file, folder / "events.jsonl"):
        path.unlink(missing_ok=True)
    file.write_bytes(earlier)
    with EventLog(folder / "events.jsonl") as events:
        tracked: Any = run
        told = Told(file, events, Post(tracked, events), redact)
        told.recall()
        try:
            for part in parts:
                with file.open("ab") as stream:
                    stream.write(part)
                told.follow()
        finally:
            told.close(PATIENCE_SECONDS)
    return told, run


@settings(deadline=None)
@given(lines=LINES, cut=st.integers(0, 100))
def test_no_content_stops_a_job_but_a_loss_that_is_no_number(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cut: int
) -> None:
    folder, content = tmp_path_factory.getbasetemp(), b"\n".join(lines) + b"\n"
    try:
        told, run = followed(folder, content[:cut], content[cut:])
    except JobError as error:
        assert error.message.startswith("the loss is")
        return
    numbers = [value for metrics, _ in run.steps for value in metrics.values()]
    assert all(map(math.isfinite, numbers)) and all(step >= 0 for _, step in run.steps)
    assert len(run.steps) == len(told.history)
    assert len(read(folder / "events.jsonl")) <= 3 * len(content)


@settings(deadline=None)
@given(
    content=st.binary(max_size=60) | st.dictionaries(NAMES, VALUES, max_size=5).map(lambda m: json.dumps(m).encode())
)
def test_no_metrics_stop_a_job(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "metrics.json"
    file.write_bytes(content)
    with EventLog(file.with_name("said.jsonl"), muted=True) as events:
        assert all(map(math.isfinite, script_metrics.left(file, events).values()))


def test_half_a_line_waits_for_the_rest(tmp_path: Path) -> None:
    told, run = followed(tmp_path, b'{"step": 3, "lo', b'ss": 1.5}\n{"step": 4')
    assert run.steps == [({"loss": 1.5}, 3)] and told.steps == 3


def test_what_an_earlier_attempt_did_beyond_the_checkpoint_does_not_count(tmp_path: Path) -> None:
    before = b"".join(b'{"step": %d, "loss": 9}\n' % step for step in (1, 2, 3))
    told, run = followed(tmp_path, b'{"step": 2, "loss": 1}\n', b'{"step": 3, "loss": 1}\n', earlier=before)
    assert run.steps == [({"loss": 9.0}, 1), ({"loss": 1.0}, 2), ({"loss": 1.0}, 3)]
    assert script_metrics.of_losses(told.history) == {"final_loss": 1.0, "train_loss": pytest.approx(11 / 3)}


def test_a_number_without_a_step_does_not_say_where_a_script_went_on(tmp_path: Path) -> None:
    before = b"".join(b'{"step": %d, "loss": 9}\n' % step for step in (1, 2, 3))
    _, run = followed(tmp_path, b'{"message": "resuming", "gpu": 1}\n', b'{"step": 2, "loss": 1}\n', earlier=before)
    assert [each for each in run.steps if "loss" in each[0]] == [({"loss": 9.0}, 1), ({"loss": 1.0}, 2)]


def test_half_a_surrogate_is_no_text_and_stops_nothing(tmp_path: Path) -> None:
    followed(tmp_path, b'{"step": 1, "loss": 1.0, "message": "cut \\ud83d"}\n')
    assert "cut ?" in [event.message for event in read(tmp_path / "events.jsonl")]


def test_what_an_earlier_attempt_told_counts_when_nothing_new_is_told(tmp_path: Path) -> None:
    assert followed(tmp_path, earlier=b'{"step": 5, "loss": 2}\n')[1].steps == [({"loss": 2.0}, 5)]


def test_a_flood_is_shown_in_part_and_logged_in_whole(tmp_path: Path) -> None:
    lines = b"".join(b'{"step": %d, "loss": 1}\n' % step for step in range(1000))
    _, run = followed(tmp_path, lines)
    shown = [event.step for event in read(tmp_path / "events.jsonl")]
    assert len(run.steps) == 1000 and len(shown) <= AT_ONCE + 1 and shown[-1] == 999


def test_a_file_that_is_begun_anew_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "told.jsonl"
    file.write_text('{"step": 1, "loss": 1}\n' * 3)
    with EventLog(tmp_path / "events.jsonl", muted=True) as events:
        told = Told(file, events, Post(None, events), redact)
        told.follow()
        file.write_text('{"step": 9, "loss": 1}\n')
        told.follow()
    assert told.steps == 9
