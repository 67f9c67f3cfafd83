"""Training, from spec to adapter."""

from __future__ import annotations

import json
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from studio.core.jobresult import TrainingOutput
from studio.core.jobspec import JobSpec

from ..workbench import (
    LORA,
    MODEL,
    MakeSpec,
    events,
    failure,
    in_process_of_its_own,
    messages,
    perform,
    start,
    training,
)

pytestmark = pytest.mark.slow
ARGUMENTS = {"per_device_train_batch_size": 4, "logging_steps": 1}


def output(spec: JobSpec) -> TrainingOutput:
    result = perform(spec)
    assert isinstance(result.output, TrainingOutput), result.failure
    return result.output


def test_a_training_leaves_an_adapter_a_curve_metrics_and_events(make_spec: MakeSpec) -> None:
    spec = make_spec(training(epochs=2))
    result = perform(spec)
    assert isinstance(result.output, TrainingOutput), result.failure
    made = result.output
    assert (made.train_rows, made.held_out_rows, made.model_family) == (20, 5, "LlamaForCausalLM")
    assert set(made.metrics) == {
        "train_loss",
        "final_loss",
        "eval_loss",
        "perplexity",
        "train_seconds",
        "peak_memory_bytes",
        "tokens_per_second",
        "trainable_parameters",
        "total_parameters",
        "unmasked_token_share",
    }
    assert made.metrics["final_loss"] < made.metrics["train_loss"]
    assert 0.1 < made.metrics["unmasked_token_share"] < 0.4
    assert spec.path(made.curve).read_bytes().startswith(b"\x89PNG")
    steps = [event.step for event in events(spec) if event.loss is not None and event.phase == "train"]
    assert steps == list(range(1, 11))
    assert result.mlflow_run_id and result.mlflow_experiment_id
    told = result.measures
    assert (told.device, told.rows, told.steps, told.earlier_seconds) == ("cpu", 20, 10, 0.0)
    assert told.parameters == made.metrics["total_parameters"] and told.tokens > 100
    assert 0 < told.working_seconds < result.seconds


