"""What a training told of its steps: put together over attempts, and thinned for the record."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from studio.core import course
from studio.core.course import KEPT, SERIES, Course
from studio.core.event import Event


def told(step: int | None, phase: str = "train", **numbers: Any) -> Event:
    return Event(time=float(step or 0), phase=phase, step=step, **numbers)


def test_values_of_one_step_are_one_point_whoever_told_them() -> None:
    found = course.of([told(0), told(10, loss=2.0, learning_rate=0.1), told(10, eval_loss=1.5), told(20, loss=1.0)])
    assert found.steps == (10, 20)
    assert found.curves == {"loss": (2.0, 1.0), "eval_loss": (1.5, None), "learning_rate": (0.1, None)}
    assert found.points("eval_loss") == [(10, 1.5)] and found.points("gpu_memory_bytes") == []


def test_steps_that_a_later_attempt_did_again_count_as_it_told_them() -> None:
    first = [told(0), told(10, loss=3.0), told(20, loss=2.0), told(30, loss=9.0)]
    found = course.of([*first, told(20), told(25, loss=1.5), told(30, loss=1.0)])
    assert found.points("loss") == [(10, 3.0), (20, 2.0), (25, 1.5), (30, 1.0)]
    assert course.of([*first, told(0), told(5, loss=4.0)]).points("loss") == [(5, 4.0)]


def test_what_is_no_number_and_no_step_of_training_is_no_point() -> None:
    odd = [told(1, loss=math.nan), told(2, loss=math.inf), told(None, loss=1.0), told(400, "evaluate"), told(9, "load")]
    assert course.of([*odd, told(3, loss=0.5)]).points("loss") == [(3, 0.5)]
    assert course.of([told(3, loss=0.5), *odd[:2]]).points("loss") == []
    assert course.of([told(3, loss=0.5), told(7, "load"), told(4, "evaluate", eval_loss=1)]).steps == (3, 4)


NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
COURSES = st.integers(1, 400).flatmap(
    lambda length: st.builds(
        lambda curves: Course(steps=tuple(range(length)), curves=curves),
        st.dictionaries(st.sampled_from(SERIES), st.lists(NUMBERS, min_size=length, max_size=length).map(tuple)),
    )
)


@given(COURSES)
def test_a_thinned_course_keeps_first_last_lowest_and_highest_of_every_curve(whole: Course) -> None:
    kept = course.thinned(whole)
    assert set(kept.steps) <= set(whole.steps) and list(kept.steps) == sorted(kept.steps)
    assert len(kept.steps) <= (KEPT + 2) * len(SERIES)
    for name in whole.curves:
        all_of_it, rest = dict(whole.points(name)), dict(kept.points(name))
        assert all(value == all_of_it[step] for step, value in rest.items())
        if all_of_it:
            assert {min(all_of_it), max(all_of_it)} <= set(rest)
            assert min(rest.values()) == min(all_of_it.values())
            assert max(rest.values()) == max(all_of_it.values())
