"""MLflow's model registry: one version per export, however often the export is retried."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.transformers
from huggingface_hub import ModelCard
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, Schema

from studio.core.jobspec import ExportWork, JobSpec
from studio.core.registered import MODEL_PATH
from studio.core.tracking_look import FINGERPRINT_TAG, KEY_TAG
from studio.jobs.export import packed_weights
from studio.jobs.inputs.locations import CONFIG, read_json
from studio.jobs.model import generation
from studio.jobs.tracking import TrackedRun

NAME = MODEL_PATH
TEXT_GENERATION = "text-generation"
TEXT = ModelSignature(inputs=Schema([ColSpec("string")]), outputs=Schema([ColSpec("string")]))
"""Prompt in, answer out; MLflow sets the signature of the ``llm/v1`` tasks itself."""
PACKAGES = ("mlflow", "torch", "transformers", "accelerate", "safetensors")
LICENCE = "LICENSE.txt"


@dataclass(frozen=True, slots=True)
class Card:
    """What goes along with the weights: the model card's text and where everything came from."""

    text: str
    provenance: dict[str, Any]
    base_name: str


def register(
    spec: JobSpec, work: ExportWork, source: str | dict[str, Any], card: Card, run: TrackedRun, gguf: Path | None = None
) -> str:
    """Log a checkpoint folder, or loaded components by reference, and register it; return the version.

    The version is created with its key as a tag, after all files are stored, so an attempt that dies leaves either no
    version or a whole one that the next attempt finds.
    """
    with _temporary_files_in(spec.folder):
        info = Model.log(
            artifact_path=None,
            flavor=_Flavor(card.base_name, gguf),
            flavor_name=mlflow.transformers.FLAVOR_NAME,
            name=NAME,
            registered_model_name=work.model_name,
            run_id=run.run_id,
            tags=_tags(spec),
            transformers_model=source,
            task=work.inference_task,
            model_card=ModelCard(card.text),
            signature=TEXT if work.inference_task == TEXT_GENERATION else None,
            input_example=_example(work),
            pip_requirements=[f"{name}=={_version(name)}" for name in _packages(work, source)],
            metadata={"studio": card.provenance},
            model_config=model_config(work),
            save_pretrained=isinstance(source, str),
            validate_serving_input=False,
        )
    version = str(info.registered_model_version)
    run.client.update_model_version(work.model_name, version, work.description)
    return version


def model_config(work: ExportWork) -> dict[str, Any]:
    """How the registered model answers: as the evaluation did, and without repeating the prompt."""
    answers = generation.complete(work.generation)
    return answers | ({"return_full_text": False} if work.inference_task == TEXT_GENERATION else {})


@dataclass(frozen=True, slots=True)
class _Flavor:
    """mlflow.transformers, but for the weights of a local checkpoint: they are linked, not copied, into the folder
    that MLflow stores, and nothing in that folder names a path of this machine."""

    base_name: str
    gguf: Path | None = None
    """A file that is to lie beside the checkpoint."""

    def save_model(self, path: str, mlflow_model: Model, **options: Any) -> None:
        source = options["transformers_model"]
        if not isinstance(source, str):
            mlflow.transformers.save_model(path=path, mlflow_model=mlflow_model, **_without(options))
            return
        with tempfile.TemporaryDirectory() as light:
            checkpoint = Path(light, NAME)
            shutil.copytree(source, checkpoint, ignore=shutil.ignore_patterns("*.safetensors"))
            light_options = {**_without(options), "transformers_model": str(checkpoint)}
            mlflow.transformers.save_model(path=path, mlflow_model=mlflow_model, **light_options)
        for weights in sorted(Path(source).glob("*.safetensors")):
            _link(weights, Path(path, NAME, weights.name))
        if self.gguf:
            folder = Path(path, self.gguf.parent.name)
            folder.mkdir()
            _link(self.gguf, folder / self.gguf.name)
        self._describe(Path(path), mlflow_model)

    def _describe(self, path: Path, mlflow_model: Model) -> None:
        """Correct what MLflow derived from the temporary folder."""
        flavor = mlflow_model.flavors[mlflow.transformers.FLAVOR_NAME]
        flavor["source_model_name"] = self.base_name
        mlflow_model.model_size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        (path / LICENCE).write_text(f"The licence of {self.base_name} applies to these weights.\n", encoding="utf-8")
        mlflow_model.save(str(path / "MLmodel"))


def _link(source: Path, target: Path) -> None:
    """A second name for a file; a copy where the file system knows no links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK, errno.ENOSYS):
            raise
        shutil.copyfile(source, target)


def _without(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "validate_serving_input"}


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """MLflow builds what it stores in a temporary folder: on the run's own disk, where weights can be linked and the
    space was asked for, not in a small /tmp. What an attempt left that was killed goes first."""
    before, inside = tempfile.tempdir, folder / ".mlflow.building"
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir()
    tempfile.tempdir = str(inside)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(inside, ignore_errors=True)


def _example(work: ExportWork) -> Any:
    if work.inference_task == TEXT_GENERATION:
        return work.input_example
    if work.inference_task.endswith("chat"):
        return {"messages": [{"role": "user", "content": work.input_example}]}
    return {"prompt": work.input_example}


def _packages(work: ExportWork, source: str | dict[str, Any]) -> tuple[str, ...]:
    """What loading the version needs; a base model that is stored quantised, or referred to, needs more."""
    peft = ("peft",) if work.weights == "adapter" else ()
    config = read_json(Path(source, CONFIG)) if isinstance(source, str) else source["model"].config.to_dict()
    quantised = packed_weights.method(config) == packed_weights.OURS
    return (*PACKAGES, *peft, *((packed_weights.OURS,) if quantised else ()))


def _version(package: str) -> str:
    """Without the local part: ``2.13.0+cpu`` is on no public index."""
    return importlib.metadata.version(package).partition("+")[0]


def _tags(spec: JobSpec) -> dict[str, str]:
    return {
        KEY_TAG: spec.key,
        "studio.name": spec.name,
        FINGERPRINT_TAG: spec.fingerprint,
        "studio.environment": spec.environment,
    }
