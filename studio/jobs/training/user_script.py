"""Training by a script of the team's own: rows and settings are handed over, an adapter is taken back and measured.

With several workers this runs once for each, as studio's own training does, and each runs the script, which finds its
rank and where to meet in the environment. The first worker does the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from studio.core.atomic import write_atomically
from studio.core.errors import JobError
from studio.core.jobresult import Measures, TrainingOutput
from studio.core.jobspec import JobSpec, TrainingWork
from studio.jobs import peaks, ranks, tracking
from studio.jobs.events import EventLog
from studio.jobs.hiding import hiding
from studio.jobs.inputs import locations
from studio.jobs.model import adapters, devices, generation, lora, models, tokenizers
from studio.jobs.model.models import Base
from studio.jobs.result import Outcome
from studio.jobs.training import (
    corpus,
    curves,
    held_out,
    script_adapter,
    script_folder,
    script_metrics,
    script_process,
)
from studio.jobs.training.corpus import Corpus
from studio.jobs.training.posting import HURRY_SECONDS, PATIENCE_SECONDS, Post, log_end
from studio.jobs.training.script_events import Told
from studio.jobs.training.script_folder import ScriptFolder
from studio.jobs.training.script_process import Pulse, Script

ADAPTER = "adapter"
WAITING_SECONDS = 20.0
"""How long a worker whose script failed waits for the first one to say so: whoever ends first ends all."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the script works on, and what it is measured with."""

    model: Path
    tokenizer: PreTrainedTokenizerBase
    texts: Corpus


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers of the adapter; parameters are those of base model and adapter."""

    metrics: dict[str, float]
    parameters: int
    device: str


def train(spec: JobSpec, work: TrainingWork, events: EventLog) -> Outcome:
    """Hand over, run, take back, measure, log. Raises JobError for whatever a user can mend."""
    folder = script_folder.of(spec)
    hide = hiding(spec, os.environ)
    script = Script(
        work.user_script, spec.path(work.user_script), folder.job, folder.place, script_process.environment(spec), hide
    )
    if not ranks.is_main():
        return _assist(spec, folder, script)
    script_folder.check_files(spec, work)
    inputs = _inputs(spec, work, events)
    with tracking.run(spec) as run:
        run.log_params(_params(work, inputs))
        told = Told(folder.events, events, Post(run, events), hide)
        seconds = _run(spec, work, folder, script, inputs, told)
        digest = script_adapter.take_over(
            folder.adapter, locations.public_name(work.model), inputs.tokenizer, spec.folder / ADAPTER, events
        )
        measured = _measure(spec, work, inputs, told.steps, events)
        metrics = {
            **script_metrics.of_losses(told.history),
            **script_metrics.left(folder.metrics, events),
            **measured.metrics,
            "train_seconds": seconds,
        }
        drawn = [curves.draw(spec, work.adapter_name)] if curves.told(spec).points("loss") else []
        log_end(run, metrics, told.steps, drawn, events)
        kept = adapters.keep(spec.folder / ADAPTER, spec, run, events)
    shutil.rmtree(folder.path, ignore_errors=True)
    events.write("save", f"adapter {work.adapter_name} in {spec.folder / ADAPTER}")
    output = TrainingOutput(
        adapter=f"{spec.run_dir}/{ADAPTER}",
        digest=digest,
        metrics=metrics,
        train_rows=len(inputs.texts.train),
        held_out_rows=inputs.texts.held_out_rows,
        curve=f"{spec.run_dir}/{curves.PICTURE}" if drawn else "",
        model_family=models.family(inputs.model, work.model),
        kept=kept,
    )
    measures = Measures(
        device=measured.device,
        rows=len(inputs.texts.train),
        steps=told.steps,
        parameters=measured.parameters,
        working_seconds=seconds,
    )
    return Outcome(output, run.run_id, run.experiment_id, measures)


def _assist(spec: JobSpec, folder: ScriptFolder, script: Script) -> Outcome:
    """A worker beyond the first: it runs its share, and leaves the rest to the first."""
    script_folder.await_furnished(folder, spec.attempt)
    if folder.finished() is None:
        try:
            script_process.run(script, lambda pulse: None)
        except JobError as error:
            said = {"message": f"worker {ranks.rank()}: {error.message}", "hint": error.hint}
            write_atomically(folder.failure(ranks.rank()), json.dumps(said).encode())
            time.sleep(WAITING_SECONDS)
            raise
    return Outcome(TrainingOutput(adapter="", digest="", metrics={}, train_rows=0, held_out_rows=0))


def _inputs(spec: JobSpec, work: TrainingWork, events: EventLog) -> Inputs:
    model = locations.model_folder(work.model, spec)
    tokenizer = tokenizers.load(model, work.model)
    return Inputs(model, tokenizer, corpus.load(spec, work, tokenizer, model, events))


def _run(spec: JobSpec, work: TrainingWork, folder: ScriptFolder, script: Script, inputs: Inputs, told: Told) -> float:
    """Run the script, unless an earlier attempt has; the seconds it took. Its adapter is checked."""
    told.recall()
    before = folder.finished()
    if before is not None:
        told.events.write("train", f"{work.user_script} ended well in an earlier attempt and is not run again")
    else:
        script_folder.furnish(folder, spec, work, inputs.model, inputs.texts)
        told.events.write("train", f"{work.user_script} is run")
    started = time.perf_counter()

    def tick(pulse: Pulse) -> None:
        if told.follow():
            pulse.told()
        folder.raise_others()

    patience = HURRY_SECONDS
    try:
        if before is None:
            script_process.run(script, tick)
        patience = PATIENCE_SECONDS
    finally:
        told.close(patience)
    script_adapter.check(folder.adapter)
    seconds = time.perf_counter() - started
    if before is None:
        folder.finish(seconds)
    return seconds if before is None else before


def _measure(spec: JobSpec, work: TrainingWork, inputs: Inputs, steps: int, events: EventLog) -> Measured:
    """Put the adapter on its base model, which shows that it fits, and take the loss on held-out rows."""
    device = devices.choose(spec.resources, events)
    base = Base(work.model, inputs.model, work.model_quantization or work.adapter_quantization)
    model = models.load(base, device, events)
    tokenizers.configure_padding(inputs.tokenizer, embeddings=models.embeddings(model))
    metrics: dict[str, float] = {}
    with lora.attached(model, spec.folder / ADAPTER, work.adapter_name) as adapted:
        total = models.parameters(adapted)[0]
        rows = inputs.texts.held_out
        if rows:
            longest = work.training_arguments.get("max_length") or generation.positions(model)
            loss = held_out.loss(adapted, inputs.tokenizer, rows, longest)
            metrics = script_metrics.of_held_out(loss)
            events.write("evaluate", f"on {len(rows)} held-out rows", step=steps, total=steps, eval_loss=loss)
    metrics["trainable_parameters"] = float(script_adapter.check(spec.folder / ADAPTER))
    return Measured({**metrics, "total_parameters": float(total), **peaks.metrics()}, total, device.model)


def _params(work: TrainingWork, inputs: Inputs) -> dict[str, Any]:
    return {
        "base_model": locations.public_name(work.model),
        "dataset": work.dataset.name,
        "dataset_digest": work.dataset.digest,
        "train_rows": len(inputs.texts.train),
        "held_out_rows": inputs.texts.held_out_rows,
        "loss": inputs.texts.loss,
        "epochs": work.epochs,
        "learning_rate": work.learning_rate,
        "split_seed": work.split.seed,
        "user_script": work.user_script,
        "user_script_digest": work.files.get(work.user_script, ""),
        **tracking.flat(work.user_config or {}, "user_config"),
        **tracking.flat(work.lora, "lora"),
        **tracking.flat(work.training_arguments, "arguments"),
    }
