"""Adapters: written so that the same training gives the same bytes, and nothing names this machine; kept on an MLflow
server, and fetched from there where they were not trained."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from transformers import PreTrainedTokenizerBase

from studio.core.errors import JobError
from studio.core.fingerprints import folder_digest, tree
from studio.core.jobspec import ADAPTERS_FOLDER, AdapterInput, JobSpec
from studio.core.kept import Kept
from studio.core.premises import Premises
from studio.jobs import tracking
from studio.jobs.events import EventLog
from studio.jobs.inputs import locations
from studio.jobs.inputs.locations import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_json
from studio.jobs.model import tokenizers
from studio.jobs.tracking import TrackedRun

READABLE = 0o644
PICKLED_ARGUMENTS = "training_args.bin"
"""A pickle that holds hub_token in plain text; nothing reads it, resuming neither."""
KEPT = "adapter"
"""Folder among the artifacts of the MLflow run that trained it."""


def save(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    base_name: str,
    folder: Path,
    weights: dict[str, Any] | None = None,
) -> str:
    """Write adapter and tokenizer to ``folder`` in one step and return their digest.

    ``base_name`` replaces the path that the base model was loaded from; ``weights`` are those of a model of which this
    process holds only a part.
    """
    building = _building(folder)
    # Embeddings are never resized here, so there are none to save; "auto" would ask the hub whether they were.
    model.save_pretrained(str(building), save_embedding_layers=False, state_dict=weights)
    tokenizers.save(tokenizer, building)
    return settle(building, base_name, folder)


def adopt(source: Path, tokenizer: PreTrainedTokenizerBase, base_name: str, folder: Path) -> str:
    """The same of an adapter that another program wrote to ``source``: its weights and configuration, nothing else.

    Raises JobError when it wrote none, or weights that are no safetensors.
    """
    building = _building(folder)
    building.mkdir(parents=True)
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (source / name).is_file():
            raise JobError(f"no {name} was written to {source}; weights of another form are refused")
        shutil.copyfile(source / name, building / name)
    tokenizers.save(tokenizer, building)
    return settle(building, base_name, folder)


def _building(folder: Path) -> Path:
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    return building


def settle(building: Path, base_name: str, folder: Path) -> str:
    """Take away what names this machine, put ``building`` in the place of ``folder``, and return its digest."""
    (building / PICKLED_ARGUMENTS).unlink(missing_ok=True)
    (building / "README.md").unlink(missing_ok=True)
    _normalise(building / ADAPTER_CONFIG, base_name)
    for path in tree(building).values():
        path.chmod(READABLE)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return digest(folder)


def keep(folder: Path, spec: JobSpec, run: TrackedRun, events: EventLog) -> Kept | None:
    """Copy an adapter to the MLflow server, so that other machines find it. A server that fails costs only that."""
    if not spec.tracking.server:  # it would be another copy on the same disk
        return None
    try:
        run.log_folder(folder, KEPT)
    except (MlflowException, OSError) as error:  # requests' errors are OSErrors
        events.write("save", f"MLflow did not take the adapter, so it is on this machine only: {error}")
        return None
    return Kept(server=spec.tracking.server, run_id=run.run_id, path=KEPT)


def folder(adapter: AdapterInput, spec: Premises) -> Path:
    """A folder with the adapter's configuration and weights: where it was trained, else fetched from MLflow.

    Raises JobError when it is in neither place, or what MLflow holds is not what was trained.
    """
    if adapter.kept is None or (spec.path(adapter.location) / ADAPTER_WEIGHTS).is_file():
        return locations.adapter_folder(adapter, spec)
    fetched = spec.path(ADAPTERS_FOLDER) / adapter.digest
    if not fetched.is_dir():
        _fetch(adapter, adapter.kept, fetched, spec)
    return fetched


def _fetch(adapter: AdapterInput, kept: Kept, target: Path, spec: Premises) -> None:
    """Into place at once, and only when it is what was trained; who comes second finds it there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    again = f"train it again: studio apply --replace FineTuningJob/NAME, of the job that makes {adapter.name}"
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as inside:
        try:
            client = MlflowClient(tracking.address(spec.tracking, Path(spec.project_dir)))
            found = Path(client.download_artifacts(kept.run_id, kept.path, inside))
        except (MlflowException, OSError) as error:
            where = "is not on this machine, and MLflow does not give it"
            raise JobError(f"adapter {adapter.name} {where}: {error}", again) from error
        if digest(found) != adapter.digest:
            raise JobError(f"adapter {adapter.name}: what MLflow keeps is not what was trained", again)
        try:
            found.replace(target)
        except OSError:
            if not target.is_dir():
                raise


def digest(folder: Path) -> str:
    """Content digest of every file of a folder."""
    return folder_digest(tree(folder))


def size(folder: Path) -> int:
    """Bytes of every file of a folder; 0 without one."""
    return sum(path.stat().st_size for path in tree(folder).values())


def _normalise(path: Path, base_name: str) -> None:
    """Sort what PEFT keeps in sets, whose order changes from process to process."""
    config = read_json(path)
    config["base_model_name_or_path"] = base_name
    for key, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[key] = sorted(value)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
