"""Which job made an adapter, from what is recorded."""

from __future__ import annotations

from studio.core.job_keys import job_key
from studio.core.references import Ref
from studio.state.base import StateReader


def trained_by(state: StateReader, job: Ref, fingerprint: str) -> dict[str, str]:
    """The job and its key; of a sweep the trial that was chosen, and that one's key."""
    made = state.artifact(job.kind, fingerprint)
    if made and (sweep := made.output.get("sweep")):
        return {"job": str(job), "key": made.run_key, "trial": str(sweep["best"])}
    return {"job": str(job), "key": job_key(job, fingerprint)}
