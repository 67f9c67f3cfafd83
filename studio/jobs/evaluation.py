"""Evaluation: combinations of base model and adapter answer the same unseen rows (guide, Evaluation Job Lifecycle)."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import datasets
import transformers
from transformers import PreTrainedTokenizerBase

from studio.core.errors import JobError
from studio.core.jobresult import CombinationOutput, EvaluationOutput, Measures
from studio.core.jobspec import Combination, EvaluationWork, JobSpec
from studio.core.suggest import did_you_mean
from studio.core.tracking_look import KEY_TAG
from studio.jobs import (
    adapters,
    comparison,
    devices,
    generation,
    locations,
    lora,
    metrics,
    models,
    rows,
    scoring,
    templating,
    tokenizers,
    tracking,
)
from studio.jobs.devices import Device
from studio.jobs.events import EventLog
from studio.jobs.metrics import Answers
from studio.jobs.models import Base
from studio.jobs.result import Outcome
from studio.jobs.tracking import TrackedRun


@dataclass(frozen=True, slots=True)
class Questions:
    """The rows as text, and the columns to carry along."""

    prompts: list[str]
    expected: list[str]
    features: dict[str, list[object]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory, alone or with an adapter, and its tokenizer with padding configured."""

    model: Any
    tokenizer: PreTrainedTokenizerBase


@dataclass(slots=True)
class Session:
    """What all combinations of one evaluation share; ``done`` counts rows answered so far, ``parameters`` are those of
    the largest base."""

    spec: JobSpec
    work: EvaluationWork
    questions: Questions
    device: Device
    events: EventLog
    done: int = 0
    working_seconds: float = 0.0
    parameters: int = 0

    def answered(self, rows: int) -> None:
        """Tell how far the evaluation is, over all combinations."""
        self.done += rows
        self.events.write("evaluate", step=self.done, total=len(self.questions.prompts) * len(self.work.combinations))


@dataclass(frozen=True, slots=True)
class Measured:
    """The answers of one combination, and their metrics."""

    answers: Answers
    metrics: dict[str, float]


def run(spec: JobSpec, events: EventLog) -> Outcome:
    """Evaluate every combination; the first one is the baseline. Raises JobError for what a user can mend."""
    work = spec.work
    if not isinstance(work, EvaluationWork):
        raise TypeError(f"evaluation was given {type(work).__name__}")
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    metrics.check(work.metrics)
    generation.check(work.generation)
    questions = _questions(spec, work, events)
    session = Session(spec, work, questions, devices.choose(spec.resources, events), events)
    with tracking.run(spec) as parent:
        parent.log_params(_params(work, questions))
        outputs = _combinations(session, parent)
        parent.log_file(comparison.write_table(spec.folder, outputs))
        chart = comparison.draw(spec.folder, outputs, spec.name)
        parent.log_file(chart)
    output = EvaluationOutput(
        combinations=tuple(outputs), rows=len(questions.prompts), chart=f"{spec.run_dir}/{chart.name}"
    )
    return Outcome(output, parent.run_id, parent.experiment_id, _measures(session))


def _measures(session: Session) -> Measures:
    return Measures(
        device=session.device.model,
        rows=len(session.questions.prompts),
        parameters=session.parameters,
        working_seconds=session.working_seconds,
    )


def _questions(spec: JobSpec, work: EvaluationWork, events: EventLog) -> Questions:
    if not (work.templates.input and work.templates.completion):
        raise JobError(
            "evaluation needs a prompt with input_template and completion_template",
            "the input is what the model is asked, the completion is what is expected",
        )
    chosen = rows.unseen(rows.load(work.dataset, spec), work.dataset.digest, work.seen, work.fraction)
    columns = chosen.rows.column_names
    for name in work.selected_features:
        if name not in columns:
            raise JobError(f"selected_features: the dataset has no column {name!r}", did_you_mean(name, columns))
    without = ", without those that training saw" if work.seen else ""
    events.write("data", f"{len(chosen.rows)} rows of the {chosen.split} split{without}")
    return Questions(
        templating.rendered(chosen.rows, work.templates.input),
        templating.rendered(chosen.rows, work.templates.completion),
        {name: chosen.rows[name][:] for name in work.selected_features},
    )


