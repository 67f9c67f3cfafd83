"""Training with Axolotl, from spec to adapter: with a stand-in, and with Axolotl itself where it is installed."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from studio.core.errors import JobError
from studio.core.jobresult import JobResult, TrainingOutput
from studio.core.jobspec import JobSpec
from studio.jobs.training.axolotl import home
from tests.fakes import axolotl_environment

from ...conftest import furnish, spec_in
from ...workbench import LORA, MakeSpec, evaluation, events, failure, log, messages, perform, start, training

pytestmark = pytest.mark.slow
VARIABLE = "STUDIO_AXOLOTL_PYTHON"
SAID = {"micro_batch_size": 4, "logging_steps": 1, "sequence_len": 128, "val_set_size": 0.1, "num_epochs": 7}


def work(**changes: Any) -> dict[str, Any]:
    fields = {"framework": "axolotl", "training_arguments": {}, "lora": {"r": 4, "target_modules": ["q_proj"]}}
    return training(**{**fields, "axolotl": SAID, "axolotl_python": f"env:{VARIABLE}", **changes})


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return axolotl_environment.build(tmp_path_factory.mktemp("axolotl") / "env")


@pytest.fixture(autouse=True)
def installed(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(python))
    monkeypatch.setenv("HF_TOKEN", "a secret that is none of its business")


@pytest.fixture(scope="module")
def done(
    python: Path, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tickets: list[dict[str, str]]
) -> tuple[JobSpec, JobResult]:
    """A training that ended well."""
    folder = furnish(tmp_path_factory.mktemp("project"), tiny_model, tickets)
    spec = spec_in(folder, work(), "axolotl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(python))
        result = perform(spec)
    assert result.failure is None, result.failure
    return spec, result


def test_a_training_leaves_an_adapter_a_curve_metrics_and_events(done: tuple[JobSpec, JobResult]) -> None:
    spec, result = done
    made = result.output
    assert isinstance(made, TrainingOutput)
    assert (made.train_rows, made.held_out_rows, made.model_family) == (20, 5, "LlamaForCausalLM")
    assert set(made.metrics) == {
        "train_loss", "final_loss", "eval_loss", "perplexity", "train_seconds", "peak_memory_bytes",
        "tokens_per_second", "trainable_parameters", "total_parameters", "unmasked_token_share",
    }  # fmt: skip
    assert made.metrics["final_loss"] == pytest.approx(3.0 / 5) and 0.1 < made.metrics["unmasked_token_share"] < 0.4
    assert spec.path(made.curve).read_bytes().startswith(b"\x89PNG")
    steps = [event.step for event in events(spec) if event.loss is not None and event.phase == "train"]
    assert steps == [1, 2, 3, 4, 5]
    told = result.measures
    assert (told.device, told.rows, told.steps, told.earlier_seconds) == ("cpu", 20, 5, 0.0)
    assert told.parameters == made.metrics["total_parameters"] and told.tokens > 100 and told.working_seconds > 0


def test_the_adapter_names_no_path_of_this_machine_and_nothing_else_stays(done: tuple[JobSpec, JobResult]) -> None:
    spec, result = done
    assert isinstance(result.output, TrainingOutput)
    folder = spec.path(result.output.adapter)
    names = {path.name for path in folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".md"))]
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"
    assert not [path for path in folder.iterdir() if spec.project_dir.encode() in path.read_bytes()]
    assert {path.name for path in spec.folder.iterdir()} == {"adapter", "axolotl.yaml", "events.jsonl", "curves.png"}


def test_every_replaced_setting_is_told(done: tuple[JobSpec, JobResult]) -> None:
    spec, _ = done
    said = messages(spec)
    assert "num_epochs: 7 of the Axolotl configuration is replaced by what the job says, num_epochs: 1.0" in said
    assert "val_set_size of the Axolotl configuration is ignored: the job's train_test_split decides" in said
    written = yaml.safe_load((spec.folder / "axolotl.yaml").read_text())
    assert (written["num_epochs"], written["lora_r"], written["seed"]) == (1.0, 4, 42)


def test_mlflow_holds_params_losses_the_curve_and_the_configuration(done: tuple[JobSpec, JobResult]) -> None:
    from mlflow.tracking import MlflowClient

    spec, result = done
    client = MlflowClient(f"sqlite:///{spec.path('.studio/mlflow.db')}")
    run = client.get_run(result.mlflow_run_id)
    assert run.info.status == "FINISHED" and run.data.params["framework"] == "axolotl 0.19.0"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3, 4, 5]
    assert {artifact.path for artifact in client.list_artifacts(run.info.run_id)} == {"curves.png", "axolotl.yaml"}


def test_an_evaluation_takes_the_adapter_and_leaves_out_what_training_saw(done: tuple[JobSpec, JobResult]) -> None:
    spec, result = done
    assert isinstance(result.output, TrainingOutput)
    seen = [{"dataset_digest": "", "split": {"fraction": 1.0, "train": 0.8}}]
    asked = evaluation(result.output.adapter, seen=seen, metrics=["exact_match"])
    compared = perform(spec_in(Path(spec.project_dir), asked, "compared", kind="EvaluationJob"))
    assert compared.failure is None and compared.output is not None
    assert getattr(compared.output, "rows", 0) == 5


def test_a_training_that_was_killed_goes_on_from_its_last_whole_checkpoint(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(work(epochs=2))
    monkeypatch.setenv("FAKE_AXOLOTL", "die")
    assert "Axolotl failed" in failure(spec)
    assert not list(spec.folder.rglob("training_args.bin"))
    monkeypatch.setenv("FAKE_AXOLOTL", "diverge")
    assert "holds values that are no numbers at step 4: training diverged" in failure(spec)
    monkeypatch.delenv("FAKE_AXOLOTL")
    result = perform(spec.model_copy(update={"attempt": 2}))
    assert isinstance(result.output, TrainingOutput), result.failure
    assert "resuming at step 2" in messages(spec)
    steps = [event.step for event in events(spec) if event.loss is not None and event.phase == "train"]
    assert steps == [1, 2, 3, 4, *range(3, 11)] and result.measures.earlier_seconds > 0
    assert result.output.metrics["train_loss"] == pytest.approx(sum(3.0 / step for step in range(1, 11)) / 10)


def test_two_workers_take_a_batch_each_on_the_cpu(make_spec: MakeSpec) -> None:
    spec = make_spec(work(), resources={"cpu": 2, "workers": 2})
    result = perform(spec)
    assert isinstance(result.output, TrainingOutput), result.failure
    steps = [event.step for event in events(spec) if event.loss is not None and event.phase == "train"]
    assert steps == [1, 2, 3] and result.measures.steps == 3


def test_what_axolotl_says_last_is_the_reason(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_AXOLOTL", "fail")
    assert "ValueError: this configuration cannot be trained" in failure(make_spec(work()))


def test_a_job_that_is_stopped_leaves_no_process(make_spec: MakeSpec, python: Path) -> None:
    spec = make_spec(work())
    job = start(spec, FAKE_AXOLOTL="hang", **{VARIABLE: str(python)})
    deadline = time.monotonic() + 240
    while not any(event.loss is not None for event in events(spec)) and time.monotonic() < deadline:
        assert job.poll() is None, log(spec)
        time.sleep(0.2)
    family = psutil.Process(job.pid).children(recursive=True)
    assert len(family) >= 2
    job.send_signal(signal.SIGTERM)
    assert job.wait(timeout=60) == 143
    gone, alive = psutil.wait_procs(family, timeout=5)
    assert len(gone) == len(family) and not alive


def test_axolotl_itself_trains_resumes_and_is_evaluated(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.environ.get("STUDIO_TEST_AXOLOTL_PYTHON", "")
    try:
        home.find(real or "none", project, os.environ)
    except JobError as error:
        pytest.skip(f"STUDIO_TEST_AXOLOTL_PYTHON names no Python with Axolotl: {error.message}")
    monkeypatch.setenv(VARIABLE, real)
    lora = {**LORA, "r": 16, "lora_alpha": 32, "target_modules": "all-linear"}
    spec = spec_in(project, work(epochs=3, lora=lora, axolotl={**SAID, "warmup_steps": 1}), "real")
    result = perform(spec)
    assert isinstance(result.output, TrainingOutput), result.failure
    metrics = result.output.metrics
    assert metrics["final_loss"] < metrics["train_loss"] and metrics["eval_loss"] > 0
    assert metrics["total_parameters"] > metrics["trainable_parameters"] > 0
    compared = perform(spec_in(project, evaluation(result.output.adapter), "compared", kind="EvaluationJob"))
    assert compared.failure is None
