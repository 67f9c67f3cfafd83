"""Tasks of lm-evaluation-harness: of the project, asked of a model in memory; nothing in them is run."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from studio.core import harness_tasks, parts
from studio.core.errors import JobError
from studio.core.fingerprints import file_digest
from studio.core.harness_tasks import HarnessWork
from studio.core.jobresult import CombinationOutput, EvaluationOutput
from studio.core.jobspec import JobSpec
from studio.core.metric_names import gain
from studio.jobs.evaluation import gathering, harness, run, sureness
from studio.jobs.events import EventLog
from studio.jobs.result import read_result, write_result
from studio.resources import gates
from studio.resources.evaluation_job import Gate

from ..workbench import QUEUES, TEXTS, MakeSpec, evaluation, events, failure, perform

needs_lm_eval = pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="lm_eval is not installed")
TASK: dict[str, Any] = {
    "task": "queues",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "tasks/rows.jsonl"}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "### {{text}}\n>",
    "doc_to_target": "{{label}}",
    "doc_to_choice": ["card", "loan"],
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
}


def files(spec: JobSpec, **changes: Any) -> dict[str, Any]:
    """Write a task and its rows; the work that asks it."""
    folder = spec.path("tasks")
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"text": f"lost my {name}", "label": label} for label, name in enumerate(("card", "loan"))] * 3
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (folder / "queues.yaml").write_text(yaml.safe_dump({**TASK, **changes}), encoding="utf-8")
    return work(spec)


def work(spec: JobSpec) -> dict[str, Any]:
    found = {f"tasks/{path.name}": file_digest(path) for path in spec.path("tasks").iterdir()}
    return {"tasks": ["queues"], "folder": "tasks", "files": found}


def test_without_lm_eval_the_job_ends_before_a_model_is_loaded(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(JobError, match="lm_eval, which is not installed") as refused:
        harness.ready(make_spec(evaluation()), HarnessWork(tasks=("hellaswag",)))
    assert refused.value.hint == "pip install lm_eval"


def test_a_task_file_that_changed_since_the_plan_is_refused(make_spec: MakeSpec) -> None:
    spec = make_spec(evaluation())
    asked = HarnessWork.model_validate(files(spec))
    assert [name for name, _ in harness._defined(spec, asked)] == ["queues"]
    spec.path("tasks/rows.jsonl").write_text("{}", encoding="utf-8")
    with pytest.raises(JobError, match=r"tasks/rows.jsonl is not what it was"):
        dict(harness._defined(spec, asked))


def test_a_job_runs_no_function_of_a_task_file(make_spec: MakeSpec) -> None:
    spec = make_spec(evaluation())
    files(spec)
    path: Path = spec.path("tasks/queues.yaml")
    path.write_text(path.read_text() + "process_docs: !function evil.run\n", encoding="utf-8")
    with pytest.raises(JobError, match=r"tasks/queues.yaml cannot be read: .*!function"):
        dict(harness._defined(spec, HarnessWork.model_validate(work(spec))))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"include": "/etc/task.yaml"}, "include is not taken"),
        ({"custom_dataset": "x"}, "custom_dataset is not taken"),
        ({"unsafe_code": True}, "unsafe_code is not taken"),
        ({"doc_to_text": ["a"]}, "doc_to_text is no text"),
        ({"dataset_path": "acme/rows"}, "dataset_path is 'acme/rows'"),
        ({"dataset_kwargs": {"data_files": {"test": "../rows.jsonl"}}}, "is not in tasks"),
        ({"dataset_kwargs": {"data_files": {"test": "tasks/../../rows.jsonl"}}}, "is not in tasks"),
        ({"dataset_kwargs": {"data_files": {"test": "https://example.com/r"}}}, "is not in tasks"),
        ({"dataset_kwargs": {"data_files": {"test": "tasks/*.jsonl"}}}, "is not in tasks"),
        ({"dataset_kwargs": {"trust_remote_code": True}}, "dataset_kwargs is not data_files alone"),
        ({"test_split": None}, "test_split is no text"),
        ({"test_split": "validation"}, "test_split is 'validation', for which data_files has no file"),
        ({"fewshot_split": "train"}, "fewshot_split is 'train', for which"),
        ({"test_split": "", "validation_split": "test"}, "test_split is '', for which"),
        ({"dataset_kwargs": {"data_files": {1: "tasks/rows.jsonl"}}}, "data_files: 1 is no name of a split"),
        ({"dataset_kwargs": {"data_files": {"a b": "tasks/rows.jsonl"}}}, "data_files: 'a b' is no name"),
        ({"num_fewshot": "a"}, "num_fewshot is 'a'"),
        ({"num_fewshot": -1}, "num_fewshot is -1"),
        ({"num_fewshot": 1.5}, "num_fewshot is 1.5"),
        ({"num_fewshot": True}, "num_fewshot is True"),
        ({"doc_to_choice": None}, "there is no doc_to_choice"),
        ({"doc_to_text": "a\n{% if %}"}, "doc_to_text, line 2: "),
        ({"doc_to_target": "{{ label | nope }}"}, "doc_to_target, line 1: there is no filter 'nope'"),
        ({"doc_to_choice": "{{ ['a', 'b'"}, "doc_to_choice, line 1: unexpected end"),
        ({"description": "{% include 'other' %}"}, "description, line 1: it asks for another template"),
        ({"gen_prefix": "{% for x in y %}{% break %}{% endfor %}"}, "gen_prefix, line 1: Encountered unknown tag"),
        ({"output_type": "code"}, "output_type is 'code'"),
        ({"output_type": ["code"]}, "output_type is ['code']"),
        ({"doc_to_choice": {"a": 1}}, "doc_to_choice is neither"),
        ({"metric_list": [{"metric": "acme/evil"}]}, "'acme/evil' is no metric"),
        ({"metric_list": [{"metric": ["acc"]}]}, "['acc'] is no metric"),
        ({"metric_list": [{"metric": "acc", "hf_evaluate": True}]}, "hf_evaluate is not taken"),
        ({"metric_list": [{"metric": "acc", "aggregation": "evil"}]}, "no aggregation 'evil'"),
        ({"generation_kwargs": {"custom_generate": "acme/evil"}}, "custom_generate is not taken"),
        ({"generation_kwargs": "x"}, "generation_kwargs: it is not taken"),
    ],
)
def test_what_runs_or_fetches_code_or_reads_elsewhere_is_not_taken(change: dict[str, Any], what: str) -> None:
    assert not list(harness_tasks.faults(TASK, "tasks"))
    assert any(what in message for message, _ in harness_tasks.faults({**TASK, **change}, "tasks"))


@pytest.mark.parametrize("key", ["doc_to_text", "doc_to_target"])
@pytest.mark.parametrize("output", sorted(harness_tasks.OUTPUTS))
def test_every_task_says_what_is_asked_and_what_is_expected(key: str, output: str) -> None:
    task = {**TASK, "output_type": output}
    assert not list(harness_tasks.faults(task, "tasks"))
    del task[key]
    assert [message for message, _ in harness_tasks.faults(task, "tasks")] == [f"there is no {key}"]


@pytest.mark.parametrize(
    "change",
    [
        {"num_fewshot": 0},
        {"num_fewshot": None},
        {"doc_to_text": "", "output_type": "loglikelihood_rolling"},
        {"doc_to_text": "text", "doc_to_target": 0},
        {"doc_to_text": "{{ text | regex_replace('a', 'b') }}", "doc_to_choice": "{{ [a, b] }}"},
        {"dataset_kwargs": {"data_files": {"test": "tasks/a", "train": "tasks/b"}}, "fewshot_split": "train"},
    ],
)
def test_what_lm_eval_takes_is_taken(change: dict[str, Any]) -> None:
    assert not list(harness_tasks.faults({**TASK, **change}, "tasks"))


def test_a_task_that_two_files_define_is_refused_by_the_job(make_spec: MakeSpec) -> None:
    spec = make_spec(evaluation())
    files(spec)
    spec.path("tasks/again.yaml").write_text(yaml.safe_dump(TASK), encoding="utf-8")
    with pytest.raises(JobError, match=r"tasks/queues.yaml: the task queues is defined in tasks/again.yaml as well"):
        dict(harness._defined(spec, HarnessWork.model_validate(work(spec))))


@needs_lm_eval
def test_templates_know_what_lm_eval_gives_them() -> None:
    import lm_eval.utils

    known = harness_tasks._environment()
    assert known.filters.keys() == lm_eval.utils.env.filters.keys()
    assert known.tests.keys() == lm_eval.utils.env.tests.keys() and not lm_eval.utils.env.extensions


def test_keys_of_lm_eval_become_metrics_with_their_errors() -> None:
    told = {"alias": "queues", "sample_len": 6, "acc,none": 0.5, "acc_stderr,none": 0.2, "exact_match,strict": 1,
            "exact_match_stderr,strict": "N/A"}  # fmt: skip
    assert dict(harness._numbers(told)) == {"acc": (0.5, 0.2, 6), "exact_match/strict": (1.0, 0.0, 6)}


def test_shares_have_exact_intervals_and_other_means_those_of_their_standard_error() -> None:
    exact, mean = sureness.told(1, 0, 5, 0.95, True), sureness.told(0.5, 0.1, 5, 0.95, False)
    assert exact and exact.low == pytest.approx(0.025 ** (1 / 5)) and exact.high == 1
    assert mean and (mean.low, mean.high) == pytest.approx((0.5 - 0.196, 0.5 + 0.196), abs=1e-4)
    assert sureness.told(0.5, 0, 5, 0.95, False) is None
    assert [sureness.told(value, 0.1, 5, 0.95, True) for value in (math.nan, math.inf, -math.inf)] == [None] * 3


def test_a_task_metric_that_is_no_finite_number_is_left_out_and_said(tmp_path: Path) -> None:
    told = {"wiki": {"sample_len": 6, "perplexity,none": math.inf, "perplexity_stderr,none": math.nan,
                     "acc,none": math.nan, "acc_norm,none": 0.5, "acc_norm_stderr,none": 0.1}}  # fmt: skip
    with EventLog(tmp_path / "events.jsonl") as log:
        found = harness._finite(told, log)
    assert found.metrics == {"wiki/acc_norm": 0.5} and set(found.intervals) == {"wiki/acc_norm"}
    assert "no finite number came out: wiki/acc, wiki/perplexity" in (tmp_path / "events.jsonl").read_text()


def test_gates_know_metrics_of_tasks_and_which_way_is_better() -> None:
    assert gain("wiki/word_perplexity", 9, 10) == 1 and gain("queues/acc", 0.5, 1) == -0.5
    intervals = {"queues/acc": harness._intervals("queues/acc", 1.0, 0.0, 6)}
    output = EvaluationOutput(
        rows=1, combinations=(CombinationOutput(model="m", metrics={"queues/acc": 1}, intervals=intervals),)
    )
    sure, even = gates.judge(
        [Gate(metric="queues/acc", min=0.9, confidence=0.95), Gate(metric="queues/acc", min=0.9)], output
    )
    assert even.passed and not sure.passed


@needs_lm_eval
@pytest.mark.slow
def test_a_task_of_the_project_is_asked_of_a_combination_and_filed(make_spec: MakeSpec) -> None:
    import mlflow

    asked = files(make_spec(evaluation()))
    spec = make_spec(evaluation(metrics=["exact_match"], generation={"max_new_tokens": 2}, harness=asked))
    spec.folder.mkdir(parents=True)
    with EventLog(spec.folder / "events.jsonl") as log:
        outcome = run.run(spec, log)
    assert isinstance(outcome.output, EvaluationOutput)
    [made] = outcome.output.combinations
    assert made.metrics["queues/acc"] * 6 == pytest.approx(round(made.metrics["queues/acc"] * 6))
    assert {"queues/acc", "queues/acc_norm"} <= set(made.metrics) and len(made.intervals["queues/acc"]) == 4
    logged = mlflow.MlflowClient().get_run(made.mlflow_run_id).data.metrics
    assert logged["queues/acc"] == made.metrics["queues/acc"]
    assert "queues/acc" in (spec.folder / "comparison.csv").read_text()


@needs_lm_eval
@pytest.mark.slow
def test_templates_of_tasks_are_rendered_in_a_sandbox(make_spec: MakeSpec) -> None:
    hostile = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    asked = files(make_spec(evaluation()), doc_to_text=hostile)
    spec = make_spec(evaluation(metrics=["exact_match"], generation={"max_new_tokens": 2}, harness=asked))
    spec.folder.mkdir(parents=True)
    with EventLog(spec.folder / "events.jsonl") as log, pytest.raises(JobError, match="SecurityError"):
        run.run(spec, log)


@needs_lm_eval
@pytest.mark.slow
def test_tasks_ask_each_combination_once_with_its_adapter_in_parts_too(make_spec: MakeSpec, router: str) -> None:
    """The adapter learned these rows by heart; its base answers by chance."""
    files(make_spec(evaluation()), doc_to_choice=list(QUEUES))
    rows = [{"text": f"{text} {queue}", "label": QUEUES.index(queue)} for text in TEXTS for queue in QUEUES]
    make_spec(evaluation()).path("tasks/rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    asked = {**work(make_spec(evaluation())), "limit": 1000}  # more than there are: all of them
    shared = make_spec(
        evaluation(router, metrics=["exact_match"], generation={"max_new_tokens": 2}, harness=asked), "shared"
    )
    for part in parts.parts(shared):
        write_result(part.folder, perform(part))
        assert sum("tasks of lm_eval" in each.message for each in events(part)) == 1
        with EventLog(part.folder / "events.jsonl") as log:
            gathering.gather(part, log)
    whole = read_result(shared.whole_folder)
    assert whole and isinstance(whole.output, EvaluationOutput), whole and whole.failure
    base, tuned = whole.output.combinations
    assert tuned.metrics["queues/acc"] > 0.9 > base.metrics["queues/acc"] + 0.3
    assert whole.output.gain("queues/acc", 1) == tuned.metrics["queues/acc"] - base.metrics["queues/acc"]
    assert "queues/acc_gain" in (shared.whole_folder / "comparison.csv").read_text()


@needs_lm_eval
@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"num_fewshot": 60}, "ValueError: Sample larger than population"),
        ({"doc_to_text": "{{ nothing }}"}, "'nothing' is undefined"),
    ],
)
def test_what_lm_eval_raises_is_said_with_its_task_before_a_model_is_loaded(
    make_spec: MakeSpec, change: dict[str, Any], fault: str
) -> None:
    asked = files(make_spec(evaluation()), **change)
    spec = make_spec(evaluation(metrics=["exact_match"], generation={"max_new_tokens": 2}, harness=asked))
    said = failure(spec)
    assert "lm_eval failed with queues" in said and fault in said and "splits and templates" in said
    assert events(spec) and "load" not in {event.phase for event in events(spec)}
