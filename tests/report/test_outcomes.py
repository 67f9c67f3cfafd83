"""How an apply ended, in words."""

from __future__ import annotations

import click
import pytest

from studio.apply.outcome import FINE, Ending, Outcome
from studio.core.references import Ref
from studio.plan.actions import Action, Verb
from studio.report import outcomes
from studio.report.advice import Here


def outcome(ending: Ending, message: str = "", hint: str = "", name: str = "a") -> Outcome:
    return Outcome(Action(Ref("FineTuningJob", name), Verb.CREATE, "f" * 64), ending, message, hint)


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_a_line_with_a_mark(ending: Ending) -> None:
    shown = click.unstyle(outcomes.line(outcome(ending, "words")))
    assert shown == f"{'✓' if ending in FINE else '✗'} FineTuningJob/a: {ending.value} — words"


def test_what_went_well_is_counted() -> None:
    ended = [outcome(Ending.DONE), outcome(Ending.DONE), outcome(Ending.REUSED), outcome(Ending.SKIPPED)]
    assert click.unstyle(outcomes.summary(ended, Here())) == "\nApplied: 2 done, 1 reused."


def test_what_went_wrong_is_repeated_with_what_to_do() -> None:
    ended = [outcome(Ending.DONE), outcome(Ending.FAILED, "no memory\nleft", "ask for more", "b")]
    shown = click.unstyle(outcomes.summary(ended, Here()))
    assert "Apply failed: 1 done, 1 failed." in shown
    assert "  FineTuningJob/b: failed: no memory\n      | left\n      ask for more" in shown


def test_nothing_done_says_so() -> None:
    assert click.unstyle(outcomes.summary([outcome(Ending.SKIPPED)], Here())) == "\nApplied: nothing."


def test_an_interrupt_says_what_goes_on() -> None:
    assert "Still running: FineTuningJob/a" in outcomes.interrupted(["FineTuningJob/a"], Here())
    assert "'studio apply' goes on from here" in outcomes.interrupted([], Here())
