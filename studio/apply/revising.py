"""Carrying out what a descriptive change says of a thing outside the record: a small job, and then the record.

The job's key names what is to be said, so the same revision is never under way twice, and one that was done is known
by what the artifact says of itself. A revision that fails leaves the record as it was: the next apply tries again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from studio.apply.errand import SMALL, ForItem, chore
from studio.apply.recording import Recorder
from studio.compile import Target
from studio.core.endpoint import AdjustmentOutput, AdjustmentWork
from studio.core.fingerprints import digest
from studio.core.job_keys import revision_key
from studio.core.jobresult import JobResult
from studio.core.jobspec import JobSpec, Resources, RevisionWork
from studio.desired import Desired
from studio.resources import KINDS
from studio.resources.scope import Made
from studio.state.base import Artifact, Run, StateStore


@dataclass(frozen=True, slots=True)
class Revision(ForItem):
    """An errand: to make an artifact say of itself what its manifest says of it."""

    artifact: Artifact
    work: RevisionWork | AdjustmentWork
    target: Target
    state: StateStore
    recorder: Recorder

    @property
    def resources(self) -> Resources:
        return SMALL

    @property
    def key(self) -> str:
        said = digest([self.work.model_dump(mode="json"), str(self.ref), self.target.environment])
        return revision_key(self.ref, said)

    def spec(self, attempt: int) -> JobSpec:
        return chore(self, self.work, self.target, attempt)

    def succeeded(self, run: Run, result: JobResult) -> None:
        """The artifact says what was carried out, and the record takes it over."""
        artifact = replace(self.artifact, output=_said(self.artifact.output, self.work, result))
        self.state.save_artifact(artifact)
        self.recorder.adopt(self.item, artifact)

    def failed(self, message: str) -> None:
        """Nothing is recorded but the run: what was recorded before is still so."""


@dataclass(frozen=True, slots=True)
class Reviser:
    """Finds out whether a resource's artifact is to be revised."""

    target: Target
    state: StateStore
    recorder: Recorder

    def errand(self, item: Desired, artifact: Artifact | None, *, again: bool = False) -> Revision | None:
        """The revision that is to be run before the resource is recorded; None when there is none."""
        if artifact is None:
            return None
        revise = KINDS[item.ref.kind].revise
        work = (
            revise(item.resource, Made(artifact.output, artifact.run_key, artifact.fingerprint), again)
            if revise
            else None
        )
        return Revision(item, artifact, work, self.target, self.state, self.recorder) if work else None


def _said(output: dict[str, Any], work: RevisionWork | AdjustmentWork, result: JobResult) -> dict[str, Any]:
    """An artifact's output after a revision."""
    said = dict(output)
    if isinstance(result.output, AdjustmentOutput):
        now = result.output.model_dump(mode="json", include={"deployment_id", "description", "size"})
        return {**said, **now}
    if isinstance(work, AdjustmentWork):
        raise TypeError(f"{result.key} changed an endpoint and says nothing of it")
    for version in work.versions:
        said["description"] = version.description
    if work.copies:
        said["copies"] = sorted({*output.get("copies", ()), *(copy.target for copy in work.copies)})
    return said
