"""How an apply goes about it, as its command line says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _stays() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Manner:
    """How an apply goes about it."""

    fail_fast: bool = False
    """Start nothing new after the first failure; what runs is waited for."""
    detach: bool = False
    """Wait for no job: begin what can begin now, and leave."""
    force: bool = False
    """Also where the plan is beyond the safety limit."""
    command: str = "apply"
    """Who applies, in the words of the command line; the history says so."""
    leaves: Callable[[], bool] = _stays
    """Asked while jobs are waited for: whether to leave them running after all."""


USUAL = Manner()
