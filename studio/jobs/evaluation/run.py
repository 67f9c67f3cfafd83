"""Evaluation: combinations of base model and adapter answer the same unseen rows (guide, Evaluation Job Lifecycle)."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import Any

import datasets
import transformers

from studio.core import parts
from studio.core.jobresult import CombinationOutput, EvaluationOutput, Measures
from studio.core.jobspec import Combination, EvaluationWork, JobSpec
from studio.core.secrets import redact
from studio.core.tracking_look import COMBINATION_TAG, KEY_TAG
from studio.jobs import charts, tracking
from studio.jobs.evaluation import (
    asking,
    bootstrap,
    comparison,
    confusion,
    differences,
    gathering,
    harness,
    judgements,
    judging,
    metrics,
    questions,
    slices,
    sureness,
)
from studio.jobs.evaluation.asking import Loaded
from studio.jobs.evaluation.harness import Harness
from studio.jobs.evaluation.judgements import Judgement
from studio.jobs.evaluation.judging import Judge
from studio.jobs.evaluation.metrics import Answers, Scores
from studio.jobs.evaluation.questions import Questions
from studio.jobs.events import EventLog
from studio.jobs.inputs import locations
from studio.jobs.model import adapters, devices, generation, lora, models, scoring, tokenizers
from studio.jobs.model.devices import Device
from studio.jobs.model.models import Base
from studio.jobs.result import Outcome
from studio.jobs.tracking import TrackedRun


@dataclass(slots=True)
class Session:
    """What all combinations of one job share; ``done`` counts rows answered so far, ``parameters`` are those of the
    largest base."""

    spec: JobSpec
    work: EvaluationWork
    questions: Questions
    device: Device
    events: EventLog
    judges: tuple[Judge, ...] = ()
    harness: Harness | None = None
    done: int = 0
    working_seconds: float = 0.0
    parameters: int = 0

    def answered(self, rows: int) -> None:
        """Tell how far the job is, over all its combinations."""
        self.done += rows
        combinations = 1 if self.spec.part else len(self.work.combinations)
        self.events.write("evaluate", step=self.done, total=len(self.questions.prompts) * combinations)


@dataclass(frozen=True, slots=True)
class Measured:
    """The answers of one combination, the scores of its rows, and its metrics."""

    answers: Answers
    scores: Scores
    metrics: dict[str, float]
    judgements: dict[str, dict[int, Judgement]]
    tasks: harness.Found


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
    with tracking.run(session.spec, *_labels(session, number)) as run:
        measured = _measure(session, combination, _load(session, combination))
        output = _record(session, number, measured, run)
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
        measured = _measure(session, session.work.combinations[number], loaded)
        with tracking.child(parent, *_labels(session, number)) as run:
            outputs[number] = _record(session, number, measured, run)
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


def _measure(session: Session, combination: Combination, loaded: Loaded) -> Measured:
    adapter = combination.adapter
    if adapter is None:
        return _answer(session, loaded)
    folder = adapters.folder(adapter, session.spec)
    with lora.attached(loaded.model, folder, adapter.name) as adapted:
        template = tokenizers.template_in(folder)
        return _answer(session, Loaded(adapter.name, adapted, loaded.tokenizer, template))


def _answer(session: Session, loaded: Loaded) -> Measured:
    """Answers and their metrics, computed while the adapter is attached: perplexity asks the model again."""
    started = time.perf_counter()
    model, tokenizer, asked = loaded.model, loaded.tokenizer, session.questions
    config = generation.settings(session.work.generation, tokenizer, model.generation_config)
    put = asking.put(asked, session.work.templates.chat, loaded)
    generated = generation.generate(model, tokenizer, put.texts, config, session.answered, put.special)
    if generated.cut:
        session.events.write("evaluate", f"{generated.cut} prompts lost their beginning: the model has no room")

    def losses() -> list[tuple[float, int]]:
        fitting = [each.end(generation.positions(model)) for each in put.encoded()]
        return scoring.losses(model, fitting, int(tokenizer.pad_token_id))

    def tokens() -> list[int]:
        return [len(ids) for ids in tokenizer(list(generated.texts), add_special_tokens=False)["input_ids"]]

    answers = Answers(generated.texts, tuple(asked.expected), generated.seconds, losses, tokens)
    scores = metrics.score(session.work.metrics, answers)
    judged = {each.work.name: judging.judged(each, asked.prompts, answers, session.events) for each in session.judges}
    scores |= {name: judging.scores(found, len(asked.prompts)) for name, found in judged.items()}
    computed = metrics.compute((*session.work.metrics, *judged), answers, scores)
    tasks = harness.evaluated(session.harness, loaded, session.events)
    session.working_seconds += time.perf_counter() - started
    return Measured(answers, scores, computed | tasks.metrics, judged, tasks)


def _labels(session: Session, number: int) -> tuple[str, dict[str, str]]:
    """Name and tags of a combination's run."""
    combination = session.work.combinations[number]
    name = combination.adapter.name if combination.adapter else combination.model.name
    return name, {KEY_TAG: session.spec.key, COMBINATION_TAG: str(number + 1)}


