"""Which variables a job needs from the environment: their names, by what they are for."""

from __future__ import annotations

from studio.core import judging
from studio.core.jobspec import EvaluationWork, Work


def needed(work: Work, hub_token: str) -> dict[str, str]:
    """``hub_token`` is the variable that the settings name; those of judges have names of their own."""
    judges = judging.variables(work.judges) if isinstance(work, EvaluationWork) else {}
    return {"hf_token": hub_token, **judges}