def test_the_adapter_names_no_path_of_this_machine_and_holds_no_pickle(make_spec: MakeSpec) -> None:
    spec = make_spec(training())
    folder = spec.path(output(spec).adapter)
    names = {path.name for path in folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt"))]
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert spec.project_dir.encode() not in path.read_bytes()


def test_an_out_dir_receives_a_copy_of_the_adapter(make_spec: MakeSpec) -> None:
    spec = make_spec(training(copy_to="exported"))
    spec.path("exported").mkdir()
    made = output(spec)
    for original in spec.path(made.adapter).iterdir():
        assert (spec.path("exported") / "router" / original.name).read_bytes() == original.read_bytes()


def test_a_tracking_uri_may_come_from_a_variable(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec(training())
    own = spec.tracking.tracking_uri
    secret = spec.model_copy(update={"tracking": spec.tracking.model_copy(update={"tracking_uri": "env:TRACKING"})})
    monkeypatch.delenv("TRACKING", raising=False)
    assert "TRACKING is not set" in failure(secret)
    monkeypatch.setenv("TRACKING", f"sqlite:///{spec.path(own.removeprefix('sqlite:///'))}")
    assert perform(secret).mlflow_run_id


def test_mlflow_holds_params_losses_and_the_curve(make_spec: MakeSpec) -> None:
    from mlflow.tracking import MlflowClient

    spec = make_spec(training())
    result = perform(spec)
    client = MlflowClient(f"sqlite:///{spec.path('.studio/mlflow.db')}")
    run = client.get_run(result.mlflow_run_id)
    assert run.info.status == "FINISHED" and run.info.run_name == "run"
    assert run.data.tags["studio.key"] == spec.key and run.data.tags["studio.environment"] == "dev"
    assert run.data.params["lora.r"] == "8" and run.data.params["seed"] == "42"
    assert run.data.metrics["train_loss"] > 0
    assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3, 4, 5]
    assert [artifact.path for artifact in client.list_artifacts(run.info.run_id)] == ["curves.png"]


def test_the_same_seed_gives_the_same_adapter(make_spec: MakeSpec) -> None:
    first, again = output(make_spec(training(), "a")), output(make_spec(training(), "b"))
    other = output(make_spec(training(training_arguments={**ARGUMENTS, "seed": 7}), "c"))
    assert first.digest == again.digest != other.digest


def test_two_processes_give_the_same_adapter(make_spec: MakeSpec) -> None:
    """Sets are ordered differently in every process; the adapter's bytes are not. Neither runs in this one, whose state
    is what other tests have left."""
    digests = set()
    for name, seed in (("a", "0"), ("b", "1")):
        code, result = in_process_of_its_own(make_spec(training(), name), PYTHONHASHSEED=seed)
        assert code == 0 and isinstance(result.output, TrainingOutput)
        digests.add(result.output.digest)
    assert len(digests) == 1


def test_the_model_learns_rows_by_heart(trained: Path) -> None:
    metrics = json.loads((trained / "result.json").read_text())["output"]["metrics"]
    assert metrics["final_loss"] < 0.1
    assert "eval_loss" not in metrics


def test_every_text_ends_with_eos_even_beside_a_column_named_text(make_spec: MakeSpec) -> None:
    """trl appends EOS to a column named ``text`` where it finds one, and then the completion has none."""
    spec = make_spec(training())
    assert output(spec).metrics["unmasked_token_share"] > 0
    assert "rows cut" not in messages(spec)


def test_full_text_loss_counts_every_token(make_spec: MakeSpec) -> None:
    spec = make_spec(training(loss="full"))
    assert output(spec).metrics["unmasked_token_share"] == 1.0


def test_completion_loss_without_templates_falls_back_to_the_full_text_and_says_so(make_spec: MakeSpec) -> None:
    spec = make_spec(training(templates={"prompt": "{text}: {queue}"}))
    assert output(spec).metrics["unmasked_token_share"] == 1.0
    assert "the loss is taken on the full text" in messages(spec)


def test_rows_that_do_not_fit_are_counted(make_spec: MakeSpec) -> None:
    spec = make_spec(training(training_arguments={**ARGUMENTS, "max_length": 13}))
    output(spec)
    assert "rows dropped" in messages(spec) and "rows cut at max_length" in messages(spec)


def test_it_is_an_error_when_no_completion_fits(make_spec: MakeSpec) -> None:
    text = failure(make_spec(training(training_arguments={**ARGUMENTS, "max_length": 4})))
    assert "none of the 20 rows" in text and "max_length" in text


def test_a_prompt_that_differs_from_its_parts_is_noted(make_spec: MakeSpec) -> None:
    spec = make_spec(training(templates={"prompt": "x {text}", "input": "{text}", "completion": " {queue}"}))
    output(spec)
    assert "training on input + completion" in messages(spec)


def test_four_bit_weights_train_on_cpu(make_spec: MakeSpec) -> None:
    config = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float16"}
    spec = make_spec(training(model_quantization={**config, "quant_method": "bitsandbytes"}))
    made = output(spec)
    assert made.metrics["final_loss"] < 8 and made.metrics["eval_loss"] < 8
    assert made.metrics["total_parameters"] > 110_000  # weights, not the bytes that they are packed in
    assert "using bfloat16" in messages(spec)


def test_evaluation_while_training_is_drawn_and_logged(make_spec: MakeSpec) -> None:
    spec = make_spec(training(training_arguments={**ARGUMENTS, "eval_strategy": "steps", "eval_steps": 2}))
    output(spec)
    assert any(event.eval_loss for event in events(spec))


def test_fp16_without_a_gpu_is_noted(make_spec: MakeSpec) -> None:
    spec = make_spec(training(training_arguments={**ARGUMENTS, "fp16": True, "report_to": "mlflow"}))
    output(spec)
    assert "fp16 needs a GPU: training in float32" in messages(spec)
    assert "report_to" not in messages(spec)


def test_a_diverging_loss_stops_the_training(make_spec: MakeSpec, project: Path, tiny_model: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = project / "models" / "broken"
    folder.mkdir()
    for path in tiny_model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], float("nan"))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    text = failure(make_spec(training(model={**MODEL, "location": "models/broken"})))
    assert "the loss is nan at step 1" in text and "learning_rate" in text


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"lora": {**LORA, "rank": 8}}, "unknown key 'rank'"),
        ({"lora": {**LORA, "target_modules": ["q_proj", "w_pack"]}}, "no module named w_pack"),
        ({"lora": {**LORA, "target_modules": ["nothing"]}}, "its linear layers: down_proj"),
        ({"lora": {**LORA, "r": 0}}, "lora_config"),
        ({"lora": {**LORA, "target_modules": ["lm_head"]}}, "lm_head"),
        ({"training_arguments": {"warmup_ratio": 0.03}}, "'warmup_ratio' .*\n?.*write warmup_steps: 0.03"),
        ({"training_arguments": {"max_seq_length": 9}}, "write max_length: 9"),
        ({"training_arguments": {"lr_scheduler_typo": 9}}, "did you mean 'lr_scheduler_type'"),
        ({"training_arguments": {"lr_scheduler_type": "typo"}}, "training arguments"),
        ({"training_arguments": {"push_to_hub": True}}, "refused"),
        ({"training_arguments": {"eval_strategy": "steps"}, "split": {"train": 1.0}}, "none are held out"),
        ({"model_quantization": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf5"}}, "nf5"),
        ({"model_quantization": {"load_in_4bits": True}}, "did you mean 'load_in_4bit'"),
        ({"model": {**MODEL, "location": "models/gone"}}, "models/gone does not exist"),
        ({"templates": {"prompt": "{txt}"}}, "no column 'txt'\ndid you mean 'text'"),
        ({"templates": {"prompt": "{text.real}"}}, "faulty at character 0"),
        ({"framework": "axolotl", "axolotl_python": "env:NO_AXOLOTL"}, "axolotl needs a Python of its own"),
        ({"user_script": "train.py", "files": {"train.py": "0"}}, "train.py does not exist"),
        ({"training_arguments": {"fsdp": True}}, "fsdp splits the model among workers"),
        ({"training_arguments": {"deepspeed": "zero.json"}}, "zero.json cannot be read"),
    ],
)
def test_what_a_user_can_mend_is_said(make_spec: MakeSpec, changes: dict[str, Any], fault: str) -> None:
    import re

    assert re.search(fault, failure(make_spec(training(**changes))))