def _record(session: Session, number: int, measured: Measured, run: TrackedRun) -> CombinationOutput:
    """Write the predictions and log the combination's run."""
    spec, asked = session.spec, session.questions
    combination = session.work.combinations[number]
    model, adapter = combination.model.name, combination.adapter.name if combination.adapter else ""
    name = f"predictions-{number + 1}.csv"
    path = comparison.write_predictions(spec.folder / name, asked.prompts, measured.answers, asked.features)
    run.log_params({"base_model": model, "adapter": adapter, "baseline": number == 0})
    scores = f"scores-{number + 1}.npz"
    differences.keep(spec.folder / scores, measured.scores)
    drawn, among = bootstrap.replicates(measured.scores), sureness.ranges(session.work)
    intervals = {name: sureness.of(name, measured.scores[name], each, among) for name, each in drawn.items()}
    intervals |= measured.tasks.intervals
    sliced = slices.measured(asked.slices, measured.scores, among)
    run.log_metrics(measured.metrics | comparison.bounds(intervals) | comparison.of_slices(sliced))
    run.log_file(path)
    return CombinationOutput(
        model=model,
        adapter=adapter,
        metrics=measured.metrics,
        intervals=intervals,
        slices=sliced,
        confusion=_confused(session, number, measured.answers, run),
        judgements=_judged(session, number, measured, run),
        scores=parts.location(spec, scores),
        predictions=parts.location(spec, name),
        mlflow_run_id=run.run_id,
    )


def _judged(session: Session, number: int, measured: Measured, run: TrackedRun) -> str:
    """Write and log what the judges said; where it is, "" without judges."""
    if not measured.judgements:
        return ""
    columns = judging.table(measured.judgements, session.questions.prompts, measured.answers)
    path = judging.write(session.spec.folder / f"judgements-{number + 1}.csv", columns)
    run.log_table(columns, path.with_suffix(".json").name)
    run.log_file(path)
    return parts.location(session.spec, path.name)


def _confused(session: Session, number: int, answers: Answers, run: TrackedRun) -> str:
    """Write, draw and log the confusion matrix; where it is, "" for answers that are no classes."""
    known = confusion.classes(answers.expected)
    if not known:
        return ""
    counted = confusion.matrix(known, answers)
    path = confusion.write(session.spec.folder / f"confusion-{number + 1}.csv", known, counted)
    run.log_file(path)
    names = [redact(name) for name in known]
    combination = session.work.combinations[number]
    title = combination.adapter.name if combination.adapter else combination.model.name
    run.log_file(charts.draw_confusion(counted, names, title, path.with_suffix(".png")))
    return parts.location(session.spec, path.name)
