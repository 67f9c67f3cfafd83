"""What a job's duration depends on: read off its work, kept with its artifact, read back."""

from __future__ import annotations

from typing import Any

import pytest

from studio.core.jobresult import Measures
from studio.core.jobspec import JobSpec, Resources
from studio.plan.workload import Workload, measured, measures, promised, workload
from tests.jobs.workbench import evaluation, export, training


def spec(work: dict[str, Any], **resources: int) -> JobSpec:
    return JobSpec.model_validate(
        {
            "key": "k", "kind": "FineTuningJob", "name": "n", "fingerprint": "f", "environment": "dev",
            "project_dir": "/project", "run_dir": "run", "work": work, "resources": resources,
            "tracking": {"tracking_uri": "sqlite:///mlflow.db", "experiment": "e"},
        }
    )  # fmt: skip


def said(work: dict[str, Any], **resources: int) -> Workload:
    made = spec(work, **resources)
    return workload(made.work, made.resources)


def test_a_training_works_on_its_share_of_the_rows_as_often_as_it_has_epochs() -> None:
    found = said(training(epochs=3, split={"fraction": 0.5, "train": 0.8}))
    assert (found.task, found.framework, found.epochs, found.share) == ("training", "legacy", 3, 0.4)
    assert found.volume(100) == 300


def test_max_steps_decide_how_many_rows_are_shown() -> None:
    arguments = {"max_steps": 10, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    assert said(training(training_arguments=arguments)).volume(1_000_000) == 80
    assert said(training(training_arguments=arguments), workers=3).volume(1) == 240
    assert said(training(training_arguments={"max_steps": -1}, epochs=2)).volume(7) == 14


def test_an_evaluation_works_on_what_training_did_not_see() -> None:
    dataset = {"name": "tickets", "type": "project_csv", "location": "t.csv", "digest": "d"}
    seen = [{"dataset_digest": "d", "split": {"fraction": 1.0, "train": 0.75}}]
    found = said(evaluation("adapters/a", dataset=dataset, seen=seen, fraction=0.5, generation={}))
    assert (found.share, found.combinations, found.max_new_tokens) == (0.125, 2, 64)
    assert found.volume(10) == 20
    elsewhere = [{"dataset_digest": "other", "split": {"fraction": 1.0, "train": 0.75}}]
    assert said(evaluation(dataset=dataset, seen=elsewhere)).share == 1.0


def test_an_export_counts_once() -> None:
    assert said(export("adapters/a")).volume(0) == 1


def test_the_content_of_a_model_counts_and_its_name_only_where_nothing_else_is_known() -> None:
    model = {"name": "one", "type": "project", "location": "models/one", "digest": "abc"}
    moved = {**model, "name": "two", "location": "models/two"}
    assert said(training(model=model)) == said(training(model=moved))
    hub = {"name": "x", "type": "huggingface", "huggingface_name": "o/x", "revision": "r1"}
    assert said(training(model=hub)) != said(training(model={**hub, "revision": "r2"}))


@pytest.mark.parametrize("work", [training(epochs=2), evaluation("adapters/a"), export(None)])
def test_what_is_kept_is_read_back_and_holds_no_defaults(work: dict[str, Any]) -> None:
    made = spec(work)
    kept = measures(promised(made), Measures(device="cpu", rows=20, working_seconds=1.5))
    found = measured(kept)
    assert found is not None and (found.rows, found.working_seconds) == (20, 1.5)
    assert all(getattr(found, name) == value for name, value in said(work))
    assert "tokens" not in kept and "workers" not in kept


@pytest.mark.parametrize(
    "kept", [{}, {"task": "training"}, {"task": "training", "device": "cpu", "from_the_future": 1}, {"device": "cpu"}]
)
def test_an_artifact_that_measured_nothing_or_says_it_otherwise_says_nothing(kept: dict[str, Any]) -> None:
    assert measured(kept) is None


def test_resources_of_one_job_alone_are_one_device() -> None:
    made = spec(training(training_arguments={"max_steps": 5, "per_device_train_batch_size": 2}), gpu=2)
    assert workload(made.work, Resources(gpu=2)).volume(1) == 20
