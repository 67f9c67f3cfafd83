"""The rows of a job: loaded, checked against the plan, split, and for evaluation freed of what training saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
from datasets import Dataset, DatasetDict

from studio.core.errors import JobError
from studio.core.fingerprints import file_digest
from studio.core.jobspec import DatasetInput, JobSpec, SeenRows, Split
from studio.core.splits import HELD_OUT, TRAIN
from studio.jobs.inputs import hub, readers
from studio.jobs.inputs.partition import partition, sample


@dataclass(frozen=True, slots=True)
class Rows:
    """Training rows, and held-out rows (none when the train share is 1.0)."""

    train: Dataset
    held_out: Dataset | None


@dataclass(frozen=True, slots=True)
class UnseenRows:
    """Rows to evaluate on, the split they come from, and their row numbers there."""

    rows: Dataset
    split: str
    indices: tuple[int, ...]


def load(dataset: DatasetInput, spec: JobSpec) -> DatasetDict:
    """Read every split (guide, load_dataset_into_memory). Raises JobError when missing, changed or unreadable."""
    loader = _LOADERS.get(dataset.type)
    if loader is None:
        raise JobError(f"dataset {dataset.name}: unknown type {dataset.type!r}", f"known: {', '.join(_LOADERS)}")
    loaded = loader(dataset, spec)
    splits = loaded if isinstance(loaded, DatasetDict) else DatasetDict({TRAIN: loaded})
    for name, split in splits.items():
        missing = sorted(set(dataset.features) - set(split.column_names))
        if missing:
            raise JobError(f"dataset {dataset.name}, split {name}: no column {', '.join(missing)}")
    return splits


def split(loaded: DatasetDict, how: Split) -> Rows:
    """Sample and split the train rows; an existing held-out split is kept as it is."""
    train = _train(loaded)
    existing = _held_out_name(loaded)
    if existing:
        kept = partition(len(train), how.model_copy(update={"train": 1.0}))
        return Rows(train.select(kept.train), loaded[existing])
    parts = partition(len(train), how)
    return Rows(train.select(parts.train), train.select(parts.held_out) if len(parts.held_out) else None)


def unseen(loaded: DatasetDict, digest: str, seen: tuple[SeenRows, ...], fraction: float) -> UnseenRows:
    """Rows that no training saw, then a share of them (seed of the split). Raises JobError when none is left."""
    name = _held_out_name(loaded) or TRAIN
    rows = loaded[name] if name != TRAIN else _train(loaded)
    left = np.ones(len(rows), dtype=bool)
    if name == TRAIN:
        for training in seen:
            if training.dataset_digest == digest:
                left[partition(len(rows), training.split).train] = False
    indices = np.flatnonzero(left)
    if not len(indices):
        raise JobError(
            f"training saw all {len(rows)} rows of the {name} split: none is left to evaluate on",
            "lower train_test_split of the fine-tuning job, or evaluate on another dataset",
        )
    chosen = indices[np.sort(sample(len(indices), fraction, Split().seed))]
    if not len(chosen):
        raise JobError(f"{fraction:g} of {len(indices)} rows is less than one row", "raise eval_dataset_fraction")
    return UnseenRows(rows.select(chosen), name, tuple(int(index) for index in chosen))


def _train(loaded: DatasetDict) -> Dataset:
    if TRAIN not in loaded:
        raise JobError(f"the dataset has no {TRAIN} split; it has {', '.join(loaded)}")
    return loaded[TRAIN]


def _held_out_name(loaded: DatasetDict) -> str | None:
    return next((name for name in HELD_OUT if name in loaded and len(loaded[name])), None)


def _local(reader: Callable[[Path], Dataset]) -> Callable[[DatasetInput, JobSpec], Dataset]:
    def read(dataset: DatasetInput, spec: JobSpec) -> Dataset:
        path = spec.path(dataset.location)
        rows = readers.read(path, reader)
        if dataset.digest and file_digest(path) != dataset.digest:
            raise JobError(f"{path} changed since the plan was made", "plan again, then apply")
        return rows

    return read


def _folder(dataset: DatasetInput, spec: JobSpec) -> DatasetDict | Dataset:
    """A folder written by ``save_to_disk``, or one of data files named by split."""
    folder = spec.path(dataset.location)
    if not folder.is_dir():
        raise JobError(f"dataset {dataset.name}: the folder {folder} does not exist")
    return _read_folder(dataset, folder, spec)


def _read_folder(dataset: DatasetInput, folder: Path, spec: JobSpec) -> DatasetDict | Dataset:
    if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
        return datasets.load_from_disk(str(folder))
    try:
        cache = str(spec.folder / "cache")
        builder = datasets.load_dataset_builder(str(folder), dataset.subset or None, cache_dir=cache)
    except (FileNotFoundError, ValueError) as error:
        raise JobError(f"dataset {dataset.name}: {folder} holds no data files: {error}") from error
    files = {name: [Path(str(file)) for file in paths] for name, paths in builder.config.data_files.items()}
    if all(file.suffix in readers.READERS for paths in files.values() for file in paths):
        return DatasetDict({name: _joined(paths) for name, paths in files.items()})
    builder.download_and_prepare()
    return builder.as_dataset()


def _joined(files: list[Path]) -> Dataset:
    return datasets.concatenate_datasets([readers.read(file, readers.READERS[file.suffix]) for file in files])


def _hub(dataset: DatasetInput, spec: JobSpec) -> DatasetDict | Dataset:
    """Fetched first, then read as a folder: ``load_dataset`` takes a name that exists as a path for local files."""
    folder = hub.download(dataset.huggingface_name, dataset.revision, spec, repository="dataset")
    return _read_folder(dataset, folder, spec)


_LOADERS: dict[str, Callable[[DatasetInput, JobSpec], DatasetDict | Dataset]] = {
    "huggingface": _hub,
    "project": _folder,
    "project_csv": _local(readers.read_csv),
    "project_json": _local(readers.read_objects),
    "project_jsonl": _local(readers.read_objects),
}
