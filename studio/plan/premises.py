"""What a plan's jobs take for granted: things of the machine that runs them, and judges who get to see rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studio.core.jobspec import EvaluationWork
from studio.core.judge_names import url_variable
from studio.core.references import Ref
from studio.core.splits import sampled, unseen


@dataclass(frozen=True, slots=True)
class Lack:
    """What this machine does not have, and what to do about it; ``refs`` need it. ``position`` is the field of the
    first of them that asks for it."""

    message: str
    hint: str
    refs: tuple[Ref, ...]
    position: str = ""


def lack_json(lack: Lack) -> dict[str, Any]:
    return {
        "message": lack.message,
        "hint": lack.hint,
        "position": lack.position,
        "resources": [str(ref) for ref in lack.refs],
    }


@dataclass(frozen=True, slots=True)
class Disclosure:
    """Rows that a judge gets to see, each with the answers of all combinations. ``rows`` is None where their number is
    not known; ``variable`` holds the address of the judge's service."""

    judge: str
    model: str
    variable: str
    rows: int | None
    combinations: int


def disclosures(work: EvaluationWork, rows: int | None) -> tuple[Disclosure, ...]:
    """What goes to the judges of an evaluation; ``rows`` are those of its data set, None where that is not one file."""
    seen = [each.split for each in work.seen if each.dataset_digest == work.dataset.digest]
    splits = {(each.fraction, each.train) for each in seen}
    asked = None if rows is None else sampled(unseen(rows, splits), work.fraction)
    return tuple(
        Disclosure(
            judge=each.name,
            model=each.model,
            variable=url_variable(each.endpoint),
            rows=asked if asked is None or not each.sample else min(asked, each.sample),
            combinations=len(work.combinations),
        )
        for each in work.judges
    )


def disclosure_json(each: Disclosure) -> dict[str, Any]:
    return {
        "judge": each.judge,
        "model": each.model,
        "variable": each.variable,
        "rows": each.rows,
        "combinations": each.combinations,
    }
