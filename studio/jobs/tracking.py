"""MLflow: where a job logs to, and the run it logs to."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from studio.core.errors import JobError
from studio.core.fingerprints import canonical, digest
from studio.core.jobspec import VARIABLE, JobSpec, Tracking, TrainingWork, Work
from studio.core.premises import Premises
from studio.core.tracking_look import COMBINATION_TAG, FINGERPRINT_TAG, KEY_TAG
from studio.jobs import relocation
from studio.jobs.versions import ABSENT

LONGEST_PARAM = 6000
"""Characters of a param's value (mlflow 3.17, MAX_PARAM_VAL_LENGTH)."""
BATCH_METRICS, BATCH_PARAMS = 1000, 100
"""Limits of one log_batch call (mlflow 3.17, MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH)."""
SQLITE = "sqlite:///"
PARENT_TAG = "mlflow.parentRunId"
CHILDREN_TAG = "studio.children"
"""Of a run above others: a digest of their ids."""
SWEEP_TAG = "studio.sweep"
"""Of a trial's run: the name of its sweep."""
_NOT_IN_A_TAG = re.compile(r"[^\w.\-/ ]", re.ASCII)
"""What MLflow refuses in a tag's name (mlflow 3.17, validation)."""
ENVIRONMENT = "MLFLOW_TRACKING_URI"
"""Where a workspace says which MLflow is its own."""


@dataclass(frozen=True, slots=True)
class TrackedStep:
    """Metrics of one step, and when they were measured (milliseconds since the epoch)."""

    values: Mapping[str, float]
    step: int
    time: int


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One MLflow run; values are sent in as few calls as MLflow allows."""

    client: MlflowClient
    run_id: str
    experiment_id: str

    def log_params(self, values: dict[str, Any]) -> None:
        """Log flat params, each cut to what MLflow holds."""
        params = [Param(name, str(value)[:LONGEST_PARAM]) for name, value in sorted(values.items())]
        for start in range(0, len(params), BATCH_PARAMS):
            self.client.log_batch(self.run_id, params=params[start : start + BATCH_PARAMS])

    def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Log metrics of one step."""
        self.log_steps([TrackedStep(values, step, int(time.time() * 1000))])

    def log_steps(self, steps: Sequence[TrackedStep]) -> None:
        """Log metrics of many steps at once. To log the same ones again changes nothing."""
        metrics = [Metric(name, value, each.time, each.step) for each in steps for name, value in each.values.items()]
        for start in range(0, len(metrics), BATCH_METRICS):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + BATCH_METRICS])

    def log_folder(self, path: Path, folder: str) -> None:
        """Copy a folder's files to the run's artifacts."""
        self.client.log_artifacts(self.run_id, str(path), folder)

    def log_table(self, columns: dict[str, list[Any]], file: str) -> None:
        """File a table where MLflow shows those of evaluations."""
        self.client.log_table(self.run_id, columns, file)

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts."""
        self.client.log_artifact(self.run_id, str(path), folder)


@contextmanager
def run(spec: JobSpec, name: str = "", tags: Mapping[str, str] | None = None) -> Iterator[TrackedRun]:
    """The job's run, active while the context lasts; FAILED when it is left by an exception.

    An earlier attempt of the same key that was killed left a run that still says RUNNING: it is closed as KILLED.
    Raises JobError when MLflow cannot be reached.
    """
    with _explained(spec.tracking):
        experiment = _experiment(spec)
        client = MlflowClient()
        _close_abandoned(client, experiment, spec)
        all_tags = {**_tags(spec), **(tags or {})}
        started = mlflow.start_run(experiment_id=experiment, run_name=name or spec.name, tags=all_tags)
    ended = "FAILED"
    try:
        yield TrackedRun(client, started.info.run_id, experiment)
        ended = "FINISHED"
    finally:
        _end(ended)


def _end(status: str) -> None:
    """Tell MLflow that the active run has ended. It need not know: the work is done, or has failed, all the same."""
    try:
        mlflow.end_run(status)
    except (MlflowException, OSError) as error:  # requests' errors are OSErrors
        print(f"MLflow does not know that the run has ended, {status}: {error}", flush=True)


@contextmanager
def parent(spec: JobSpec, children: Sequence[str], began: datetime) -> Iterator[TrackedRun]:
    """The run above runs that have ended, begun when the first of them was; they become its children at the end.

    The same children have one parent, however often this is done. Raises JobError for whatever MLflow refuses.
    """
    with _explained(spec.tracking):
        experiment = _experiment(spec)
        client = MlflowClient()
        tags = {**_tags(spec), CHILDREN_TAG: digest(list(children))}
        same = f"tags.`{KEY_TAG}` = '{spec.key}' AND tags.`{CHILDREN_TAG}` = '{tags[CHILDREN_TAG]}'"
        found = next(iter(client.search_runs([experiment], same)), None)
        if found is None:
            _close_abandoned(client, experiment, spec)
            found = client.create_run(experiment, int(began.timestamp() * 1000), tags, spec.name)
        with mlflow.start_run(run_id=found.info.run_id):
            yield TrackedRun(client, found.info.run_id, experiment)
            for each in children:
                client.set_tag(each, PARENT_TAG, found.info.run_id)


def is_kept(spec: JobSpec, run_id: str) -> bool:
    """Whether a run is there, and nobody deleted it. Raises JobError when MLflow cannot be reached."""
    with _explained(spec.tracking):
        _experiment(spec)
        try:
            return str(MlflowClient().get_run(run_id).info.lifecycle_stage) == "active"
        except MlflowException as error:
            if error.error_code != ABSENT:
                raise
            return False


@contextmanager
def registry(spec: Premises) -> Iterator[MlflowClient]:
    """The project's registry, for a job that makes no run. Raises JobError when MLflow cannot be reached."""
    with _explained(spec.tracking):
        _experiment(spec)
        yield MlflowClient()