def test_a_terminated_training_ends_with_143_and_no_result(make_spec: MakeSpec) -> None:
    spec = make_spec(training(epochs=400, training_arguments={"per_device_train_batch_size": 1, "logging_steps": 1}))
    job = start(spec)
    until(lambda: any(event.step and event.step > 2 for event in events(spec)))
    job.terminate()
    assert job.wait(timeout=60) == 143
    assert not (spec.folder / "result.json").exists()
    assert statuses(spec) == ["FAILED"]


def test_two_workers_leave_one_result_and_stop_early_together(make_spec: MakeSpec) -> None:
    stopping = {
        "early_stopping": {"patience": 1, "min_delta": 50.0},
        "training_arguments": ARGUMENTS | {"eval_steps": 2},
    }
    spec = make_spec(training(epochs=2, **stopping), resources={"cpu": 2, "workers": 2})
    code, result = in_process_of_its_own(
        spec, sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", OMP_NUM_THREADS="1"
    )
    assert code == 0 and isinstance(result.output, TrainingOutput)
    assert [event.phase for event in events(spec)].count("start") == 1
    assert max(event.step or 0 for event in events(spec)) == 4
    assert result.output.stopped and (result.output.stopped.step, result.output.stopped.steps) == (4, 6)
    assert result.output.conditions["workers"] == "2"
    assert len(statuses(spec)) == 1
    assert (spec.path(result.output.adapter) / "adapter_model.safetensors").exists()


def until(condition: Any, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def statuses(spec: JobSpec) -> list[str]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{spec.path('.studio/mlflow.db')}")
    experiment = client.get_experiment_by_name("tests")
    runs = client.search_runs([experiment.experiment_id], f"tags.`studio.key` = '{spec.key}'")
    return sorted(run.info.status for run in runs)
