"""A plan says which exports it will not perform, and by which gate, metric, value and threshold."""

from __future__ import annotations

from studio.apply.outcome import Ending
from studio.plan.actions import Action
from studio.plan.selection import Selection
from studio.report.markdown import plan_to_markdown
from studio.report.plans import to_text
from tests.test_apply import EXPORT
from tests.test_removing import Desk, desk  # noqa: F401

MISSED = "EvaluationJob/router-vs-base misses a gate: exact_match of ticket-router: 0.1, not at least 0.6"


def export(desk: Desk) -> Action:  # noqa: F811
    return next(each for each in desk.plan(Selection()).plan.actions if each.ref == EXPORT)


def edit(desk: Desk, old: str, new: str) -> None:  # noqa: F811
    file = desk.root / "manifests" / "router.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_a_missed_gate_is_told_before_apply(desk: Desk) -> None:  # noqa: F811
    desk.backend.metrics = {"exact_match": 0.1}
    assert export(desk).held == ""
    assert desk.apply(Selection())[EXPORT].ending is Ending.HELD
    assert export(desk).held.startswith(MISSED)
    planned = desk.plan(Selection())
    text = to_text(planned.plan, planned.desire, color=False)
    assert f"      held back: {MISSED}" in text and "job will run" not in text
    assert f"<br>held back: `{MISSED}" in plan_to_markdown(planned.plan)


def test_a_gate_that_was_lowered_is_decided_anew(desk: Desk) -> None:  # noqa: F811
    desk.backend.metrics = {"exact_match": 0.1}
    desk.apply(Selection())
    edit(desk, "min: 0.6", "min: 0.05")
    edit(desk, "min_gain_over_baseline: 0.3", "min_gain_over_baseline: 0.05")
    assert export(desk).held == ""
    assert desk.apply(Selection())[EXPORT].ending is Ending.DONE


def test_a_gate_that_was_raised_holds_back_what_is_to_be_exported(desk: Desk) -> None:  # noqa: F811
    desk.apply(Selection())
    edit(desk, "min: 0.6", "min: 0.95")
    edit(desk, "model_name: ticket-router", "model_name: another")
    assert "exact_match of ticket-router: 0.9, not at least 0.95" in export(desk).held


def test_an_evaluation_that_runs_again_says_nothing_yet(desk: Desk) -> None:  # noqa: F811
    desk.backend.metrics = {"exact_match": 0.1}
    desk.apply(Selection())
    edit(desk, "learning_rate: 3.0e-3", "learning_rate: 2.0e-3")
    assert export(desk).held == ""
