"""What is kept of a combination: files in the job's folder, and a run of its own in MLflow."""

from __future__ import annotations

from studio.core import parts
from studio.core.jobresult import CombinationOutput
from studio.core.secrets import redact
from studio.core.tracking_look import COMBINATION_TAG, KEY_TAG
from studio.jobs import charts
from studio.jobs.evaluation import bootstrap, comparison, confusion, differences, judging, slices, sureness
from studio.jobs.evaluation.measuring import Measured
from studio.jobs.evaluation.metrics import Answers
from studio.jobs.evaluation.session import Session
from studio.jobs.tracking import TrackedRun


def labels(session: Session, number: int) -> tuple[str, dict[str, str]]:
    """Name and tags of a combination's run."""
    combination = session.work.combinations[number]
    name = combination.adapter.name if combination.adapter else combination.model.name
    return name, {KEY_TAG: session.spec.key, COMBINATION_TAG: str(number + 1)}


def record(session: Session, number: int, measured: Measured, run: TrackedRun) -> CombinationOutput:
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
    found = {name: sureness.of(name, measured.scores[name], each, among) for name, each in drawn.items()}
    intervals = {name: each for name, each in found.items() if each and name in measured.metrics}
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
