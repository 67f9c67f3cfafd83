"""Where a resource came from, as it is recorded: what it was made of, by which job, by whom, from which commit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from studio.core.references import Ref
from studio.desired import Desire, content_of
from studio.resources.adapter import AdapterFacts
from studio.resources.dataset import DatasetFacts
from studio.resources.model import ModelFacts
from studio.state.base import Operation, Record, Run, RunStatus, StateReader

OPERATIONS = 10_000
"""The latest that are searched for who started a job."""


@dataclass(frozen=True, slots=True)
class Link:
    """One resource of a chain; ``depth`` counts from the one that was asked about.

    ``changed``: it is recorded otherwise by now than when what stands above it was made of it.
    """

    ref: Ref
    depth: int
    facts: dict[str, Any]
    changed: bool = False


def chain(ref: Ref, state: StateReader) -> list[Link]:
    """What a job made its outcome of, each once, and below each what that was made of; nothing for what no job made."""
    records, operations = state.records(), state.operations(OPERATIONS)
    seen = {ref}

    def below(record: Record, depth: int) -> Iterator[Link]:
        for name, fingerprint in sorted(record.inputs.items()):
            upstream = _parsed(name)
            if upstream is None or upstream in seen:
                continue
            seen.add(upstream)
            found = records.get(upstream)
            if found is None:
                yield Link(upstream, depth, {"fingerprint": fingerprint})
                continue
            yield Link(upstream, depth, _facts(found, state, operations), is_changed(found, fingerprint))
            yield from below(found, depth + 1)

    start = records.get(ref)
    if start is None or not start.outcome.get("output"):
        return []
    return [Link(ref, 0, _facts(start, state, operations)), *below(start, 1)]


def is_changed(record: Record, used: str) -> bool:
    """Whether a resource is recorded otherwise than when something was made of it under the hash ``used``. Of a Config
    and an Adapter that is a hash of what of them counts, which their own fingerprints do not tell; of a sweep that is
    the chosen trial's."""
    chosen = (record.outcome.get("output") or {}).get("sweep") or {}
    return record.ref.kind not in ("Config", "Adapter") and chosen.get("fingerprint", record.fingerprint) != used


def upstream(ref: Ref, desire: Desire) -> dict[str, Any]:
    """Everything that a desired resource is made of: fingerprints, and of what is known digests and rows."""
    above = sorted(desire.graph.ancestors(ref))
    known = {each: desire.observations.get(each) for each in above}
    return {
        "inputs": {str(each): desire.items[each].fingerprint for each in above},
        "content": {
            str(each): content_of(facts)
            for each, facts in known.items()
            if isinstance(facts, DatasetFacts | ModelFacts | AdapterFacts)
        },
        "rows": {str(each): facts.rows for each, facts in known.items() if isinstance(facts, DatasetFacts)},
    }


def origin(kind: str, fingerprint: str, state: StateReader, operations: list[Operation]) -> dict[str, Any]:
    """The run that made what is filed under a fingerprint: which, when, and by whom and from what it was started."""
    filed = state.artifact(kind, fingerprint)
    if filed is None or not filed.run_key:
        return {"imported": filed.created_at} if filed else {}
    runs = state.attempts(filed.run_key)
    run = next((each for each in runs if each.status is RunStatus.SUCCEEDED), None)
    if run is None:
        return {"run": filed.run_key}
    started = _started(run, operations)
    who = {"by": started.actor, "commit": started.commit} if started else {}
    return {
        "run": run.key, "attempt": run.attempt, "submitted": run.submitted_at, "finished": run.finished_at, **who,
    }  # fmt: skip


def _started(run: Run, operations: list[Operation]) -> Operation | None:
    """The operation that submitted a run."""
    return next(
        (
            each
            for each in operations
            if each.environment == run.environment
            and each.started_at <= run.submitted_at
            and (not each.finished_at or run.submitted_at <= each.finished_at)
        ),
        None,
    )


def _parsed(name: str) -> Ref | None:
    """Among inputs is also content that is no resource."""
    try:
        return Ref.parse(name)
    except ValueError:
        return None


def _facts(record: Record, state: StateReader, operations: list[Operation]) -> dict[str, Any]:
    output: dict[str, Any] = record.outcome.get("output") or {}
    known = {name: record.facts.get(name) for name in ("commit", "digest", "rows")}
    made = {name: output.get(name) for name in ("adapter", "uri", "url", "digest", "train_rows", "versions")}
    by = origin(record.ref.kind, record.fingerprint, state, operations) if output else {"committed": record.commit}
    found = (made if output else known) | {"revision": record.spec.get("revision")} | by
    kept = {name: value for name, value in found.items() if value not in (None, "", {}, [])}
    return kept if kept.keys() - {"committed"} else {"fingerprint": record.fingerprint, **kept}
