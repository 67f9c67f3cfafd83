"""Operations and runs, newest first: who did what to state, when, from which commit, and how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import click

from studio.core.references import Ref
from studio.report.plain import plain
from studio.state.base import ACTIVE, Operation, Run, RunStatus
from studio.state.moves import name_before

NOTHING = "Nothing has been applied or edited yet."
NAMED = 3
"""Up to so many resources are named; of more, what happened is counted."""
KINDS_OF_WORDS = 4
"""Different things that an operation did, before the rest is counted."""
_COLORS = {"succeeded": "green", "failed": "red", "interrupted": "yellow"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An operation, and the name that it knew the resource by which is asked about, if one is."""

    operation: Operation
    ref: Ref | None = None


def of(operations: Iterable[Operation], ref: Ref) -> Iterator[Entry]:
    """What changed a resource, newest first as the operations are: also under the names that it had before."""
    for each in operations:
        if concerning(each, ref):
            yield Entry(each, ref)
        ref = name_before(each, ref)


def to_text(entries: Sequence[Entry], at_work: str, ref: Ref | None) -> str:
    """Two lines an operation; ``at_work`` is the id of the one that is under way now."""
    if not entries:
        return f"No operation changed {ref}." if ref else NOTHING
    return "\n".join(line for each in entries for line in _operation(each.operation, at_work, each.ref))


def _operation(operation: Operation, at_work: str, ref: Ref | None) -> list[str]:
    ended = ending(operation, at_work)
    parts = [
        operation.started_at,
        click.style(plain(operation.command), bold=True),
        click.style(ended, fg=_COLORS.get(ended, "cyan")),
        f"by {plain(operation.actor)}",
        f"at {operation.commit[:12]}{'-dirty' if operation.commit.endswith('-dirty') else ''}"
        if operation.commit
        else "",
        f"plan {operation.plan[:12]}" if operation.plan else "",
        f"took {duration(operation.started_at, operation.finished_at)}" if operation.finished_at else "",
    ]
    return ["  ".join(filter(None, parts)), f"    {_done(operation, ref)}"]


def _done(operation: Operation, ref: Ref | None) -> str:
    """What happened, counted; or what happened to one resource."""
    if ref:
        return "; ".join(f"{plain(name)}: {plain(words)}" for name, words in concerning(operation, ref).items())
    if len(operation.summary) <= NAMED:
        told = "; ".join(f"{plain(name)}: {plain(words)}" for name, words in operation.summary.items())
        return told or ("nothing was changed" if operation.finished_at else "'studio status' says what came of it")
    counted = counts(operation).most_common()
    shown = [f"{count} {plain(words)}" for words, count in counted[:KINDS_OF_WORDS]]
    rest = sum(count for _, count in counted[KINDS_OF_WORDS:])
    return ", ".join([*shown, f"{rest} more"] if rest else shown)


def _short(commit: str) -> str:
    return commit[:12] + ("-dirty" if commit.endswith("-dirty") else "")


def counts(operation: Operation) -> Counter[str]:
    """How often what happened."""
    return Counter(map(str, operation.summary.values()))


def concerning(operation: Operation, ref: Ref) -> dict[str, Any]:
    """What an operation did to a resource, also under the name that it gave up."""
    name = str(ref)
    return {key: words for key, words in operation.summary.items() if key == name or str(words).split()[-1:] == [name]}


def ending(operation: Operation, at_work: str) -> str:
    """How an operation ended; one that nobody finished was killed."""
    return operation.outcome or ("under way" if operation.id == at_work else "killed")


def duration(begun: str, ended: str) -> str:
    """Between two times in ISO 8601."""
    try:
        seconds = round((datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds())
    except (ValueError, TypeError):
        return "?"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def runs_to_text(runs: Iterable[Run]) -> str:
    """One line a run, and the reason of one that failed."""
    lines = []
    for run in runs:
        color = {RunStatus.SUCCEEDED: "green", RunStatus.FAILED: "red"}.get(run.status, "yellow")
        took = f"took {duration(run.submitted_at, run.finished_at)}" if run.finished_at else ""
        status = "under way" if run.status in ACTIVE else run.status.value
        what = f"{plain(run.key)}, attempt {run.attempt} on {plain(run.backend)}"
        lines.append("  ".join(filter(None, (run.submitted_at, click.style(status, fg=color), what, took))))
        if run.error:
            lines.append(f"    {plain(run.error.splitlines()[0])}")
    return "\n".join(lines)


def to_json(operations: Iterable[Operation], at_work: str, runs: Iterable[Run]) -> dict[str, Any]:
    """The same as data, with every resource that an operation changed."""
    return {
        "operations": [
            {**asdict(each), "outcome": ending(each, at_work), "counts": dict(sorted(counts(each).items()))}
            for each in operations
        ],
        "runs": [{**asdict(run), "ref": str(run.ref)} for run in runs],
    }
