"""Models and adapters of a workspace's registry: what an MLflow run logged, fetched as plain files.

A model that ``mlflow.transformers`` logged has its weights in ``model`` and its tokenizer in ``components/tokenizer``;
of one with a PEFT adapter the adapter is in ``peft`` (MLflow 3.17, transformers/model_io.py). What was logged as a
plain folder of files is found as well. Only safetensors, JSON and text are fetched: no pickle reaches this disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient

from studio.core.errors import JobError
from studio.core.jobspec import AdapterInput, ModelInput
from studio.core.premises import Premises
from studio.core.registered import LOGGED_FOLDER, Logged
from studio.jobs import tracking
from studio.jobs.versions import ABSENT

WEIGHTS = ".safetensors"
PLAIN = (WEIGHTS, ".json", ".txt", ".model", ".jinja", ".md")
"""What is fetched of a folder: weights, settings, vocabularies, chat templates, licences."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
MARKS = {"model": "config.json", "adapter": "adapter_config.json"}
"""The file that makes a folder with weights what it should be."""
TOKENIZER = ("components", "tokenizer")
"""Where mlflow.transformers keeps it, beside the folder of the weights."""
MAX_FILES, MAX_DEPTH = 2_000, 6
"""Looked at in one run's artifacts."""


@dataclass(slots=True)
class Shelf:
    """One place of a run's artifacts: the run's own, or those of a model that it logged."""

    repository: ArtifactRepository
    folders: dict[PurePosixPath, set[str]] = field(default_factory=dict)
    """Names of the files of each folder."""

    def walk(self) -> None:
        found = 0
        waiting: list[str | None] = [None]
        while waiting and found <= MAX_FILES:
            for each in self.repository.list_artifacts(waiting.pop()):
                path = PurePosixPath(each.path)
                if each.is_dir and len(path.parts) < MAX_DEPTH:
                    waiting.append(each.path)
                elif not each.is_dir:
                    self.folders.setdefault(path.parent, set()).add(path.name)
                    found += 1

    def holding(self, mark: str) -> list[PurePosixPath]:
        """Folders with the marking file, in which weights are, whatever their format."""
        return sorted(
            folder
            for folder, names in self.folders.items()
            if mark in names and any(name.endswith((WEIGHTS, *PICKLES)) for name in names)
        )


def folder(source: ModelInput | AdapterInput, logged: Logged, spec: Premises) -> Path:
    """A folder with the files of a registered model or adapter, fetched once.

    Raises JobError when the run is not to be found, or holds no such thing that may be loaded, or more than one.
    """
    what = "adapter" if isinstance(source, AdapterInput) else "model"
    target = spec.path(LOGGED_FOLDER) / what / logged.run_id
    if not target.is_dir():
        _fetch(what, source.name, logged, target, spec)
    return target


def _fetch(what: str, name: str, logged: Logged, target: Path, spec: Premises) -> None:
    """Into place at once, when all of it is there; who comes second finds it there."""
    words = f"{what} {name}, logged by the MLflow run {logged.run_id}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as inside:
        try:
            shelf, found = _only(what, words, list(_shelves(logged, words, spec)))
            whole = Path(inside, "whole")
            whole.mkdir()
            for origin in (*_tokenizer(shelf, found), found):  # what lies beside the weights wins
                _copy(shelf, origin, whole, Path(inside))
        except (MlflowException, OSError) as error:  # requests' errors are OSErrors
            message = getattr(error, "message", str(error))
            hint = "is MLflow reachable from here, and may it be read?"
            raise JobError(f"{words}, could not be fetched: {message}", hint) from error
        try:
            whole.replace(target)
        except OSError:
            if not target.is_dir():
                raise


def _shelves(logged: Logged, words: str, spec: Premises) -> Iterator[Shelf]:
    """What the run logged as models (MLflow 3), and its own artifacts, where clients of MLflow 2 put models."""
    uri, client = _home(logged, words, spec)
    run = client.get_run(logged.run_id)
    places = [str(client.get_logged_model(each.model_id).artifact_location) for each in run.outputs.model_outputs]
    for place in (*places, str(run.info.artifact_uri)):
        shelf = Shelf(get_artifact_repository(place, tracking_uri=uri))
        shelf.walk()
        yield shelf


def _home(logged: Logged, words: str, spec: Premises) -> tuple[str, MlflowClient]:
    """The MLflow that knows the run: the project's, else the workspace's own."""
    own = tracking.address(spec.tracking, Path(spec.project_dir))
    asked = dict.fromkeys([own, os.environ.get(tracking.ENVIRONMENT, "")])
    for uri in filter(None, asked):
        client = MlflowClient(uri, uri)
        try:
            client.get_run(logged.run_id)
        except MlflowException as error:
            if error.error_code != ABSENT:
                raise
        else:
            return uri, client
    hint = f"set mlflow.tracking_uri of studio.yaml, or {tracking.ENVIRONMENT}, to the MLflow of the workspace"
    raise JobError(f"{words}: no MLflow that is known here has that run", hint)


def _only(what: str, words: str, shelves: list[Shelf]) -> tuple[Shelf, PurePosixPath]:
    """The one folder that may be loaded; raises JobError for none, for pickles, and for several."""
    found = [(shelf, folder) for shelf in shelves for folder in shelf.holding(MARKS[what])]
    safe = [each for each in found if any(name.endswith(WEIGHTS) for name in each[0].folders[each[1]])]
    if len(safe) == 1:
        return safe[0]
    if safe:
        names = ", ".join(str(folder) for _, folder in safe)
        hint = f"register a run that logged one {what}, or copy the right folder into the project (type: project)"
        raise JobError(f"{words}: the run holds more than one {what}: {names}", hint)
    if found:
        hint = "a pickle can run code when it is read; log it again with safetensors, in a place you trust"
        raise JobError(f"{words}: it holds pickled weights only, which are refused", hint)
    raise JobError(f"{words}: the run holds no {what} with weights", _instead(what, shelves))


def _instead(what: str, shelves: list[Shelf]) -> str:
    """What to do about a run without the thing."""
    other = "adapter" if what == "model" else "model"
    if any(shelf.holding(MARKS[other]) for shelf in shelves):
        return f"it holds {'an adapter: declare an Adapter' if what == 'model' else 'a model: declare a Model'} of it"
    if any("MLmodel" in names for shelf in shelves for names in shelf.folders.values()):
        return "it may refer to a model of the hub: declare that with type: huggingface"
    return "log it with mlflow.transformers, save_pretrained=True"


def _tokenizer(shelf: Shelf, weights: PurePosixPath) -> list[PurePosixPath]:
    """The folder of the tokenizer, where that is not the weights' own."""
    beside = weights.parent.joinpath(*TOKENIZER)
    return [beside] if beside in shelf.folders else []


def _copy(shelf: Shelf, origin: PurePosixPath, whole: Path, scratch: Path) -> None:
    """Fetch the plain files of one folder."""
    for name in sorted(shelf.folders[origin]):
        if name.endswith(PLAIN) and "/" not in name and name not in (".", ".."):
            fetched = shelf.repository.download_artifacts(str(origin / name), str(scratch))
            shutil.move(fetched, whole / name)
