"""What the doctor found, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import click

from studio.doctor.checkup import Checkup, Verdict
from studio.report.plain import plain

JSON_VERSION = 1
_SIGNS = {Verdict.OK: ("✓", "green"), Verdict.WARNING: ("!", "yellow"), Verdict.MISSING: ("✗", "red")}
_WIDTH = 16


def line(name: str, checkup: Checkup) -> str:
    """One check: its sign, what was found and, below it, what to do."""
    sign, color = _SIGNS[checkup.verdict]
    text = f"{click.style(sign, fg=color, bold=True)} {name:{_WIDTH}}{plain(checkup.found)}"
    return text + (f"\n  {'':{_WIDTH}}→ {plain(checkup.cure)}" if checkup.cure else "")


def summary(checkups: Iterable[Checkup]) -> str:
    counted = Counter(checkup.verdict for checkup in checkups)
    if counted[Verdict.MISSING]:
        return f"{counted[Verdict.MISSING]} missing that the project needs."
    warnings = counted[Verdict.WARNING]
    return "Everything that the project needs is here" + (f"; {warnings} to look at." if warnings else ".")


def to_json(found: Iterable[tuple[str, Checkup]]) -> dict[str, Any]:
    """The documented, versioned form."""
    every = list(found)
    counted = Counter(checkup.verdict for _, checkup in every)
    return {
        "version": JSON_VERSION,
        "checks": [
            {"name": name, "verdict": each.verdict.value, "found": each.found, "cure": each.cure}
            for name, each in every
        ],
        "summary": {verdict.value: counted[verdict] for verdict in Verdict},
    }
