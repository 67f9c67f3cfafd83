"""Drift as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import click

from studio.plan.drift import Comparison, Drift, Unseen, is_hash
from studio.plan.drift_facts import IGNORED, Remedy
from studio.plan.wording import flow
from studio.report.findings import plural
from studio.report.plain import plain

_REMEDIES = {
    Remedy.REPLACE: ("replaces it", "magenta"),
    Remedy.UPDATE: ("updates it", "yellow"),
    Remedy.NOTHING: ("leaves it", "white"),
}
_LONGEST = 60


def to_text(found: Comparison, *, ignored: bool = False, color: bool = True) -> str:
    """Every difference by resource, with what was recorded, what is there, and what apply does about it."""
    lines = []
    if found.counted:
        lines += [f"Drift in environment {plain(found.environment)!r}:", *_by_resource(found.counted), ""]
    lines.append(_summary(found))
    if ignored:
        lines += _may_differ(found.drifts)
    text = "\n".join(lines)
    return text if color else click.unstyle(text)


def warnings(unseen: Iterable[Unseen]) -> str:
    """What could not be looked at, and so is not known to be gone or to be there."""
    lines = []
    for what, reason, hint in unseen:
        lines.append(f"warning: {plain(what)} could not be looked at: {plain(reason)}\n")
        lines += [f"  {plain(hint)}\n"] if hint else []
    return "".join(lines)


def left_alone(drifts: Iterable[Drift]) -> str:
    """Below a plan: differences that are in no action."""
    left = [drift for drift in drifts if not drift.ignored and drift.remedy is Remedy.NOTHING]
    names = ", ".join(sorted({str(drift.ref) for drift in left})[:5])
    return f"{plural(len(left), 'difference')} that apply leaves alone ({names}): see 'studio drift'\n" if left else ""


def to_json(found: Comparison) -> dict[str, Any]:
    """Everything that differs, the ignored too, and what was not seen."""
    return {
        "environment": found.environment,
        "lineage": found.lineage.id,
        "serial": found.lineage.serial,
        "facts": found.facts,
        "drifted": bool(found.counted),
        "drifts": [_json(drift) for drift in found.drifts],
        "unseen": [each._asdict() for each in found.unseen],
    }


def _json(drift: Drift) -> dict[str, Any]:
    return {
        "resource": str(drift.ref),
        "path": drift.path,
        "recorded": drift.recorded,
        "found": drift.found,
        "reason": drift.reason,
        "remedy": drift.remedy.value,
        "ignored": drift.ignored or None,
    }


def _by_resource(drifts: Sequence[Drift]) -> list[str]:
    lines = []
    for ref, each in groupby(drifts, key=lambda drift: drift.ref):
        lines += ["", f"  {click.style(str(ref), bold=True)}"]
        for drift in each:
            lines += [f"      {plain(drift.path)}: {plain(drift.reason)}", f"          {_told(drift)}"]
    return lines


def _told(drift: Drift) -> str:
    words, color = _REMEDIES[drift.remedy]
    by = "apply" if drift.planned or drift.remedy is Remedy.NOTHING else "apply --refresh"
    told = f"recorded {shown(drift.recorded)}, found {shown(drift.found)}"
    return f"{told}; {by} {click.style(words, fg=color)}"


def shown(value: Any) -> str:
    """A recorded or found value, short."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else flow(value)
    if is_hash(text):
        return text[:12]
    flat = plain(text) if text else "''"
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"


def _summary(found: Comparison) -> str:
    looked = f"{plural(found.facts, 'recorded fact')} looked at"
    if found.counted:
        resources = len({drift.ref for drift in found.counted})
        differ = f"{plural(len(found.counted), 'difference')} in {plural(resources, 'resource')}"
        return f"{click.style('Drift:', fg='yellow', bold=True)} {differ}; {looked}."
    return f"{click.style('No drift:', fg='green', bold=True)} {looked}."


def _may_differ(drifts: Iterable[Drift]) -> list[str]:
    """The list of facts that may differ, each with its reason and with what differs now."""
    lines = ["", "These may differ, and count for nothing:"]
    by_reason: dict[str, list[Drift]] = {}
    for drift in drifts:
        by_reason.setdefault(drift.ignored, []).append(drift)
    for fact, reason in IGNORED.items():
        lines.append(f"  {fact}: {reason}")
        lines += [f"      {drift.ref}: found {shown(drift.found)}" for drift in by_reason.get(reason, ())]
    return lines
