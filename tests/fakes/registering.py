"""A backend whose jobs train nothing, but log to a real MLflow and register real versions, as studio's jobs do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from studio.backends import BACKENDS
from studio.backends.base import JobState, JobStatus
from studio.core.jobresult import EvaluationOutput, ExportOutput, Output, TrainingOutput
from studio.core.jobspec import EvaluationWork, ExportWork, JobSpec, RevisionWork, TrainingWork
from studio.jobs import performing, tracking, versions
from studio.jobs.events import EventLog
from studio.jobs.tracking import TrackedRun
from studio.workflow import applying, places, planning
from tests.test_apply import Notes

from .backend import CountingBackend


@dataclass
class RegisteringBackend(CountingBackend):
    """Each job leaves the files and the MLflow runs that a real one would leave."""

    name: str = "registering"

    def succeed(self, spec: JobSpec) -> JobStatus:
        spec.folder.mkdir(parents=True, exist_ok=True)
        status = CountingBackend.succeed(self, spec)
        if status.result is None:
            return status
        if isinstance(spec.work, RevisionWork):  # performed for real
            result = performing.perform(spec, EventLog(spec.folder / "events.jsonl"))
            if result.failure:
                return JobStatus(JobState.FAILED, message=result.failure.message, hint=result.failure.hint)
            return replace(status, result=result)
        with tracking.run(spec) as run:
            output = self._left(spec, run, status.result.output)
        result = status.result.model_copy(update={"output": output, "mlflow_run_id": run.run_id})
        return replace(status, result=result)

    def _left(self, spec: JobSpec, run: TrackedRun, output: Output | None) -> Output:
        match spec.work, output:
            case TrainingWork(), TrainingOutput():
                return output.model_copy(update={"curve": written(spec, "curves.png")})
            case EvaluationWork(), EvaluationOutput():
                combinations = []
                for number, each in enumerate(output.combinations, 1):
                    with tracking.child(run, each.adapter or each.model, {}) as nested:
                        files = {"predictions": written(spec, f"predictions-{number}.csv")}
                        combinations.append(each.model_copy(update={**files, "mlflow_run_id": nested.run_id}))
                chart = written(spec, "comparison.png")
                return output.model_copy(update={"combinations": tuple(combinations), "chart": chart})
            case ExportWork() as work, ExportOutput():
                return registered(spec, work, run, output)
        raise AssertionError(spec.work)


def registered(spec: JobSpec, work: ExportWork, run: TrackedRun, output: ExportOutput) -> ExportOutput:
    """A version that was registered by an earlier attempt, or a new one."""
    client = run.client
    version = versions.find(client, work.model_name, spec.key, work.after)
    if not version:
        model = client.create_logged_model(run.experiment_id, "model", source_run_id=run.run_id)
        folder = Path(str(model.artifact_location).removeprefix("file://"))
        folder.mkdir(parents=True)
        (folder / "MLmodel").write_text("flavors: {}\n")
        if not client.search_registered_models(f"name = '{work.model_name}'"):
            client.create_registered_model(work.model_name)
        source = f"models:/{model.model_id}"
        made = client.create_model_version(
            work.model_name, source, run.run_id, tags=tracking._tags(spec), description=work.description
        )
        version = str(made.version)
    found = client.get_model_version(work.model_name, version)
    uri = f"models:/{work.model_name}/{version}"
    said = {"source": str(found.source), "description": found.description or ""}
    return output.model_copy(update={"model_version": version, "uri": uri, **said})


def written(spec: JobSpec, name: str) -> str:
    (spec.folder / name).write_text("here\n")
    return f"{spec.run_dir}/{name}"


def apply(root: Path) -> None:
    """Apply a project with this backend; every action must end well."""
    BACKENDS["local"] = lambda site: RegisteringBackend(site.root)
    places.pause = lambda _: None
    planned = planning.plan(root, "default")
    assert isinstance(planned, planning.Planned), planned.findings
    applied = applying.apply(planned, Notes(), 4)
    assert applied.failed == [], applied.failed
