"""Trainings that are stopped, killed, cut off from MLflow, or go wrong: what stays, and what it is worth."""

from __future__ import annotations

import os
import random
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest

from studio.core.jobresult import JobResult, TrainingOutput
from studio.core.jobspec import JobSpec

from ..workbench import LORA, MakeSpec, events, failure, messages, perform, start, training
from .test_training import statuses, until

pytestmark = pytest.mark.slow
RICH: dict[str, Any] = {
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 5,
    "packing": True,
    "max_length": 32,
    "logging_steps": 3,
    "eval_steps": 5,
    "save_steps": 5,
}
"""Everything at once that a resumed run must find again, beside the dropout of the adapter."""


def output(result: JobResult) -> TrainingOutput:
    assert isinstance(result.output, TrainingOutput), result.failure
    return result.output


def curve(spec: JobSpec) -> list[tuple[int, float]]:
    """The last word of each step: a resumed run repeats what the killed one had begun."""
    told = {event.step: event.loss for event in events(spec) if event.phase == "train" and event.loss is not None}
    return sorted((step or 0, loss or 0.0) for step, loss in told.items())


def test_a_run_killed_anywhere_ends_as_a_straight_one(make_spec: MakeSpec) -> None:
    work = training(
        epochs=60,
        learning_rate=2e-2,
        lora={**LORA, "lora_dropout": 0.1},
        early_stopping={"patience": 4, "min_delta": 0.001},
        training_arguments=RICH,
    )
    straight_spec, spec = make_spec(work, "straight"), make_spec(work, "killed")
    straight = output(perform(straight_spec))
    assert straight.stopped and straight.metrics["best_step"] > 5
    job, at = start(spec), random.randint(6, int(straight.metrics["best_step"]) + 5)
    until(lambda: any((event.step or 0) >= at for event in events(spec)))
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    torn = spec.folder / "checkpoints" / "checkpoint-9999"
    torn.mkdir()
    (torn / "trainer_state.json").write_text("{")

    result = perform(spec.model_copy(update={"attempt": 2}))
    resumed = output(result)
    assert "resuming at step" in messages(spec), at
    assert (resumed.digest, resumed.stopped) == (straight.digest, straight.stopped), at
    for name in ("final_loss", "train_loss", "eval_loss", "best_step"):
        assert resumed.metrics[name] == straight.metrics[name], (name, at)
    assert curve(spec) == curve(straight_spec), at
    assert 0 < result.measures.earlier_seconds < result.measures.working_seconds
    assert statuses(spec) == ["FINISHED", "KILLED"]


def test_early_stopping_keeps_the_best_weights(make_spec: MakeSpec) -> None:
    arguments = {"per_device_train_batch_size": 4, "logging_steps": 4, "lr_scheduler_type": "constant"}
    stopping = {"patience": 2}
    steps = {"eval_steps": 2, "save_steps": 4}
    spec = make_spec(
        training(epochs=40, learning_rate=5e-2, early_stopping=stopping, training_arguments=arguments | steps), "early"
    )
    made = output(perform(spec))
    best = int(made.metrics["best_step"])
    assert made.stopped and (made.stopped.step, made.stopped.steps, made.stopped.best_step) == (best + 4, 200, best)
    assert (made.stopped.metric, made.stopped.patience) == ("eval_loss", 2)
    assert made.stopped.words in messages(spec)
    until_best = training(epochs=40, learning_rate=5e-2, training_arguments=arguments | {"max_steps": best})
    assert output(perform(make_spec(until_best, "best"))).digest == made.digest