def _combinations(session: Session, parent: TrackedRun) -> list[CombinationOutput]:
    """Every base is loaded once, however its combinations are spread; the output keeps the manifest's order."""
    combinations = session.work.combinations
    by_base: dict[str, list[int]] = {}
    for number, combination in enumerate(combinations):
        by_base.setdefault(_base_key(session, combination), []).append(number)
    outputs: dict[int, CombinationOutput] = {}
    for numbers in by_base.values():
        with _loaded(session, combinations[numbers[0]]) as loaded:
            for number in numbers:
                measured = _measure(session, combinations[number], loaded)
                outputs[number] = _record(session, number, measured, parent)
    return [outputs[number] for number in sorted(outputs)]


def _base_key(session: Session, combination: Combination) -> str:
    """Combinations with equal keys share a base in memory. An adapter that carries whole layers has one of its own:
    taking it off again would not bring the base's layers back."""
    adapter = combination.adapter
    lasting = adapter is not None and not lora.is_removable(adapters.folder(adapter, session.spec))
    quantization = _quantization(session.work, combination)
    return repr((combination.model.model_dump_json(), quantization, adapter if lasting else None))


def _quantization(work: EvaluationWork, combination: Combination) -> dict[str, Any] | None:
    """An adapter may be evaluated on a base quantised as in its training; else the model's setting counts."""
    return (work.adapter_quantization if combination.adapter else None) or work.model_quantization


@contextmanager
def _loaded(session: Session, combination: Combination) -> Iterator[Loaded]:
    """The base model, out of memory again before the next one comes."""
    source = combination.model
    session.events.write("load", f"model {source.name}")
    folder = locations.model_folder(source, session.spec)
    tokenizer = tokenizers.load(folder, source)
    model = models.load(Base(source, folder, _quantization(session.work, combination)), session.device, session.events)
    tokenizers.configure_padding(tokenizer, embeddings=models.embeddings(model))
    session.parameters = max(session.parameters, int(model.num_parameters()))
    try:
        yield Loaded(model, tokenizer)
    finally:
        del model
        gc.collect()


def _measure(session: Session, combination: Combination, loaded: Loaded) -> Measured:
    adapter = combination.adapter
    if adapter is None:
        return _answer(session, loaded)
    folder = adapters.folder(adapter, session.spec)
    with lora.attached(loaded.model, folder, adapter.name) as adapted:
        return _answer(session, Loaded(adapted, loaded.tokenizer))


def _answer(session: Session, loaded: Loaded) -> Measured:
    """Answers and their metrics, computed while the adapter is attached: perplexity asks the model again."""
    started = time.perf_counter()
    model, tokenizer, questions = loaded.model, loaded.tokenizer, session.questions
    config = generation.settings(session.work.generation, tokenizer, model.generation_config)
    generated = generation.generate(model, tokenizer, questions.prompts, config, session.answered)
    if generated.cut:
        session.events.write("evaluate", f"{generated.cut} prompts lost their beginning: the model has no room")

    def loss() -> float:
        encoded = scoring.encode(tokenizer, questions.prompts, questions.expected, None)
        return scoring.mean_loss(model, encoded, int(tokenizer.pad_token_id)).nats

    answers = Answers(generated.texts, tuple(questions.expected), generated.seconds, loss)
    computed = metrics.compute(session.work.metrics, answers)
    session.working_seconds += time.perf_counter() - started
    return Measured(answers, computed)


def _record(session: Session, number: int, measured: Measured, parent: TrackedRun) -> CombinationOutput:
    """Write the predictions and log one nested run."""
    spec, questions = session.spec, session.questions
    combination = session.work.combinations[number]
    model, adapter = combination.model.name, combination.adapter.name if combination.adapter else ""
    name = f"predictions-{number + 1}.csv"
    path = comparison.write_predictions(spec.folder / name, questions.prompts, measured.answers, questions.features)
    tags = {KEY_TAG: spec.key, "studio.combination": str(number + 1)}
    with tracking.child(parent, adapter or model, tags) as run:
        run.log_params({"base_model": model, "adapter": adapter, "baseline": number == 0})
        run.log_metrics(measured.metrics)
        run.log_file(path)
    return CombinationOutput(
        model=model,
        adapter=adapter,
        metrics=measured.metrics,
        predictions=f"{spec.run_dir}/{name}",
        mlflow_run_id=run.run_id,
    )


def _params(work: EvaluationWork, questions: Questions) -> dict[str, Any]:
    return {
        "dataset": work.dataset.name,
        "dataset_digest": work.dataset.digest,
        "rows": len(questions.prompts),
        "metrics": ",".join(work.metrics),
        **tracking.flat(work.generation, "generation"),
    }
