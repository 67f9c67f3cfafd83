"""Evaluation: combinations of base model and adapter answer the same unseen rows (guide, Evaluation Job Lifecycle)."""

from __future__ import annotations

import gc
from typing import Any

import datasets
import transformers

from studio.core import parts
from studio.core.jobresult import CombinationOutput, EvaluationOutput, Measures
from studio.core.jobspec import Combination, EvaluationWork, JobSpec
from studio.jobs import tracking
from studio.jobs.evaluation import (
    comparison,
    confusion,
    gathering,
    harness,
    judgements,
    judging,
    measuring,
    metrics,
    questions,
    recording,
)
from studio.jobs.evaluation.asking import Loaded
from studio.jobs.evaluation.session import Session
from studio.jobs.events import EventLog
from studio.jobs.inputs import locations
from studio.jobs.model import adapters, devices, generation, lora, models, tokenizers
from studio.jobs.model.models import Base
from studio.jobs.result import Outcome
from studio.jobs.tracking import TrackedRun


def run(spec: JobSpec, events: EventLog) -> Outcome:
    """Evaluate every combination, the first one being the baseline, or the one that is this part's.

    Raises JobError for what a user can mend.
    """
    work = spec.work
    if not isinstance(work, EvaluationWork):
        raise TypeError(f"evaluation was given {type(work).__name__}")
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    metrics.check(work.metrics)
    generation.check(work.generation)
    asked = questions.ask(spec, work, events)
    confusion.check(work.metrics, asked.expected)
    earlier = gathering.made_before(spec, asked.digest) if spec.part else None
    if earlier:
        events.write("reuse", f"an earlier attempt evaluated {parts.title(spec, spec.part)}: its answers are kept")
        return earlier
    tasks = harness.ready(spec, work.harness)
    judges = judging.reached(work.judges, judgements.of(spec)) if work.judges else ()
    session = Session(spec, work, asked, devices.choose(spec.resources, events), events, judges, tasks)
    return _part(session) if spec.part else _whole(session)


def _whole(session: Session) -> Outcome:
    spec = session.spec
    with tracking.run(spec) as parent:
        parent.log_params(comparison.params(session.work, len(session.questions.prompts)))
        outputs = _combinations(session, parent)
        output = _output(session, outputs)
        output = output.model_copy(update=comparison.conclude(spec, output, parent))
    return Outcome(output, parent.run_id, parent.experiment_id, _measures(session))


def _part(session: Session) -> Outcome:
    """One combination, in a run that gets its parent when all parts have ended."""
    number = session.spec.part - 1
    combination = session.work.combinations[number]
    with tracking.run(session.spec, *recording.labels(session, number)) as run:
        measured = measuring.measure(session, combination, _load(session, combination))
        output = recording.record(session, number, measured, run)
    return Outcome(_output(session, [output]), run.run_id, run.experiment_id, _measures(session))


def _output(session: Session, combinations: list[CombinationOutput]) -> EvaluationOutput:
    asked = session.questions
    return EvaluationOutput(combinations=tuple(combinations), rows=len(asked.prompts), selection=asked.digest)


def _measures(session: Session) -> Measures:
    return Measures(
        device=session.device.model,
        rows=len(session.questions.prompts),
        parameters=session.parameters,
        working_seconds=session.working_seconds,
    )


def _combinations(session: Session, parent: TrackedRun) -> list[CombinationOutput]:
    """Every base is loaded once, however its combinations are spread; the output keeps the manifest's order."""
    combinations = session.work.combinations
    by_base: dict[str, list[int]] = {}
    for number, combination in enumerate(combinations):
        by_base.setdefault(_base_key(session, combination), []).append(number)
    outputs: dict[int, CombinationOutput] = {}
    for numbers in by_base.values():
        outputs |= _of_one_base(session, numbers, parent)
    return [outputs[number] for number in sorted(outputs)]


def _of_one_base(session: Session, numbers: list[int], parent: TrackedRun) -> dict[int, CombinationOutput]:
    """A function of its own: when it returns, nothing refers to the base any more, and the next one may come."""
    outputs = {}
    loaded = _load(session, session.work.combinations[numbers[0]])
    for number in numbers:
        measured = measuring.measure(session, session.work.combinations[number], loaded)
        with tracking.child(parent, *recording.labels(session, number)) as run:
            outputs[number] = recording.record(session, number, measured, run)
    return outputs


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


def _load(session: Session, combination: Combination) -> Loaded:
    """The base model. One before it leaves memory first: adapters that were attached make circles of references."""
    if session.parameters:
        gc.collect()
    source = combination.model
    session.events.write("load", f"model {source.name}")
    folder = locations.model_folder(source, session.spec)
    tokenizer = tokenizers.load(folder, source)
    model = models.load(Base(source, folder, _quantization(session.work, combination)), session.device, session.events)
    tokenizers.configure_padding(tokenizer, embeddings=models.embeddings(model))
    session.parameters = max(session.parameters, int(model.num_parameters()))
    return Loaded(source.name, model, tokenizer)