@contextmanager
def child(parent: TrackedRun, name: str, tags: dict[str, str]) -> Iterator[TrackedRun]:
    """A run nested in ``parent``, which must be active."""
    with mlflow.start_run(experiment_id=parent.experiment_id, run_name=name, nested=True, tags=tags) as started:
        yield TrackedRun(parent.client, started.info.run_id, parent.experiment_id)


def flat(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    """A config's keys as param names: ``lora.r``."""
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _experiment(spec: Premises) -> str:
    """Set MLflow up for this project and return the experiment's id, creating it when it is missing."""
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    uri = address(spec.tracking, Path(spec.project_dir))
    with _one_at_a_time(uri):
        _follow(uri, spec)
        with _environment_kept():
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
        client = MlflowClient()
        existing = client.get_experiment_by_name(spec.tracking.experiment)
        if existing is None:
            return str(client.create_experiment(spec.tracking.experiment, _artifacts(spec)))
    if existing.lifecycle_stage == "deleted":
        client.restore_experiment(existing.experiment_id)
    return str(existing.experiment_id)


@contextmanager
def _environment_kept() -> Iterator[None]:
    """MLflow writes the address into the environment, where a workspace says which MLflow is its own."""
    before = os.environ.get(ENVIRONMENT)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(ENVIRONMENT, None)
        else:
            os.environ[ENVIRONMENT] = before


def address(tracking: Tracking, project: Path) -> str:
    """Where MLflow is. A relative sqlite file is relative to the project, not to whatever folder the job runs in.

    Raises JobError when the variable that holds the address is not set.
    """
    uri = tracking.tracking_uri
    if uri.startswith(VARIABLE):
        uri = _from_environment(uri.removeprefix(VARIABLE))
    return SQLITE + str(project / uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else uri


def _follow(uri: str, spec: Premises) -> None:
    """The project's own database follows its folder when that is moved."""
    location = spec.tracking.artifact_location
    if uri.startswith(SQLITE) and location and "://" not in location:
        for old in relocation.mend(Path(uri.removeprefix(SQLITE)), Path(spec.project_dir), location):
            print(f"the project was moved: what MLflow had in {old} is now in {spec.path(location)}", flush=True)


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise JobError(f"the environment variable {name} is not set", "it holds the MLflow tracking URI (studio.yaml)")
    return value


def _artifacts(spec: Premises) -> str | None:
    location = spec.tracking.artifact_location
    if not location or "://" in location:
        return location or None
    return spec.path(location).absolute().as_uri()


@contextmanager
def _one_at_a_time(uri: str) -> Iterator[None]:
    """Two jobs that create the same SQLite database at once would both run its migrations, and one would fail."""
    if not uri.startswith(SQLITE):
        yield
        return
    database = Path(uri.removeprefix(SQLITE))
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _close_abandoned(client: MlflowClient, experiment: str, spec: JobSpec) -> None:
    """Runs of earlier attempts that were killed; the other parts of this attempt may still be at work."""
    condition = f"tags.`{KEY_TAG}` = '{spec.key}' AND attributes.status = 'RUNNING'"
    if spec.part:
        condition += f" AND tags.`{COMBINATION_TAG}` = '{spec.part}'"
    for abandoned in client.search_runs([experiment], condition):
        client.set_terminated(abandoned.info.run_id, "KILLED")


def _tags(spec: JobSpec) -> dict[str, str]:
    return {
        KEY_TAG: spec.key,
        "studio.attempt": str(spec.attempt),
        "studio.kind": spec.kind,
        "studio.name": spec.name,
        FINGERPRINT_TAG: spec.fingerprint,
        "studio.environment": spec.environment,
        **_trial(spec.work),
    }


def _trial(work: Work) -> dict[str, str]:
    """A sweep's runs are found by its name, and compared by what they do not have in common."""
    if not isinstance(work, TrainingWork) or work.trial is None:
        return {}
    values = work.trial.values.items()
    said = {f"studio.trial.{_NOT_IN_A_TAG.sub('_', key)[:200]}": canonical(value)[:1000] for key, value in values}
    return {SWEEP_TAG: work.trial.sweep, **said}


@contextmanager
def _explained(tracking: Tracking) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        raise JobError(
            f"MLflow at {tracking.tracking_uri} refused: {error.message}", "check mlflow in studio.yaml"
        ) from error
