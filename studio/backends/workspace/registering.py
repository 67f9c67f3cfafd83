"""The workspace's model registry: an export that logged a model to MLflow is registered there, once, and taken out
again by its removal (guide, Model Export & Registry).

The registry has no deletion of a version, only of a model with all of them. Nothing here makes an export fail: the
model is in MLflow, and what the registry does not take is said as a remark.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from studio.backends.base import JobState, JobStatus, place
from studio.backends.workspace.calls import Calls, MissingError
from studio.core.errors import RefusedError
from studio.core.jobresult import ExportOutput, JobResult, RemovalOutput
from studio.core.registered import MODEL_PATH, Registered, Unregistering
from studio.core.tracking_look import FINGERPRINT_TAG, KEY_TAG

PRIVATE = "PRIVATE"
"""Who else may see it is decided in the registry, after the export."""
NO_REGISTRY = "not registered in the workspace: it has no model registry"
OWN_MLFLOW = "is mlflow.tracking_uri of studio.yaml the workspace's own MLflow, {env: MLFLOW_TRACKING_URI}?"


@dataclass(frozen=True, slots=True)
class Registering:
    """``calls`` are apart from those of jobs: that the registry refuses says nothing about them."""

    calls: Calls

    def concluded(self, status: JobStatus) -> JobStatus:
        """What an ended job still needs. Asking again does nothing twice; raises BackendError to be asked again."""
        result = status.result
        if status.state is not JobState.SUCCEEDED or result is None:
            return status
        match result.output:
            case ExportOutput(registered=None):
                output: ExportOutput | RemovalOutput = self._registered(result, result.output)
            case RemovalOutput(unregistering=Unregistering() as wanted):
                output = result.output.model_copy(update={"remark": self._unregistered(wanted)})
            case _:
                return status
        concluded = result.model_copy(update={"output": output})
        return JobStatus(status.state, status.progress, concluded, output.remark, status.hint)

    def _registered(self, result: JobResult, output: ExportOutput) -> ExportOutput:
        run = result.mlflow_run_id
        try:
            with self.calls.budget():
                found = self._version(output.model_name, run) or self._made(result, output)
        except MissingError:
            return output.model_copy(update={"remark": NO_REGISTRY})
        except RefusedError as error:
            words = f"not registered in the workspace: {error.message}; {OWN_MLFLOW}"
            return output.model_copy(update={"remark": words})
        model, number = found
        registered = Registered(
            model_id=model, version=number, run_id=run, place=place(self.calls.url, self.calls.project_id)
        )
        return output.model_copy(update={"registered": registered, "remark": ""})

    def _made(self, result: JobResult, output: ExportOutput) -> tuple[str, str]:
        """Model and number of a new version; found again where the answer was lost."""
        name, run = output.model_name, result.mlflow_run_id
        what = f"register the model {name}"

        def create(*arguments: Any, **named: Any) -> tuple[str, str]:
            made = self.calls.client.create_registered_model(*arguments, **named)
            versions = made.model_versions or ()
            numbers = [str(each.number) for each in versions if _run(each) == run]
            return str(made.model_id), numbers[0] if numbers else ""

        body = {
            "project_id": self.calls.project_id,
            "experiment_id": result.mlflow_experiment_id,
            "run_id": run,
            "model_path": MODEL_PATH,
            "model_name": name,
            "description": output.description,
            "visibility": PRIVATE,
            "tags": [{"key": KEY_TAG, "value": result.key}, {"key": FINGERPRINT_TAG, "value": result.fingerprint}],
        }
        model, number = self.calls.effect(what, lambda: self._version(name, run), create, body)
        return (model, number) if number else (self._version(name, run) or (model, ""))

    def _version(self, name: str, run: str) -> tuple[str, str] | None:
        """Model and number of the version that came from an MLflow run; the first, should there be several."""
        client, what = self.calls.client, f"look for the registered model {name}"
        wanted = json.dumps({"name": name})
        models = self.calls.pages(what, lambda page: page.models, client.list_registered_models, search_filter=wanted)
        for model in models:
            id = str(model.model_id)
            if model.name == name:  # the filter may match parts of names
                with suppress(MissingError):  # it may have gone meanwhile
                    numbers = sorted(number for number, logged_by in self._versions(id) if logged_by == run)
                    if numbers:
                        return id, str(numbers[0])
        return None

    def _versions(self, model: str) -> list[tuple[int, str]]:
        """Number and MLflow run of each version."""
        client = self.calls.client
        found = self.calls.pages(
            f"look at the registered model {model}",
            lambda page: page.model_versions,
            client.get_registered_model,
            model,
        )
        return [(int(each.number or 0), _run(each)) for each in found]

    def _unregistered(self, wanted: Unregistering) -> str:
        """Delete a model whose versions are all this record's own; why it stays, "" when it went or was gone."""
        model = wanted.registered.model_id
        try:
            with self.calls.budget():
                others = sum(run not in wanted.own_runs for _, run in self._versions(model))
                if others:
                    which = f"version {wanted.registered.version} of the registered model {model} stays"
                    return f"{which}: the registry deletes whole models only, and {others} of its versions are others'"
                self.calls.effect(
                    f"delete the registered model {model}", lambda: self._is_gone(model),
                    self.calls.client.delete_registered_model, model,
                )  # fmt: skip
        except MissingError:
            return ""
        except RefusedError as error:
            return f"the registered model {model} stays: {error.message}"
        return ""

    def _is_gone(self, model: str) -> bool | None:
        try:
            self._versions(model)
        except MissingError:
            return True
        return None


def _run(version: Any) -> str:
    """The MLflow run that logged a version; "" for one that came otherwise."""
    metadata = version.model_version_metadata
    logged = metadata.mlflow_metadata if metadata else None
    return str(logged.run_id or "") if logged else ""
