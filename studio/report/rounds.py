"""A round of sync on one line, as text or JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from studio.core.secrets import redact
from studio.pursuit import GOOD, PASSING, Ending, Round
from studio.report.plain import plain


def to_text(round: Round) -> str:
    """When, which commit, what it came to; then why the branch's newest commit is not the one."""
    color = "green" if round.ending in GOOD else "yellow" if round.ending in PASSING | {Ending.WAITING} else "red"
    words = click.style(round.ending.value, fg=color) + (f": {plain(round.message)}" if round.message else "")
    rejected = f"  [{round.newest[:12]} {plain(round.rejected)}]" if round.rejected else ""
    return f"{round.at}  {round.commit[:12] or '-':12}  {words}{rejected}"


def to_json(round: Round) -> str:
    """The same as one line of JSON."""
    return redact(json.dumps(asdict(round), sort_keys=True))
