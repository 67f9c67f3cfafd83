"""Removal: deletes the model version that an export registered; what is gone already is no fault."""

from __future__ import annotations

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.tracking import MlflowClient

from studio.core.errors import JobError
from studio.core.jobresult import RemovalOutput
from studio.core.jobspec import JobSpec, RemovalWork
from studio.core.tracking_look import KEY_TAG
from studio.jobs import tracking
from studio.jobs.events import EventLog
from studio.jobs.result import Outcome

_MISSING = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)


def run(spec: JobSpec, events: EventLog) -> Outcome:
    """Delete the version. Raises JobError when it is not the export's, or an alias says that somebody uses it."""
    work = spec.work
    if not isinstance(work, RemovalWork):
        raise TypeError(f"removal was given {type(work).__name__}")
    words = f"{work.model_name} version {work.model_version}"
    with tracking.registry(spec) as client:
        version = _find(client, work)
        if version is not None:
            _demand_own(version, work, words)
            _demand_unused(version, words)
            client.delete_model_version(work.model_name, work.model_version)
    events.write("remove", f"{words} {'is deleted' if version else 'was gone already'}")
    output = RemovalOutput(
        model_name=work.model_name,
        model_version=work.model_version,
        was_there=version is not None,
        unregistering=work.unregistering,
    )
    return Outcome(output)


def _find(client: MlflowClient, work: RemovalWork) -> ModelVersion | None:
    try:
        return client.get_model_version(work.model_name, work.model_version)
    except MlflowException as error:
        if error.error_code == _MISSING:
            return None
        raise


def _demand_own(version: ModelVersion, work: RemovalWork, words: str) -> None:
    """A registry that was made anew counts from 1 again: the number alone proves nothing."""
    if version.tags.get(KEY_TAG) != work.made_by:
        raise JobError(
            f"{words} was not registered by this export", "look at it there; --forget drops the record and leaves it"
        )


def _demand_unused(version: ModelVersion, words: str) -> None:
    """An alias is how servers find a version (MLflow, Model Registry): what is served is not pulled away."""
    if version.aliases:
        raise JobError(
            f"{words} has the alias {', '.join(sorted(version.aliases))}",
            "give the alias to another version first; --forget drops the record and leaves the version",
        )
