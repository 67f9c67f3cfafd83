"""A registered version's files, as an export stored them: whole weights, or a base model on the hub and an adapter."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from studio.core.errors import JobError
from studio.core.jobspec import ModelInput
from studio.core.servingspec import RegisteredVersion, ServingSpec
from studio.jobs import relocation, tracking
from studio.jobs.inputs import locations
from studio.jobs.inputs.locations import HUB
from studio.jobs.model import adapters

DESCRIPTION = "MLmodel"
WEIGHTS, ADAPTER = "model_binary", "peft_adaptor"
"""Keys of MLflow's transformers flavor that name a folder of the version (mlflow 3.17, FlavorKey)."""
AGAIN = "'studio apply --refresh' exports it again"
NOT_GENERATION = frozenset({"return_full_text"})
"""Settings of a registered model that are its pipeline's, not its generation's."""


@dataclass(frozen=True, slots=True)
class Files:
    """What there is to load: a base model's folder, an adapter's if there is one, and how to generate."""

    model: ModelInput
    folder: Path
    adapter: Path | None
    generation: dict[str, Any]


@contextmanager
def files(spec: ServingSpec) -> Iterator[Files]:
    """The files of what is served; those that had to be fetched are there as long as the context lasts."""
    if spec.version is not None:
        with _stored(spec.version, spec) as folder:
            yield _of_version(folder, spec)
        return
    if spec.model is None:
        raise AssertionError(f"{spec.title} has neither a model nor a version")
    folder = locations.model_folder(spec.model, spec)
    adapter = adapters.folder(spec.adapter, spec) if spec.adapter else None
    yield Files(spec.model, folder, adapter, spec.generation or {})


@contextmanager
def _stored(version: RegisteredVersion, spec: ServingSpec) -> Iterator[Path]:
    """Where they are on this disk, else fetched from the server."""
    name, number = version.model_name, version.model_version
    with tracking.registry(spec) as client:
        location = _address(client, name, number)
        here = relocation.local_path(location)
        if here is not None:
            if not (here / DESCRIPTION).is_file():
                raise JobError(f"{name} version {number}: its files are not in {here} any more", AGAIN)
            yield here
            return
        scratch = spec.path(".studio")
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch, prefix="serving-") as inside:
            yield _fetched(location, name, number, inside)


def _address(client: MlflowClient, name: str, number: str) -> str:
    try:
        return str(client.get_model_version_download_uri(name, number))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise JobError(f"{name} version {number} is not in the registry any more", AGAIN) from error


def _fetched(location: str, name: str, number: str, inside: str) -> Path:
    from mlflow.artifacts import download_artifacts

    try:
        return Path(download_artifacts(artifact_uri=location, dst_path=inside))
    except (MlflowException, OSError) as error:
        raise JobError(f"{name} version {number} could not be fetched: {error}", "check the server and it") from error


def _of_version(folder: Path, spec: ServingSpec) -> Files:
    described = _described(folder / DESCRIPTION)
    flavors = described.get("flavors") or {}
    flavor = flavors.get("transformers")
    if not isinstance(flavor, dict):
        raise JobError(f"{spec.title}: the version was not made by studio: it has no transformers flavor")
    config = (flavors.get("python_function") or {}).get("config") or {}
    settings = {key: value for key, value in config.items() if key not in NOT_GENERATION}
    settings = settings if spec.generation is None else spec.generation
    if flavor.get(WEIGHTS):
        stored = ModelInput(name=spec.title, type="project", location=str(_within(folder, flavor[WEIGHTS])))
        return Files(stored, locations.model_folder(stored, spec), None, settings)
    name, revision = str(flavor.get("source_model_name", "")), str(flavor.get("source_model_revision", ""))
    allowed = name in spec.allow_remote_code
    base = ModelInput(name=name, type=HUB, huggingface_name=name, revision=revision, trust_remote_code=allowed)
    adapter = _within(folder, flavor[ADAPTER]) if flavor.get(ADAPTER) else None
    return Files(base, locations.model_folder(base, spec), adapter, settings)


def _within(folder: Path, name: object) -> Path:
    """A folder of the version; whoever wrote the description must not lead elsewhere."""
    found = (folder / str(name)).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise JobError(f"{folder / DESCRIPTION} names {str(name)[:100]!r}, which is outside of the version", AGAIN)
    return found


def _described(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise JobError(f"{file} cannot be read: {error}", AGAIN) from error
    return found if isinstance(found, dict) else {}
