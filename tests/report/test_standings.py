"""What is recorded and running, as text and JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import click
import pytest

from studio.backends.base import JobState, JobStatus
from studio.core.course import Course
from studio.core.event import Event
from studio.core.references import Ref
from studio.inspection import Standing
from studio.report import evaluations, standings
from studio.report.advice import Here
from studio.state.base import Operation, Record, RecordStatus, Run, RunStatus
from studio.traces import Told
from tests.projects import ROOT

JOB = Ref("FineTuningJob", "train")
TRAINING = {
    "task": "training", "adapter": "runs/x/adapter", "digest": "d" * 64, "metrics": {"train_loss": 0.51, "steps": 10.0},
    "curve": "curves.png",
}  # fmt: skip
EVALUATION = {
    "task": "evaluation", "rows": 8,
    "combinations": [
        {"model": "tiny", "adapter": "", "metrics": {"exact_match": 0.1, "latency": 0.5}},
        {"model": "tiny", "adapter": "router", "metrics": {"exact_match": 0.9}},
    ],
}  # fmt: skip
PASSED = {
    "metric": "exact_match", "combination": "router", "condition": "at least", "threshold": 0.5, "value": 0.9,
    "passed": True,
}  # fmt: skip
MISSED = {**PASSED, "threshold": 0.95, "passed": False}
EXPORT = {"task": "export", "model_name": "router", "model_version": "3", "uri": "models:/router/3"}


def record(outcome: dict[str, Any] | None = None, **changes: Any) -> Record:
    values: dict[str, Any] = {"facts": {}, "outcome": outcome or {}, "updated_at": "2024-01-01T00:00:00Z", **changes}
    status = RecordStatus.FAILED if values.get("error") else RecordStatus.READY
    return Record(JOB, "uid", {}, {"name": "train"}, "f" * 64, {}, status, **values)


def run(status: RunStatus) -> Run:
    return Run("key", 2, "default", JOB, "f" * 64, "local", status, submitted_at="2024")


def live(state: JobState, event: Event | None = None) -> JobStatus:
    return JobStatus(state, event)


EVENT = Event(time=0, phase="train", step=5, total=10, loss=1.234, eta_seconds=61.5)


@pytest.mark.parametrize(
    ("standing", "state", "headline"),
    [
        (Standing(JOB, record({"output": TRAINING}), None, None), "ready", "train_loss 0.51"),
        (Standing(JOB, record({"output": EVALUATION}), None, None), "ready", "8 rows"),
        (Standing(JOB, record({"output": EVALUATION, "verdicts": [PASSED]}), None, None), "ready", "gates passed"),
        (
            Standing(JOB, record({"output": EVALUATION, "verdicts": [PASSED, MISSED]}), None, None),
            "ready",
            "gate missed: exact_match of router: 0.9, not at least 0.95",
        ),
        (Standing(JOB, record({"output": EXPORT}), None, None), "ready", "router version 3"),
        (
            Standing(JOB, record(facts={"rows": 2615, "features": ["a", "b"]}), None, None),
            "ready",
            "2,615 rows, columns a, b",
        ),
        (Standing(JOB, record(facts={"family": "LlamaForCausalLM"}), None, None), "ready", "LlamaForCausalLM"),
        (Standing(JOB, record(error="it broke\nbadly"), None, None), "failed", "it broke"),
        (
            Standing(JOB, None, run(RunStatus.SUBMITTED), live(JobState.RUNNING, EVENT)),
            "running",
            "train 5/10 loss 1.234, 1:01 left",
        ),
        (Standing(JOB, None, run(RunStatus.SUBMITTED), live(JobState.SUCCEEDED)), "succeeded, not recorded", ""),
        (Standing(JOB, None, run(RunStatus.INTENT), None), "intent", ""),
        (Standing(JOB, None, None, None), "not applied", ""),
    ],
)  # fmt: skip
def test_a_standing_is_one_word_and_one_thing_to_know(standing: Standing, state: str, headline: str) -> None:
    assert (standing.state, standings.headline(standing)) == (state, headline)


def test_each_resource_has_a_line_and_the_last_operation_ends_the_list() -> None:
    last = Operation("1", "default", "apply", "me", "abcdef0123456789", "start", "end", "succeeded")
    shown = click.unstyle(standings.to_text([Standing(JOB, record({"output": TRAINING}), None, None)], last, Here()))
    assert shown == "FineTuningJob/train  ready     train_loss 0.51\n\nLast apply by me at abcdef012345: succeeded, end"


@pytest.mark.parametrize(("at_work", "words"), [("1", "under way"), ("", "killed")])
def test_an_operation_without_an_end_is_under_way_or_was_killed(at_work: str, words: str) -> None:
    last = Operation("1", "default", "apply", "me", "", "start")
    shown = standings.to_text([Standing(JOB, None, None, None)], last, Here(), at_work)
    assert f"Last apply by me: {words}, start" in shown


def test_nothing_recorded_says_what_to_do() -> None:
    assert "'studio apply' makes the first records" in standings.to_text([], None, Here())


def test_the_comparison_shows_each_metric_beside_the_baseline_and_then_the_gates() -> None:
    shown = "\n".join(map(click.unstyle, evaluations.comparison(EVALUATION, [PASSED, MISSED])))
    assert "8 held-out rows" in shown and "tiny (baseline)" in shown
    assert "tiny + router" in shown and "0.9 (+0.8)" in shown and " - " not in shown.splitlines()[3]
    assert "✓ exact_match of router: 0.9, at least 0.5" in shown
    assert "✗ exact_match of router: 0.9, not at least 0.95" in shown


def test_a_gain_is_above_0_where_it_is_better_also_of_a_metric_that_is_better_when_it_is_lower() -> None:
    named = {"column": "queue", "value": "card", "rows": 40}
    measured = [{"perplexity": 450.0, "bleu": 0.2}, {"perplexity": 50.0, "bleu": 0.1}]
    combinations = [
        {"model": "tiny", "adapter": adapter, "metrics": each, "slices": [{**named, "metrics": each}]}
        for adapter, each in zip(("", "router"), measured, strict=True)
    ]
    shown = "\n".join(evaluations.comparison({**EVALUATION, "combinations": combinations}, []))
    assert shown.count("50 (+400)") == 2 and shown.count("0.1 (-0.1)") == 2
    assert "in brackets the gain over the baseline: above 0 is better" in shown


def test_intervals_and_the_test_against_the_baseline_are_shown_and_make_the_headline() -> None:
    base, tuned = EVALUATION["combinations"]
    ends = [{"confidence": 0.95, "low": 0.85, "high": 0.94}]
    output = {
        **EVALUATION,
        "combinations": [base, {**tuned, "intervals": {"exact_match": ends}}],
        "differences": [{
            "metric": "exact_match", "combination": 1, "than": 0, "gain": 0.8, "p_value": 0.00012, "test": "McNemar",
            "intervals": [{"confidence": 0.95, "low": 0.7, "high": 0.88}],
        }],
    }  # fmt: skip
    shown = [" ".join(line.split()) for line in evaluations.comparison(output, [])]
    assert "95% intervals, as if other such rows were asked" in shown
    assert "tiny + router exact_match [0.85, 0.94] +0.8 [0.7, 0.88] 0.00012 McNemar" in shown
    words = "8 rows, exact_match of router 0.9 [0.85, 0.94], +0.8 over the baseline (p 0.00012)"
    assert standings.headline(Standing(JOB, record({"output": output}), None, None)) == words


def test_slices_are_shown_below_each_other_and_those_of_few_rows_are_marked() -> None:
    def sliced(*shares: float) -> list[dict[str, Any]]:
        made = zip(("card", "loan"), (200, 12), shares, strict=True)
        return [{"column": "queue", "value": v, "rows": n, "metrics": {"exact_match": s}} for v, n, s in made]

    base, tuned = EVALUATION["combinations"]
    output = {
        **EVALUATION,
        "combinations": [{**base, "slices": sliced(0.2, 0.0)}, {**tuned, "slices": sliced(0.9, 0.5)}],
    }
    shown = [" ".join(line.split()) for line in evaluations.comparison(output, [])]
    at = shown.index("queue rows combination exact_match")
    assert shown[at + 2 : at + 6] == [
        "card 200 tiny (baseline) 0.2", "tiny + router 0.9 (+0.7)",
        "loan 12* tiny (baseline) 0", "tiny + router 0.5 (+0.5)",
    ]  # fmt: skip
    assert "* 1 slice of few rows: chance moves such numbers" in shown


@pytest.mark.parametrize("output", [TRAINING, EVALUATION, EXPORT, None])
def test_the_detail_holds_what_is_known_and_nothing_that_is_not(output: dict[str, Any] | None) -> None:
    outcome = {"output": output, "seconds": 125.0, "mlflow_run_id": "m1"} if output else {}
    shown = click.unstyle(standings.detail(Standing(JOB, record(outcome), run(RunStatus.SUCCEEDED), None)))
    assert shown.startswith("FineTuningJob/train  ready") and "None" not in shown
    assert "latest run: key, attempt 2, succeeded" in shown
    assert ("2 min 5 s" in shown) is bool(output) and ("MLflow run" in shown) is bool(output)


def test_the_json_form_is_plain_data() -> None:
    given = [
        Standing(JOB, record({"output": TRAINING}), run(RunStatus.SUCCEEDED), None),
        Standing(JOB, None, None, None),
    ]
    first, second = json.loads(json.dumps(standings.to_json(given)))
    assert first["resource"] == first["record"]["ref"] == first["run"]["ref"] == "FineTuningJob/train"
    assert first["record"]["status"] == "ready" and first["run"]["status"] == "succeeded"
    assert second == {
        "resource": "FineTuningJob/train",
        "state": "not applied",
        "headline": "",
        "earlier_version": False,
        "held_back": "",
        "trials": [],
        "record": None,
        "run": None,
    }


def test_the_guide_names_every_field_of_the_json_form() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    table = page.partition("### `status --json`")[2].partition("\n\nTimes are")[0]
    rows = [re.findall(r"`([a-z_]+)`", row) for row in table.splitlines() if row.startswith("| `")]
    documented = {field: inner for field, *inner in rows}
    found = standings.to_json([Standing(JOB, record(), run(RunStatus.SUCCEEDED), None)])[0]
    assert documented.keys() == found.keys()
    for part in ("record", "run"):
        assert found[part].keys() <= {*documented[part]}, part


def test_show_draws_the_loss_of_a_training_with_the_numbers_that_count() -> None:
    losses = Course(steps=(10, 20, 30), curves={"loss": (2.0, 0.25, 0.5), "memory_bytes": (1e9, 1.5e9, 2e9)})
    shown = standings.detail(Standing(JOB, record({"output": TRAINING}), None, None), Told(losses, "the events"))
    assert "course         steps 10 to 30, from the events" in shown
    assert "training loss        █▁▂  2 → 0.5, lowest 0.25 at step 20" in shown
    assert "process memory       ▁▅█  1 GB → 2 GB" in shown


def test_show_says_when_nothing_of_the_course_is_kept() -> None:
    shown = standings.detail(Standing(JOB, record({"output": TRAINING}), None, None), Told(Course(), "nothing is kept"))
    assert shown.endswith("\n  course         nothing is kept")


def test_show_says_why_a_training_stopped_early() -> None:
    stopped = {"step": 4, "steps": 6, "metric": "eval_loss", "best": 1.25, "best_step": 2, "patience": 1}
    ended = "stopped early at step 4 of 6 (patience 1): eval_loss did not fall"
    for delta, fall in ((0.0, "below"), (0.5, "by more than 0.5 below")):
        output = TRAINING | {"stopped": stopped | {"min_delta": delta}}
        shown = standings.detail(Standing(JOB, record({"output": output}), None, None))
        assert f"  ended          {ended} {fall} the 1.2500 of step 2" in shown


def test_facts_are_shown_as_yaml_would_write_them() -> None:
    facts = {"pinned": True, "chat": {"system": "", "turns": [1, None]}, "features": ["a", "b"], "rows": None}
    shown = standings.detail(Standing(JOB, record(facts=facts), None, None))
    assert '  pinned         true\n  chat           {system: "", turns: [1, null]}\n  features       a, b' in shown
    assert "rows" not in shown
