"""What jobs take and reuse spares, in words."""

from __future__ import annotations

import pytest

from studio.core.jobspec import Resources
from studio.core.references import Ref
from studio.plan.actions import Action, Plan, Verb
from studio.plan.spend import Account, Bill, Hours, Spend
from studio.report import costs

ASKED = Resources(cpu=2, gpu=1, memory=8)
FORETOLD = Spend(2, 1, 8, seconds=3600, least=3240, most=3960, runs=3, same_rows=True)


def action(verb: Verb, spend: Spend | None = None, *, attaches: bool = False) -> Action:
    job = Ref("FineTuningJob", "train")
    return Action(job, verb, "f", resources=ASKED, reason="why", attaches=attaches, spend=spend)


def plan(*actions: Action) -> Plan:
    return Plan("default", "", 0, "", actions)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (action(Verb.CREATE, FORETOLD), "about 60 min (3 runs on the same rows, 0.9× to 1.1×)"),
        (action(Verb.RETRY, FORETOLD), "at most about 60 min (3 runs on the same rows, 0.9× to 1.1×)"),
        (action(Verb.CREATE, FORETOLD, attaches=True), "at most about 60 min (3 runs on the same rows, 0.9× to 1.1×)"),
        (action(Verb.CREATE, Spend(2, 0, 8, 40, 40, 40, 1)), "about 40 s (1 run on other rows)"),
        (action(Verb.CREATE, Spend(2, 0, 8)), "time unknown"),
        (action(Verb.CREATE, Spend(2, 0, 8, jobs=3)), "time unknown in 3 such jobs"),
        (action(Verb.CREATE, Spend(2, 0, 8, 40, 40, 40, 1, jobs=3)), "about 40 s in 3 such jobs (1 run on other rows)"),
        (action(Verb.CREATE), ""),
        (action(Verb.REUSE, FORETOLD), ""),
        (action(Verb.NONE, FORETOLD), ""),
    ],
)
def test_a_job_says_how_long_and_on_what_that_rests(given: Action, words: str) -> None:
    assert costs.job(given) == words


def test_only_a_reuse_saves_and_only_what_is_known() -> None:
    assert costs.saving(action(Verb.REUSE, FORETOLD)) == "saves 1.0 GPU-hours, 2.0 CPU-hours, 8.0 GB-hours (60 min)"
    assert costs.saving(action(Verb.REUSE, Spend(2, 1, 8))) == costs.saving(action(Verb.CREATE, FORETOLD)) == ""


def test_totals_say_what_is_missing_from_them() -> None:
    known, unknown = action(Verb.CREATE, FORETOLD), action(Verb.REPLACE)
    hours = "1.0 GPU-hours, 2.0 CPU-hours, 8.0 GB-hours"
    assert costs.totals(plan(known)) == [f"Spend: about {hours}."]
    assert costs.totals(plan(known, unknown)) == [f"Spend: at least {hours}; the time of 1 job is unknown."]
    assert costs.totals(plan(unknown)) == ["Spend: unknown, there is no recorded run to go by."]
    assert costs.totals(plan(action(Verb.REUSE, FORETOLD))) == [f"Reuse saves {hours}."]
    assert costs.totals(plan(action(Verb.NONE), action(Verb.REUSE))) == []


def test_after_an_apply_what_was_spent_stands_beside_what_was_foreseen() -> None:
    real, foreseen = Bill(2, 0, Hours(2.5, 0, 5)), Bill(2, 1, Hours(1, 0, 2))
    beside = "at least 1.0 CPU-hours, 2.0 GB-hours; the time of 1 job is unknown"
    spent = "Spent: 2.5 CPU-hours, 5.0 GB-hours in 2 jobs"
    assert costs.spent(Account(real, foreseen)) == f"{spent} (foreseen: {beside})."
    assert costs.spent(Account(real, Bill(2, 2, Hours()))) == f"{spent}."
    assert costs.spent(Account(saved=real)) == "Reuse saved 2.5 CPU-hours, 5.0 GB-hours."
    assert costs.spent(Account()) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 s"), (89, "89 s"), (91, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (200_000, "2.3 days")],
)
def test_a_duration_is_in_the_unit_that_people_would_use(seconds: float, words: str) -> None:
    assert costs.duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0"), (0.000278, "0.00028"), (0.5, "0.5"), (1.26, "1.3"), (1234.5, "1,234")]
)
def test_a_number_has_the_digits_that_count(value: float, words: str) -> None:
    assert costs.number(value) == words
