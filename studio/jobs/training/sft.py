"""Supervised fine-tuning of a LoRA adapter with trl (guide, Training Script Architecture)."""

from __future__ import annotations

import math
import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import transformers
from transformers import PreTrainedTokenizerBase, PrinterCallback
from trl import SFTTrainer

from studio.core.errors import JobError
from studio.core.jobresult import Measures, TrainingOutput
from studio.core.jobspec import JobSpec, TrainingWork
from studio.jobs import peaks, ranks, tracking
from studio.jobs.events import EventLog
from studio.jobs.inputs import locations
from studio.jobs.model import adapters, devices, lora, models, tokenizers
from studio.jobs.model.devices import Device
from studio.jobs.model.models import Base
from studio.jobs.result import UNTIL_DONE, Outcome
from studio.jobs.tracking import TrackedRun
from studio.jobs.training import (
    anomalies,
    batches,
    checkpoints,
    conditions,
    corpus,
    curves,
    evaluations,
    posting,
    refusals,
    script_folder,
    sharding,
    training_arguments,
)
from studio.jobs.training.corpus import Corpus
from studio.jobs.training.counts import Counts
from studio.jobs.training.evaluations import EvaluationCallback
from studio.jobs.training.held_out import loss as held_out_loss
from studio.jobs.training.losses import mean_by_step
from studio.jobs.training.posting import Post
from studio.jobs.training.progress import ProgressCallback
from studio.jobs.training.training_arguments import Arguments

ADAPTER, CHECKPOINTS = "adapter", UNTIL_DONE


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything a run needs, loaded and checked."""

    trainer: SFTTrainer
    tokenizer: PreTrainedTokenizerBase
    texts: Corpus
    counts: Counts
    folder: Path
    parameters: tuple[int, int]
    device: Device
    evaluations: EvaluationCallback


class Trainer(SFTTrainer):
    """trl's, which takes no step more where training was over when the checkpoint that it resumes from was saved."""

    def _run_epoch(self, **kwargs: Any) -> None:
        if not self.control.should_training_stop:
            super()._run_epoch(**kwargs)


def train(spec: JobSpec, work: TrainingWork, events: EventLog) -> Outcome:
    """Set up, train or resume, measure, save, log. Raises JobError for whatever a user can mend."""
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    script_folder.check_files(spec, work)
    with refusals.told(work):
        setup = _set_up(spec, sharding.with_settings(work, spec), events)
    with _tracked(spec) as run:
        if run:
            run.log_params(_params(work, setup) | conditions.params(setup.trainer.args, setup.device))
        with refusals.told(work):
            progress = _fit(spec, setup, run, events)
        metrics = _measure(setup, progress, events)
        weights = sharding.whole(setup.trainer)
        if not ranks.is_main():
            return Outcome(_output(spec, work, setup, "", metrics))
        model = setup.trainer.accelerator.unwrap_model(setup.trainer.model)
        base = locations.public_name(work.model)
        digest = adapters.save(model, setup.tokenizer, base, spec.folder / ADAPTER, weights)
        picture = curves.draw(spec, work.adapter_name)
        if run:
            posting.log_end(run, metrics, setup.trainer.state.global_step, [picture], events)
        kept = adapters.keep(spec.folder / ADAPTER, spec, run, events) if run else None
    events.write("save", f"adapter {work.adapter_name} in {spec.folder / ADAPTER}")
    output = _output(spec, work, setup, digest, metrics).model_copy(update={"kept": kept})
    return Outcome(output, run.run_id if run else "", run.experiment_id if run else "", _measures(setup, progress))


def _set_up(spec: JobSpec, work: TrainingWork, events: EventLog) -> Setup:
    device = devices.choose(spec.resources, events)
    sharding.check(work.training_arguments, device)
    folder = locations.model_folder(work.model, spec)
    tokenizer = tokenizers.load(folder, work.model)
    texts = corpus.load(spec, work, tokenizer, folder, events)
    arguments = training_arguments.build(work, spec.folder / CHECKPOINTS, device, texts.completion_only)
    for note in arguments.notes:
        events.write("setup", note)
    events.write("setup", sharding.batch(arguments.config))
    wanted = lora.config(work.lora)
    base = models.load(Base(work.model, folder, work.model_quantization or work.adapter_quantization), device, events)
    pad = tokenizers.configure_padding(tokenizer, embeddings=models.embeddings(base))
    events.write("setup", f"padding with {pad!r}")
    model = lora.attach(base, wanted, arguments.config.seed)
    parameters = models.parameters(model)
    events.write("setup", f"{parameters[1]:,} of {parameters[0]:,} parameters are trained")
    trainer = _trainer(model, arguments, tokenizer, texts)
    counted = batches.settle(trainer, texts, events)
    evaluating = EvaluationCallback(work.early_stopping, events)
    trainer.add_callback(evaluating)
    return Setup(trainer, tokenizer, texts, counted, folder, parameters, device, evaluating)


