"""Estimates of what jobs will take, from recorded runs; and what reuse spares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.jobresult import Measures
from studio.core.jobspec import Resources
from studio.plan.actions import to_json
from studio.plan.spend import Hours, Past, Spend, bill, past, spared, spend_json
from studio.plan.workload import Workload, measures, promised, shared
from studio.state.base import Artifact
from studio.workflow import planning
from tests import projects
from tests.jobs.workbench import DATASET, evaluation, export, training
from tests.test_workload import said, spec

ROWS = {**DATASET, "digest": "rows"}


def artifact(work: dict[str, Any], seconds: float, measured: Measures, **resources: int) -> Artifact:
    made = spec(work, **({"cpu": 2, "memory": 4} | resources))
    asked = made.resources.model_dump(mode="json")
    return Artifact(
        made.kind, "f", {}, made.key, "run", "", "", seconds, asked, "2026", measures(promised(made), measured)
    )


def trained(seconds: float = 110, rows: int = 80, working: float = 100, **changes: Any) -> Artifact:
    """A training of 100 rows, of which it saw 80, that spent 10 seconds on something else."""
    measured = Measures(device="cpu", rows=rows, working_seconds=working)
    return artifact(training(**{"dataset": ROWS} | changes), seconds, measured)


def estimate(known: Past, work: dict[str, Any], rows: int | None = 100, **resources: int) -> Spend:
    asked = {"cpu": 2, "memory": 4} | resources
    return known.estimate(said(work, **asked), Resources.model_validate(asked), rows)


def test_without_a_run_nothing_is_said_but_what_is_asked_for() -> None:
    found = estimate(past([]), training(), gpu=1)
    assert (found.cpu, found.gpu, found.memory, found.seconds, found.runs) == (2, 1, 4, None, 0)
    assert found.hours == Hours()
    assert spend_json(found) == {
        "jobs": 1, "cpu": 2, "gpu": 1, "memory_gb": 4, "seconds": None, "least_seconds": None, "most_seconds": None,
        "runs": 0, "same_rows": False, "cpu_hours": None, "gpu_hours": None, "memory_gb_hours": None,
    }  # fmt: skip


def test_the_same_again_takes_as_long_and_more_epochs_take_more_but_load_once() -> None:
    known = past([trained()])
    assert estimate(known, training(dataset=ROWS)).seconds == 110
    assert estimate(known, training(dataset=ROWS, epochs=3)).seconds == 310
    assert estimate(known, training(dataset=ROWS, split={"fraction": 0.5, "train": 0.8})).seconds == 60
    assert estimate(known, training(dataset=ROWS), rows=1000).seconds == 1010


def test_max_steps_count_whatever_the_rows() -> None:
    arguments = {"per_device_train_batch_size": 4, "max_steps": 40}
    assert estimate(past([trained()]), training(training_arguments=arguments), rows=None).seconds == 210


def test_several_runs_give_the_middle_and_how_far_apart_they_are() -> None:
    known = past([trained(100), trained(110), trained(160)])
    found = estimate(known, training(dataset=ROWS))
    assert (found.seconds, found.least, found.most, found.runs, found.same_rows) == (110, 100, 160, 3, True)
    assert estimate(past([trained(100), trained(120)]), training(dataset=ROWS)).seconds == 110


def test_runs_on_the_same_rows_count_alone() -> None:
    other = trained(999, dataset={**ROWS, "digest": "other"})
    assert estimate(past([trained(), other]), training(dataset=ROWS)).seconds == 110
    elsewhere = estimate(past([other]), training(dataset=ROWS))
    assert elsewhere.seconds == 999 and not elsewhere.same_rows


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"name": "other", "type": "project", "location": "models/other", "digest": "x"}},
        {"framework": "axolotl"},
        {"model_quantization": {"load_in_4bit": True}},
    ],
)
def test_a_run_of_another_model_or_in_another_way_says_nothing(changes: dict[str, Any]) -> None:
    assert estimate(past([trained()]), training(dataset=ROWS, **changes)).seconds is None


def test_what_decides_nothing_about_the_pace_may_differ() -> None:
    known = past([trained()])
    assert estimate(known, training(dataset=ROWS, learning_rate=0.5, adapter_name="x"), memory=64).seconds == 110


def test_a_run_on_another_kind_of_machine_says_nothing() -> None:
    known = past([trained()])
    assert estimate(known, training(dataset=ROWS), gpu=1).seconds is None
    assert estimate(known, training(dataset=ROWS), cpu=8).seconds is None
    fast = Measures(device="NVIDIA H100", rows=80, working_seconds=5)
    known = past([artifact(training(dataset=ROWS), 15, fast, gpu=1)])
    assert estimate(known, training(dataset=ROWS), gpu=1, cpu=8).seconds == 15
    assert estimate(known, training(dataset=ROWS), gpu=2).seconds is None
    assert estimate(known, training(dataset=ROWS)).seconds is None


def test_a_job_that_asked_for_a_gpu_and_got_none_says_what_a_cpu_takes() -> None:
    known = past([artifact(training(dataset=ROWS), 110, Measures(device="cpu", rows=80, working_seconds=100), gpu=1)])
    assert estimate(known, training(dataset=ROWS), gpu=1).seconds is None
    assert estimate(known, training(dataset=ROWS)).seconds == 110


def test_rows_that_nobody_counted_are_those_of_a_run_on_the_same_data() -> None:
    known = past([trained()])
    assert estimate(known, training(dataset=ROWS, epochs=2), rows=None).seconds == 210
    halved = training(dataset=ROWS, split={"fraction": 0.5, "train": 0.8})
    assert estimate(known, halved, rows=None).seconds == pytest.approx(60)
    assert estimate(known, training(dataset={**ROWS, "digest": "other"}), rows=None).seconds is None


def test_a_resumed_run_took_what_all_its_attempts_took() -> None:
    measured = Measures(device="cpu", rows=80, working_seconds=100, earlier_seconds=70)
    resumed = artifact(training(dataset=ROWS), 40, measured)
    assert estimate(past([resumed]), training(dataset=ROWS)).seconds == 110
    found = spared(resumed)
    assert found and found.seconds == 110


def test_an_evaluation_counts_its_combinations_and_only_runs_with_the_same_metrics() -> None:
    work = evaluation("adapters/a", dataset=ROWS, metrics=["exact_match", "latency"])
    known = past([artifact(work, 50, Measures(device="cpu", rows=20, working_seconds=40))])
    assert estimate(known, {**work, "metrics": ["latency", "exact_match"]}, rows=20).seconds == 50
    assert estimate(known, {**work, "combinations": work["combinations"] * 2}, rows=20).seconds == 90
    assert estimate(known, {**work, "metrics": ["perplexity"]}, rows=20).seconds is None
    assert estimate(known, {**work, "generation": {"max_new_tokens": 900}}, rows=20).seconds is None


def test_an_export_takes_what_an_export_of_that_model_took_on_any_machine() -> None:
    known = past([artifact(export("a"), 30, Measures(device="cpu", bytes=5))])
    assert estimate(known, export("b", model_name="other"), rows=None, cpu=9).seconds == 30
    assert estimate(known, export("b", weights="reference"), rows=None).seconds is None


def test_an_artifact_of_an_earlier_version_says_nothing_but_what_it_took() -> None:
    old = replace(trained(), measures={})
    assert estimate(past([old]), training(dataset=ROWS)).seconds is None
    found = spared(old)
    assert found and found.seconds == 110
    assert spared(replace(old, resources={"cpu": "many"})) is None and spared(replace(old, seconds=0.0)) is None


def test_workers_ask_for_their_own() -> None:
    asked = Resources(cpu=2, gpu=1, memory=8, workers=3, dist_cpu=4, dist_gpu=1, dist_memory=16)
    found = Past().estimate(Workload(task="training"), asked, None)
    assert (found.cpu, found.gpu, found.memory) == (10, 3, 40)


def test_a_bill_adds_what_is_known_and_counts_what_is_not() -> None:
    known = Spend(2, 1, 4, seconds=1800)
    total = bill([known, known, Spend(8, 8, 8)])
    assert (total.jobs, total.unknown, total.hours) == (3, 1, Hours(cpu=2, gpu=1, memory=4))


@given(st.lists(st.floats(11, 1e6), min_size=1, max_size=40), st.integers(1, 10**6))
def test_an_estimate_lies_between_what_single_runs_foretell_and_grows_with_the_rows(
    seconds: list[float], rows: int
) -> None:
    known = past([trained(each, working=each / 2) for each in seconds])
    found, more = (estimate(known, training(dataset=ROWS), rows=count) for count in (rows, rows + 1))
    assert found.seconds is not None and more.seconds is not None
    assert 0 < found.least <= found.seconds <= found.most
    assert found.seconds < more.seconds
    assert found.runs == min(len(seconds), 20)


def evaluated(seconds: float, parts: int = 1, **changes: Any) -> Artifact:
    """An evaluation of 100 rows by two combinations, that spent 10 seconds for each loading on something else."""
    measured = Measures(device="cpu", rows=100, working_seconds=seconds - 10 * parts, parts=parts)
    return artifact(evaluation("adapters/a", dataset=ROWS, **changes), seconds, measured)


def in_parts(known: Past, work: dict[str, Any]) -> Spend:
    return known.estimate(shared(said(work, cpu=2, memory=4)), Resources(cpu=2, memory=4), 100)


def test_parts_of_an_evaluation_load_each_for_itself() -> None:
    two, three = evaluation("adapters/a", dataset=ROWS), evaluation("adapters/a", "adapters/b", dataset=ROWS)
    alone = past([evaluated(110)])
    assert (estimate(alone, two).seconds, estimate(alone, two).jobs) == (110, 1)
    assert (in_parts(alone, two).seconds, in_parts(alone, two).jobs) == (120, 2)
    assert in_parts(alone, three).seconds == 180
    together = past([evaluated(120, parts=2)])
    assert in_parts(together, two).seconds == 120 and in_parts(together, three).seconds == 180
    assert estimate(together, two).seconds == 110, "one job would load once"


def test_hours_are_those_of_all_parts_and_each_part_is_a_job() -> None:
    found = in_parts(past([evaluated(3600, parts=2)]), evaluation("adapters/a", dataset=ROWS))
    assert (found.hours, bill([found]).jobs) == (Hours(cpu=2, memory=4), 2)
    saved = spared(evaluated(3600, parts=2))
    assert saved and (saved.hours, saved.jobs) == (Hours(cpu=2, memory=4), 2)
    unknown = in_parts(past([]), evaluation("adapters/a", dataset=ROWS))
    assert (bill([unknown]).jobs, bill([unknown]).unknown) == (2, 2)


CML = """\
apiVersion: studio/v1
kind: Project
metadata: {name: desk}
spec: {backend: {type: cml, url: "https://cml.example", project_id: abcd-1234}}
"""


@pytest.mark.parametrize(("settings", "jobs"), [(projects.SETTINGS, 1), (CML, 2)])
def test_a_plan_counts_one_job_for_each_combination_where_the_backend_divides_them(
    tmp_path: Path, settings: str, jobs: int
) -> None:
    found = planning.plan(projects.write(tmp_path, projects.support_desk(), settings), "default")
    assert isinstance(found, planning.Planned), found.findings
    (evaluation,) = [each for each in found.plan.actions if each.ref.kind == "EvaluationJob"]
    assert evaluation.spend and evaluation.spend.jobs == jobs
    assert found.plan.bill.jobs == 2 + jobs
    assert to_json(found.plan)["spend"]["unknown_jobs"] == 2 + jobs