def test_a_run_killed_after_its_last_step_takes_no_other(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an epoch more is left in the data when training is over; a constant rate would go on learning from it."""
    from studio.jobs.model import adapters

    arguments = {"per_device_train_batch_size": 4, "lr_scheduler_type": "constant", "save_steps": 4}
    work = training(epochs=1.4, training_arguments=arguments)
    straight = output(perform(make_spec(work, "straight")))
    spec, save = make_spec(work, "killed"), adapters.save
    monkeypatch.setattr(adapters, "save", lambda *_: (_ for _ in ()).throw(SystemExit(143)))
    with pytest.raises(SystemExit):
        perform(spec)
    monkeypatch.setattr(adapters, "save", save)
    resumed = output(perform(spec.model_copy(update={"attempt": 2})))
    assert "resuming at step 7" in messages(spec)
    assert resumed.digest == straight.digest
    assert resumed.metrics["final_loss"] == straight.metrics["final_loss"]


def test_a_loss_that_explodes_stops_the_training_and_what_was_good_stays(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from studio.jobs.training import sft

    step = sft.Trainer.training_step

    def upset(trainer: Any, model: Any, *rest: Any, **more: Any) -> Any:
        """At step 31 the weights are thrown far away, as one update at too high a rate would."""
        if trainer.state.global_step == 30:
            for weight in (weight for weight in model.parameters() if weight.requires_grad):
                weight.data *= 1000
        return step(trainer, model, *rest, **more)

    monkeypatch.setattr(sft.Trainer, "training_step", upset)
    arguments = {"per_device_train_batch_size": 4, "logging_steps": 1, "save_steps": 10, "save_total_limit": 9}
    spec = make_spec(training(epochs=12, training_arguments=arguments))
    text = failure(spec)
    assert "the loss exploded: since step 30" in text and "gradient norm" in text and "lower learning_rate" in text
    assert "the checkpoint of step 30 stays" in text
    assert {path.name for path in (spec.folder / "checkpoints").glob("checkpoint-*")} == {
        f"checkpoint-{n}" for n in (10, 20, 30)
    }
    assert max(event.step or 0 for event in events(spec)) == 49


def test_mlflow_may_be_away_while_a_training_runs(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    from studio.jobs.training import posting

    take, refused = MlflowClient.log_batch, []

    def refuse(client: MlflowClient, run: str, metrics: Any = (), *rest: Any, **more: Any) -> None:
        if metrics and len(refused) < 3:
            refused.append(run)
            raise MlflowException("503 error")
        take(client, run, metrics, *rest, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    monkeypatch.setattr(posting, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(posting, "RETRY_SECONDS", 0.05)
    spec = make_spec(training())
    result = perform(spec)
    assert output(result) and len(refused) == 3
    assert "metrics wait, MLflow does not take them: 503 error" in messages(spec)
    client = MlflowClient(f"sqlite:///{spec.path('.studio/mlflow.db')}")
    assert [point.step for point in client.get_metric_history(result.mlflow_run_id, "loss")] == [1, 2, 3, 4, 5]


def test_an_mlflow_that_stays_away_costs_its_metrics_and_nothing_else(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    from studio.jobs.training import posting

    def refuse(*_: Any, metrics: Any = (), **__: Any) -> None:
        if metrics:
            raise MlflowException("500 error")

    def gone(*_: Any, **__: Any) -> None:
        raise ConnectionError("refused")

    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    monkeypatch.setattr(MlflowClient, "set_terminated", gone)
    monkeypatch.setattr(posting, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(posting, "RETRY_SECONDS", 0.05)
    spec = make_spec(training())
    made = output(perform(spec))
    assert (spec.path(made.adapter) / "adapter_model.safetensors").is_file()
    told = messages(spec)
    assert "MLflow never took 6 logs of metrics: 500 error" in told
    assert "MLflow did not take the metrics of the whole training, or its curve: 500 error" in told


def pickles(folder: Path) -> list[str]:
    """Files that loading would execute: pickles, by their first byte, and archives of torch that hold one."""

    def holds(path: Path) -> bool:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith(".pkl") for name in archive.namelist())
        return path.read_bytes()[:1] == b"\x80" or path.suffix in {".bin", ".pt", ".pth", ".pkl"}

    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and holds(path)]


def test_no_pickle_is_left_and_checkpoints_go_when_the_result_is_there(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from studio.jobs import __main__ as front
    from studio.jobs import result

    spec, found = make_spec(training(copy_to="exported")), []
    spec.path("exported").mkdir()
    write = result.write_result

    def written(*arguments: Any) -> Path:
        found.extend(pickles(spec.folder / "checkpoints"))
        return write(*arguments)

    monkeypatch.setattr(front, "write_result", written)
    assert front._perform(spec) == front.OK
    assert {Path(name).name for name in found} == {"optimizer.pt", "scheduler.pt", "rng_state.pth"}
    assert not (spec.folder / "checkpoints").exists()
    assert pickles(Path(spec.project_dir)) == []


def test_what_the_weights_depend_on_is_recorded(make_spec: MakeSpec) -> None:
    from mlflow.tracking import MlflowClient

    spec = make_spec(training(training_arguments={"per_device_train_batch_size": 4, "data_seed": 7}))
    result = perform(spec)
    held = output(result).conditions
    assert (held["seed"], held["data_seed"], held["device"], held["workers"]) == ("42", "7", "cpu", "1")
    assert held["version.torch"] and int(held["threads"]) >= 1
    params = MlflowClient(f"sqlite:///{spec.path('.studio/mlflow.db')}").get_run(result.mlflow_run_id).data.params
    assert held.items() <= params.items() and params["split_seed"] == "42"