def _trainer(model: Any, arguments: Arguments, tokenizer: PreTrainedTokenizerBase, texts: Corpus) -> SFTTrainer:
    """Evaluation rows are handed over only when the arguments ask for evaluation while training."""
    evaluates = str(arguments.config.eval_strategy.value) != "no"
    if evaluates and not texts.held_out:
        raise JobError("eval_strategy needs held-out rows, but none are held out", "lower train_test_split")
    trainer = Trainer(
        model=model,
        args=arguments.config,
        train_dataset=texts.train,
        eval_dataset=texts.held_out if evaluates else None,
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _tracked(spec: JobSpec) -> AbstractContextManager[TrackedRun | None]:
    return tracking.run(spec) if ranks.is_main() else nullcontext()


def _fit(spec: JobSpec, setup: Setup, run: TrackedRun | None, events: EventLog) -> ProgressCallback:
    """Train from the latest whole checkpoint of an earlier attempt, or from the start."""
    if spec.fresh and ranks.is_main():
        shutil.rmtree(spec.folder / CHECKPOINTS, ignore_errors=True)
    earlier = None if spec.fresh else checkpoints.latest(spec.folder / CHECKPOINTS)
    post = Post(run, events)
    progress = ProgressCallback(events, post, earlier.seconds if earlier else 0.0)
    setup.trainer.add_callback(progress)
    if earlier:
        events.write("train", f"resuming at step {earlier.step}", step=earlier.step)
        sharding.make_restorable()
    patience = posting.HURRY_SECONDS
    try:
        setup.trainer.train(resume_from_checkpoint=str(earlier.folder) if earlier else None)
        anomalies.demand_finite(setup.trainer.model, setup.trainer.state.global_step)
        patience = posting.PATIENCE_SECONDS
    finally:
        post.close(patience)
    if setup.evaluations.stopped:
        events.write("train", setup.evaluations.stopped.words, step=setup.trainer.state.global_step)
    return progress


def _measure(setup: Setup, progress: ProgressCallback, events: EventLog) -> dict[str, float]:
    """Losses are mean per token in nats; perplexity is exp(eval_loss). Peaks are of this process alone."""
    history = setup.trainer.state.log_history
    losses = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    seconds = progress.trained
    metrics = {
        "train_loss": mean_by_step(losses),
        "final_loss": losses[-1][1] if losses else math.nan,
        "train_seconds": seconds,
        "tokens_per_second": progress.rate,
        "trainable_parameters": float(setup.parameters[1]),
        "total_parameters": float(setup.parameters[0]),
        "unmasked_token_share": setup.counts.share,
    }
    if best := evaluations.best_step(setup.trainer.state):
        metrics["best_step"] = float(best)
    held_out = setup.texts.held_out
    if held_out and (ranks.is_main() or sharding.is_split(setup.trainer)):
        trainer = setup.trainer
        loss = held_out_loss(trainer.model, setup.tokenizer, held_out, trainer.args.max_length)
        metrics |= {"eval_loss": loss, "perplexity": math.exp(min(loss, 700.0))}
        step = setup.trainer.state.global_step
        events.write("evaluate", f"on {len(held_out)} held-out rows", step=step, total=step, eval_loss=loss)
    return metrics | peaks.metrics()


def _params(work: TrainingWork, setup: Setup) -> dict[str, Any]:
    return {
        "base_model": locations.public_name(work.model),
        "dataset": work.dataset.name,
        "dataset_digest": work.dataset.digest,
        "train_rows": len(setup.texts.train),
        "held_out_rows": setup.texts.held_out_rows,
        "loss": setup.texts.loss,
        "epochs": work.epochs,
        "learning_rate": work.learning_rate,
        "split_seed": work.split.seed,
        **tracking.flat(work.lora, "lora"),
        **tracking.flat(work.training_arguments, "arguments"),
        **tracking.flat(work.model_quantization or {}, "quantization"),
    }


def _measures(setup: Setup, progress: ProgressCallback) -> Measures:
    return Measures(
        device=setup.device.model,
        rows=len(setup.texts.train),
        steps=setup.trainer.state.global_step,
        tokens=setup.counts.tokens,
        parameters=setup.parameters[0],
        working_seconds=progress.trained,
        earlier_seconds=progress.clock.earlier,
    )


def _output(spec: JobSpec, work: TrainingWork, setup: Setup, digest: str, metrics: dict[str, float]) -> TrainingOutput:
    return TrainingOutput(
        adapter=f"{spec.run_dir}/{ADAPTER}",
        digest=digest,
        metrics=metrics,
        train_rows=len(setup.texts.train),
        held_out_rows=setup.texts.held_out_rows,
        curve=f"{spec.run_dir}/{curves.PICTURE}",
        model_family=models.family(setup.folder, work.model),
        stopped=setup.evaluations.stopped,
        conditions=conditions.params(setup.trainer.args, setup.device),
    )
