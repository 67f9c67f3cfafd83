"""When a training counts as gone wrong, and when it does not."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.jobs.training import anomalies
from studio.jobs.training.anomalies import Anomaly
from studio.jobs.training.evaluations import Course, course

History = list[dict[str, Any]]


def history(losses: Iterable[float], every: int = 1) -> History:
    return [{"step": every * (n + 1), "loss": loss, "learning_rate": 1e-3} for n, loss in enumerate(losses)]


def first_found(log: History) -> tuple[int, Anomaly] | None:
    """The step at which a training with such a log would have stopped."""
    for n in range(1, len(log) + 1):
        if found := anomalies.found(log[:n]):
            return log[n - 1]["step"], found
    return None


def falling(steps: int, noise: float = 0.1, end: float = 0.5) -> list[float]:
    draw = random.Random(steps)
    return [end + 3 * math.exp(-5 * n / steps) + draw.uniform(-noise, noise) for n in range(steps)]


@pytest.mark.parametrize("every", [1, 5, 10])
def test_a_loss_that_jumps_and_stays_there_is_an_explosion(every: int) -> None:
    found = first_found(history([*falling(40), *[6.0] * 30], every))
    assert found is not None
    step, anomaly = found
    assert anomaly.good_step == 40 * every
    assert step - anomaly.good_step == max(anomalies.STEPS, anomalies.LOGS * every)
    assert "since step" in anomaly.message and "learning rate 0.001" in anomaly.message


@pytest.mark.parametrize(
    "losses",
    [
        falling(400),
        [9.0, 12.0, 11.0, 10.0, *falling(100)],
        [2.0] * 200,
        [*falling(50), 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, *falling(50, end=0.6)[20:]],
        [*falling(60), *[0.9] * 60],
        [0.01] * 50 + [0.05] * 100,
        [4.0] * 5 + [0.001] * 20 + [0.01] * 60,
    ],
    ids=["falling", "worse at first", "learning nothing", "a few hard rows", "a worse plateau", "tiny", "by heart"],
)
def test_what_a_healthy_training_may_log_is_none(losses: list[float]) -> None:
    assert first_found(history(losses)) is None


@given(st.integers(0, 2**32), st.sampled_from([1, 3, 10, 50]))
def test_single_rows_in_random_order_trip_nothing(seed: int, every: int) -> None:
    """Rows whose losses lie between 0.1 and 6, logged one by one or as means."""
    draw = random.Random(seed)
    losses = [sum(math.exp(draw.gauss(0, 0.7)) for _ in range(every)) / every for _ in range(150)]
    assert first_found(history(losses, every)) is None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"loss": math.nan, "grad_norm": 2.0}, "the loss is nan at step 30 (gradient norm 2)"),
        (
            {"loss": 1.0, "grad_norm": math.inf, "learning_rate": 0.1},
            "the gradient norm is inf at step 30 (loss 1, lea",
        ),
        ({"eval_loss": math.inf}, "the held-out loss is inf at step 30"),
    ],
)
def test_what_is_no_number_is_an_anomaly_since_the_log_before(entry: dict[str, float], words: str) -> None:
    found = anomalies.found([*history([3.0, 2.0], every=10), {"step": 30, **entry}])
    assert found is not None and found.good_step == 20 and found.message.startswith(words)


def test_gradients_that_a_scaler_skips_are_none() -> None:
    log = [*history([3.0]), {"step": 2, "loss": 3.0, "grad_norm": math.inf}]
    assert anomalies.found(log) is not None and anomalies.found(log, scaled=True) is None


def test_rows_in_an_order_of_their_own_may_become_harder() -> None:
    log = history([*[1.0] * 30, *[5.0] * anomalies.STEPS])
    assert anomalies.found(log) is not None and anomalies.found(log, shuffled=False) is None


def evaluations(losses: Iterable[float]) -> History:
    log: History = []
    for n, loss in enumerate(losses, 1):
        log += [{"step": 10 * n, "loss": 9.0}, {"step": 10 * n, "eval_loss": loss}]
    return log


@pytest.mark.parametrize(
    ("losses", "min_delta", "expected"),
    [
        ([2.0], 0.0, Course(10, 2.0, 0, True)),
        ([2.0, 1.5, 1.6, 1.5], 0.0, Course(20, 1.5, 2, False)),
        ([2.0, 1.95, 1.91], 0.1, Course(10, 2.0, 2, True)),
        ([2.0, 1.95, 1.85], 0.1, Course(30, 1.85, 0, True)),
    ],
)
def test_the_course_of_the_evaluations(losses: list[float], min_delta: float, expected: Course) -> None:
    assert course(evaluations(losses), min_delta) == expected


def test_an_evaluation_before_the_first_step_has_no_weights_to_keep() -> None:
    assert course([{"step": 0, "eval_loss": 1.0}]) is None
    assert course([{"step": 0, "eval_loss": 1.0}, *evaluations([2.0])]) == Course(10, 2.0, 0, True)
