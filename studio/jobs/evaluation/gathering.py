"""Work that several jobs shared becomes one result, made by whichever part ends last.

A later attempt does only what is missing: parts that succeeded keep what they made.
"""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from studio.core import parts
from studio.core.errors import JobError
from studio.core.jobresult import CombinationOutput, EvaluationOutput, Failure, JobResult, Measures
from studio.core.jobspec import EvaluationWork, JobSpec
from studio.jobs import performing
from studio.jobs.events import EventLog
from studio.jobs.result import Outcome, read_result, told, write_result

LOCK = "gathering.lock"
UNLOCKABLE = frozenset({errno.ENOLCK, errno.EOPNOTSUPP})
"""What a shared file system without locks says."""
NAMED = 3
"""Failed parts that a message tells the reasons of; the others are counted."""


def made_before(spec: JobSpec, selection: str) -> Outcome | None:
    """What this part made in an earlier attempt; None unless it was about the same rows, and all of it is still there.

    It took no time now; what it took then is in ``earlier_seconds``.
    """
    from studio.jobs import tracking

    result = _result(spec)
    made = _own(result) if result else None
    if result is None or made is None or result.fingerprint != spec.fingerprint:
        return None
    if spec.fresh and result.attempt != spec.attempt:
        return None
    if made.selection != selection or not _is_whole(made.combinations[0], spec):
        return None
    if not tracking.is_kept(spec, result.mlflow_run_id):
        return None
    earlier = result.measures.earlier_seconds + result.seconds
    measures = result.measures.model_copy(update={"earlier_seconds": earlier})
    return Outcome(_renamed(made, spec), result.mlflow_run_id, result.mlflow_experiment_id, measures)


def _is_whole(made: CombinationOutput, spec: JobSpec) -> bool:
    """Whether its files are there; what an earlier version of studio made has no scores."""
    judged = isinstance(spec.work, EvaluationWork) and spec.work.judges
    wanted = [made.predictions, made.scores, *([made.judgements] if judged else [])]
    return all(place and spec.path(place).is_file() for place in wanted)


def gather(spec: JobSpec, events: EventLog) -> Failure | None:
    """After a part has ended: write the result of the whole, unless other parts of this attempt are still at work.

    Two that end at once take turns, and the second finds it done. The whole's seconds are those of all parts in sum:
    times what each asked for, they are what the work took. Why the parts could not be put together is returned,
    and the same is the result; that a part failed is no such reason.
    """
    whole = parts.part(spec, 0)
    with _one_at_a_time(whole.folder):
        made = [_result(each) for each in _numbered(whole)]
        ended = [each for each in made if each and each.attempt == spec.attempt]
        if len(ended) < len(made) or _is_gathered(whole, ended):
            return None
        failure = _failure(whole, ended)
        events.write("gather", failure.message if failure else f"{len(ended)} parts: their results become one")
        outcome = failure or performing.attempt(whole, lambda: _together(whole, ended))
        result = told(whole, outcome, _began(ended), sum(each.seconds for each in ended))
        write_result(whole.folder, result.model_copy(update={"measures": _summed([each.measures for each in ended])}))
    return result.failure if failure is None else None


def _numbered(whole: JobSpec) -> list[JobSpec]:
    return [parts.part(whole, number) for number in range(1, parts.count(whole) + 1)]


def _result(spec: JobSpec) -> JobResult | None:
    """What a job left; None for nothing, and for what this version of studio cannot read."""
    try:
        found = read_result(spec.folder)
    except ValidationError:
        return None
    return found if found and found.key == spec.key else None


def _own(result: JobResult) -> EvaluationOutput | None:
    """What a part made: one combination."""
    output = result.output
    return output if isinstance(output, EvaluationOutput) and len(output.combinations) == 1 else None


def _began(ended: list[JobResult]) -> datetime:
    return min(datetime.fromisoformat(each.started_at) for each in ended)


def _is_gathered(whole: JobSpec, ended: list[JobResult]) -> bool:
    """Whether the result of the whole is already made of these parts."""
    there = _result(whole)
    if there is None or there.attempt != whole.attempt or not isinstance(there.output, EvaluationOutput):
        return False
    return [each.mlflow_run_id for each in there.output.combinations] == [each.mlflow_run_id for each in ended]


def _failure(whole: JobSpec, ended: list[JobResult]) -> Failure | None:
    """The reasons of the parts that failed, in the words of each."""
    failed = [(number, each.failure) for number, each in enumerate(ended, start=1) if each.failure]
    if not failed:
        return None
    told = [f"{parts.title(whole, number)}: {failure.message}" for number, failure in failed[:NAMED]]
    more = [f"and {len(failed) - NAMED} more"] if len(failed) > NAMED else []
    counted = f"{len(failed)} of {len(ended)} combinations failed; " if len(failed) > 1 else ""
    return Failure(
        message=counted + "; ".join(told + more),
        hint=next((failure.hint for _, failure in failed if failure.hint), ""),
        bug=any(failure.bug for _, failure in failed),
    )


def _together(whole: JobSpec, ended: list[JobResult]) -> Outcome:
    """Table, chart, the run above all, and the output in the manifest's order. Raises JobError when parts differ."""
    from studio.jobs import tracking
    from studio.jobs.evaluation import comparison

    work = whole.work
    outputs = [output for each in ended if (output := _own(each))]
    if not isinstance(work, EvaluationWork) or len(outputs) < len(ended):
        raise JobError("the parts are not of an evaluation", f"see {whole.folder}")
    _demand_same_rows(whole, outputs)
    combinations = [output.combinations[0] for output in outputs]
    with tracking.parent(whole, [each.mlflow_run_id for each in ended], _began(ended)) as run:
        run.log_params(comparison.params(work, outputs[0].rows))
        output = outputs[0].model_copy(update={"combinations": tuple(combinations)})
        output = output.model_copy(update=comparison.conclude(whole, output, run))
    return Outcome(output, run.run_id, run.experiment_id)


def _demand_same_rows(whole: JobSpec, outputs: list[EvaluationOutput]) -> None:
    for number, output in enumerate(outputs, start=1):
        if output.selection != outputs[0].selection:
            raise JobError(
                f"{parts.title(whole, number)} was asked other rows than {parts.title(whole, 1)}: the dataset changed "
                "while the evaluation ran",
                "apply again: combinations that were asked other rows than there are now are evaluated anew",
            )


def _summed(told: list[Measures]) -> Measures:
    """All parts work on the same rows, each in a process of its own. Parts on unlike devices say nothing of a pace."""
    devices = {each.device for each in told}
    return Measures(
        device=devices.pop() if len(devices) == 1 else "",
        rows=max(each.rows for each in told),
        parameters=max(each.parameters for each in told),
        working_seconds=sum(each.working_seconds for each in told),
        earlier_seconds=sum(each.earlier_seconds for each in told),
        parts=len(told),
    )


def _renamed(output: EvaluationOutput, spec: JobSpec) -> EvaluationOutput:
    """The same under today's names: a fingerprint holds none."""
    work = spec.work
    if not isinstance(work, EvaluationWork):
        return output
    wanted = work.combinations[spec.part - 1]
    names = {"model": wanted.model.name, "adapter": wanted.adapter.name if wanted.adapter else ""}
    return output.model_copy(update={"combinations": (output.combinations[0].model_copy(update=names),)})


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Released when the process ends, however it ends. Where the disk knows no locks, two may gather the same."""
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in UNLOCKABLE:
                raise
        yield
