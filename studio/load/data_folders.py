"""Rows of folders: written by ``save_to_disk``, or of data files named by split. No library of data sets is needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.core import rowfiles
from studio.core.errors import StudioError
from studio.core.rowfiles import RowsError
from studio.core.splits import HELD_OUT, TRAIN
from studio.load import files
from studio.load.samples import Rows, spread

ENDINGS = (".csv", ".json", ".jsonl")


@dataclass(frozen=True, slots=True)
class Folder:
    """The training rows, and the number of rows that the folder itself holds out; None when it has no such split."""

    train: Rows
    held_out: int | None


def read(root: Path, location: str) -> Folder:
    """Raises StudioError for a folder of another layout, and for what cannot be read."""
    folder = _inside(root, location)
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return _saved(root, location)
    named = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in ENDINGS and path.is_file()}
    if len(named) == 1:
        named = {TRAIN: next(iter(named.values()))}
    if TRAIN not in named:
        raise StudioError(
            f"{location!r} was not written by save_to_disk, and holds no {', '.join(TRAIN + end for end in ENDINGS)}",
            "preview reads these without a library of data sets; training reads other layouts too",
        )
    kept = (_file(root, named[split]).total for split in HELD_OUT if split in named)
    return Folder(_file(root, named[TRAIN]), next(filter(None, kept), None))


def _file(root: Path, path: Path) -> Rows:
    try:
        held = tuple(rowfiles.rows(_inside(root, str(path)), path.name))
    except RowsError as error:
        raise StudioError(error.message, error.hint) from error
    odd = next((number for number, row in enumerate(held, 1) if row.keys() != held[0].keys()), None)
    if odd:
        hint = "give every row the same keys; null stands for nothing"
        raise StudioError(f"{path.name}: row {odd} has other columns than the first", hint)
    numbers = spread(len(held))
    return Rows(numbers, held[:: numbers.step], len(held))


def _saved(root: Path, location: str) -> Folder:
    described = _object(root, f"{location}/dataset_dict.json").get("splits")
    splits = [name for name in described if isinstance(name, str)] if isinstance(described, list) else []
    if not splits:
        return Folder(_split(root, location), None)
    if TRAIN not in splits:
        raise StudioError(f"{location!r} has no {TRAIN} split; it has {', '.join(splits)}", "save one of that name")
    kept = (_split(root, f"{location}/{split}").total for split in HELD_OUT if split in splits)
    return Folder(_split(root, f"{location}/{TRAIN}"), next(filter(None, kept), None))


def _split(root: Path, location: str) -> Rows:
    """Rows of Arrow stream files, as ``state.json`` lists them; only those that are shown are copied to memory."""
    try:
        import pyarrow as pa
    except ImportError as error:
        hint = "pip install pyarrow, or export the rows as CSV or JSON lines"
        raise StudioError(f"reading {location!r} needs pyarrow, which is not installed", hint) from error
    listed = _object(root, f"{location}/state.json").get("_data_files")
    entries = [entry.get("filename") for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    names = [name for name in entries if isinstance(name, str)]
    if not names:
        raise StudioError(f"{location}/state.json lists no data files", "save the data set again with save_to_disk")
    try:
        mapped = [pa.memory_map(str(_inside(root, f"{location}/{name}"))) for name in names]
        table = pa.concat_tables([pa.ipc.open_stream(source).read_all() for source in mapped])
        numbers = spread(table.num_rows)
        rows: list[dict[str, Any]] = table.take(list(numbers)).to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # text that is not UTF-8, a date too far
        raise StudioError(f"{location!r} cannot be read: {error}", "save it again with save_to_disk") from error
    return Rows(numbers, tuple(rows), table.num_rows)


def _inside(root: Path, location: str) -> Path:
    path = files.inside(root, location)
    if path is None:
        raise StudioError(f"{location!r} leaves the project", "copy it into the project")
    return path


def _object(root: Path, location: str) -> dict[str, Any]:
    try:
        held = json.loads(_inside(root, location).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}
