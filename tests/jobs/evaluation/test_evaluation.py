"""Evaluation: comparable answers on rows that training did not see."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from studio.core.fingerprints import file_digest
from studio.core.jobresult import EvaluationOutput
from studio.core.jobspec import JobSpec
from studio.core.metric_names import EVALUATION_METRICS

from ..workbench import DATASET, MODEL, MakeSpec, adapter, build_model, evaluation, events, failure, messages, perform

pytestmark = pytest.mark.slow


def output(spec: JobSpec) -> EvaluationOutput:
    result = perform(spec)
    assert isinstance(result.output, EvaluationOutput), result.failure
    return result.output


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_an_adapter_is_compared_with_its_base(make_spec: MakeSpec, router: str) -> None:
    spec = make_spec(evaluation(router, metrics=list(EVALUATION_METRICS), selected_features=["text"]))
    made = output(spec)
    base, tuned = made.combinations
    assert (base.model, base.adapter, tuned.adapter, made.rows) == ("tiny", "", "router", 25)
    assert list(base.metrics) == [*EVALUATION_METRICS, "rows_per_second"]
    assert base.metrics["exact_match"] == 0.0 and tuned.metrics["exact_match"] == 1.0
    assert tuned.metrics["rougeL"] == tuned.metrics["rouge1"] == 1.0 and tuned.metrics["rouge2"] == 0.0
    assert tuned.metrics["perplexity"] < 1.5 < base.metrics["perplexity"]
    assert tuned.metrics["latency"] > 0
    rows = table(spec.path(tuned.predictions))
    assert list(rows[0]) == ["text", "prompt", "expected", "prediction", "correct"]
    assert {row["correct"] for row in rows} == {"True"} and rows[0]["prediction"] == " card"
    compared = table(spec.folder / "comparison.csv")
    assert compared[1]["exact_match_gain"] == "1.0" and float(compared[1]["perplexity_gain"]) > 0
    assert spec.path(made.chart).read_bytes().startswith(b"\x89PNG")
    assert [(e.step, e.total) for e in events(spec) if e.phase == "evaluate"] == [(25, 50), (50, 50)]


def test_it_measures_what_its_duration_depends_on(make_spec: MakeSpec, router: str) -> None:
    result = perform(make_spec(evaluation(router, metrics=["exact_match"])))
    told = result.measures
    assert (told.device, told.rows) == ("cpu", 25) and told.parameters > 50_000
    assert 0 < told.working_seconds < result.seconds


def test_slices_are_measured_on_their_own_rows_in_output_table_and_mlflow(make_spec: MakeSpec, router: str) -> None:
    from mlflow.tracking import MlflowClient

    spec = make_spec(evaluation(router, metrics=["exact_match", "perplexity", "latency"], slice_by=["queue", "text"]))
    base, tuned = output(spec).combinations
    assert [(each.column, each.rows) for each in tuned.slices] == [("queue", 5)] * 5 + [("text", 1)] * 25
    assert all(
        each.metrics["exact_match"] == 1.0 and list(each.metrics) == ["exact_match", "perplexity"]
        for each in tuned.slices
    )
    losses = [math.log(each.metrics["perplexity"]) for each in base.slices[:5]]
    assert min(losses) < math.log(base.metrics["perplexity"]) < max(losses)
    assert len(table(spec.folder / "comparison.csv")) == 2 + 2 * 30
    logged = MlflowClient(f"sqlite:///{spec.path('.studio/mlflow.db')}").get_run(tuned.mlflow_run_id).data.metrics
    assert logged["exact_match/queue/card"] == 1.0


def test_mlflow_holds_one_run_per_combination_under_one_parent(make_spec: MakeSpec, router: str) -> None:
    from mlflow.tracking import MlflowClient

    spec = make_spec(evaluation(router))
    result = perform(spec)
    assert isinstance(result.output, EvaluationOutput)
    client = MlflowClient(f"sqlite:///{spec.path('.studio/mlflow.db')}")
    artifacts = {artifact.path for artifact in client.list_artifacts(result.mlflow_run_id)}
    assert artifacts == {"comparison.csv", "comparison.png"}
    for number, combination in enumerate(result.output.combinations, start=1):
        run = client.get_run(combination.mlflow_run_id)
        assert run.data.tags["mlflow.parentRunId"] == result.mlflow_run_id
        assert run.data.metrics["exact_match"] == combination.metrics["exact_match"]
        assert run.data.params["baseline"] == str(number == 1)
        held = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert held == {f"predictions-{number}.csv", f"confusion-{number}.csv", f"confusion-{number}.png"}
        first = spec.path(combination.confusion).read_text().splitlines()[0]
        assert first == "expected,card,fees,loan,login,other,(other)"


def test_an_adapter_leaves_no_trace_in_the_base_after_it(make_spec: MakeSpec, router: str) -> None:
    work = evaluation(router)
    work["combinations"] = [work["combinations"][1], work["combinations"][0], work["combinations"][1]]
    first, base, again = output(make_spec(work)).combinations
    alone = output(make_spec(evaluation(), "alone")).combinations[0]
    assert base.metrics["perplexity"] == alone.metrics["perplexity"]
    assert first.metrics["perplexity"] == again.metrics["perplexity"]
    assert first.metrics["exact_match"] == again.metrics["exact_match"] == 1.0


def test_an_adapter_with_whole_layers_leaves_no_trace_either(make_spec: MakeSpec, project: Path) -> None:
    from ..export.test_merge import build_adapter

    build_adapter(
        project / "models" / "tiny", project / "whole", target_modules=["q_proj"], modules_to_save=["lm_head"]
    )
    work = evaluation("whole")
    work["combinations"] = [work["combinations"][1], work["combinations"][0]]
    after = output(make_spec(work)).combinations[1]
    alone = output(make_spec(evaluation(), "alone")).combinations[0]
    assert after.metrics["perplexity"] == alone.metrics["perplexity"]


def test_sampling_repeats(make_spec: MakeSpec) -> None:
    work = evaluation(generation={"do_sample": True, "temperature": 1.5, "max_new_tokens": 8})
    texts = [
        [row["prediction"] for row in table(spec.path(output(spec).combinations[0].predictions))]
        for spec in (make_spec(work, "a"), make_spec(work, "b"))
    ]
    assert texts[0] == texts[1] and len(set(texts[0])) > 1


def test_batched_answers_are_those_of_one_prompt_at_a_time(
    make_spec: MakeSpec, router: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from studio.jobs.model import batching

    def answers(run: str) -> list[str]:
        spec = make_spec(evaluation(router), run)
        return [row["prediction"] for row in table(spec.path(output(spec).combinations[1].predictions))]

    batched = answers("batched")
    monkeypatch.setattr(batching, "LARGEST_BATCH", 1)
    assert answers("single") == batched


def test_only_rows_that_training_did_not_see_are_asked(make_spec: MakeSpec, project: Path) -> None:
    digest = file_digest(project / "data" / "tickets.csv")
    seen = [{"dataset_digest": digest, "split": {"train": 0.8}}]
    spec = make_spec(evaluation(dataset={**DATASET, "digest": digest}, seen=seen))
    assert output(spec).rows == 5
    all_seen = [{"dataset_digest": digest, "split": {"train": 1.0}}]
    text = failure(make_spec(evaluation(dataset={**DATASET, "digest": digest}, seen=all_seen), "none"))
    assert "none is left to evaluate on" in text


def test_quantised_and_plain_bases_are_loaded_apart(make_spec: MakeSpec, router: str) -> None:
    quantization = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    spec = make_spec(evaluation(router, adapter_quantization=quantization))
    base, tuned = output(spec).combinations
    assert [event.phase for event in events(spec)].count("load") == 2
    assert base.metrics["perplexity"] > tuned.metrics["perplexity"]


def test_long_prompts_keep_their_end_and_are_counted(make_spec: MakeSpec) -> None:
    templates = {"prompt": "x", "input": "x" * 300 + "{text}", "completion": " {queue}"}
    spec = make_spec(evaluation(templates=templates))
    output(spec)
    assert "25 prompts lost their beginning" in messages(spec)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"metrics": ["exact_math"]}, "did you mean 'exact_match'"),
        ({"generation": {"max_tokens": 8}}, "unknown key 'max_tokens'"),
        ({"generation": {"max_new_tokens": -1}}, "generation_config"),
        ({"generation": {"max_new_tokens": 4096}}, "leaves no room for a prompt"),
        ({"selected_features": ["txt"]}, "did you mean 'text'"),
        ({"slice_by": ["txt"]}, "slice_by: the dataset has no column 'txt'"),
        ({"templates": {"prompt": "{text}"}}, "input_template and completion_template"),
        ({"combinations": [{"model": MODEL, "adapter": adapter("gone")}]}, "gone does not exist"),
        ({"combinations": [{"model": MODEL, "adapter": adapter("data")}]}, "has no adapter_config.json"),
    ],
)
def test_what_a_user_can_mend_is_said(make_spec: MakeSpec, changes: dict[str, Any], fault: str) -> None:
    assert fault in failure(make_spec(evaluation(**changes)))


@pytest.mark.parametrize("config", [{"num_hidden_layers": 3}, {"hidden_size": 128}])
def test_an_adapter_of_another_model_is_refused(make_spec: MakeSpec, project: Path, config: dict[str, int]) -> None:
    from ..export.test_merge import build_adapter

    other = build_model(project / "models" / "other", **config)
    build_adapter(other, project / "foreign", target_modules=["q_proj"])
    assert "does not fit the base model" in failure(make_spec(evaluation("foreign")))
