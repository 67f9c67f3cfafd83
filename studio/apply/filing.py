"""What an artifact says of its job besides the result. It is kept with the run, because the manifest may have moved on
by the time the job ends."""

from __future__ import annotations

from typing import Any

from studio.backends.base import WORKSPACE
from studio.core.jobresult import JobResult, TrainingOutput
from studio.core.jobspec import RUNS_FOLDER, JobSpec
from studio.plan.workload import measures, promised
from studio.state.base import Artifact, Run


def filing(spec: JobSpec) -> dict[str, Any]:
    """For a run that is about to be submitted."""
    return {
        "run_dir": spec.run_dir,
        "resources": spec.resources.model_dump(mode="json"),
        "workload": promised(spec),
    }


def artifact(run: Run, result: JobResult, now: str) -> Artifact:
    """What a run that ended well leaves, for all who need the same work."""
    return Artifact(
        kind=run.ref.kind,
        fingerprint=run.fingerprint,
        output=_output(run, result),
        run_key=run.key,
        run_dir=run.filing.get("run_dir", f"{RUNS_FOLDER}/{run.key}"),
        mlflow_run_id=result.mlflow_run_id,
        mlflow_experiment_id=result.mlflow_experiment_id,
        seconds=result.seconds,
        resources=run.filing.get("resources", {}),
        created_at=now,
        measures=measures(run.filing.get("workload", {}), result.measures),
    )


def _output(run: Run, result: JobResult) -> dict[str, Any]:
    """What the job made, and in which workspace its files are; where a job ran is not known to the job."""
    made = result.output
    if isinstance(made, TrainingOutput) and run.backend.startswith(WORKSPACE):
        made = made.model_copy(update={"place": run.backend})
    return made.model_dump(mode="json") if made else {}
