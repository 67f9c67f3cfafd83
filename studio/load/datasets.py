"""Observing data sets: column names, content digest, rows."""

from __future__ import annotations

import json
from pathlib import Path

from studio.core import rowfiles
from studio.core.enumerations import members
from studio.core.fingerprints import digest
from studio.core.rowfiles import Flaw, RowsError
from studio.load import files
from studio.load.observation import Defect, Unusable, folder_files, leaving, missing, outside, unreadable
from studio.load.recollection import file_digest, folder_digest, recollect
from studio.resources.dataset import EXTENSIONS, DatasetFacts, DatasetSpec, DatasetType

Reading = tuple[tuple[str, ...], int]
"""Column names and number of rows."""


def observe(spec: DatasetSpec, root: Path) -> DatasetFacts | Unusable | None:
    """Facts of a data set, or why it cannot be used; None when the manifest does not say where it is."""
    if spec.type == DatasetType.HUGGINGFACE:
        pin = digest({"hub": spec.huggingface_name, "revision": spec.revision, "subset": spec.subset})
        return DatasetFacts(spec.features, pin)
    if spec.type not in members(DatasetType) or not spec.location:
        return None
    path = files.inside(root, spec.location)
    if path is None:
        return outside(spec.location)
    try:
        return _folder(spec, path, root) if spec.type == DatasetType.PROJECT else _file(spec, path, root)
    except OSError as error:
        return unreadable(spec.location, error)


def _folder(spec: DatasetSpec, path: Path, root: Path) -> DatasetFacts | Unusable:
    if path.is_file():
        endings = {ending: kind for kind, ending in EXTENSIONS.items()}
        kind = endings.get(path.suffix)
        hint = f"write type: {kind}" if kind else f"name a folder, or a file that ends in {', '.join(endings)}"
        return Unusable(Defect.MISSING, f"{spec.location!r} is a file, not a folder", hint)
    if not path.is_dir():
        return missing(root, spec.location, "the folder", folder=True)
    content = folder_files(path)
    if not content:
        return Unusable(Defect.EMPTY, f"the folder {spec.location!r} is empty", "put the data set's files into it")
    stray = leaving(spec.location, content, root)
    if stray:
        return stray
    return DatasetFacts(_saved_features(content) or spec.features, folder_digest(content))


def _saved_features(content: dict[str, Path]) -> tuple[str, ...]:
    """Column names of a folder written by ``save_to_disk``; () for other layouts (guide: not extracted)."""
    for info in (path for path in content.values() if path.name == "dataset_info.json"):
        try:
            described = json.loads(info.read_text("utf-8"))
        except (ValueError, RecursionError):
            return ()
        features = described.get("features") if isinstance(described, dict) else None
        return tuple(features) if isinstance(features, dict) else ()
    return ()


def _file(spec: DatasetSpec, path: Path, root: Path) -> DatasetFacts | Unusable:
    kind = DatasetType(spec.type)
    if path.suffix != EXTENSIONS[kind]:
        fitting = next((each for each, ending in EXTENSIONS.items() if ending == path.suffix), None)
        change = f"write type: {fitting}" if fitting else "rename the file or change type"
        hint = f"a {kind} data set ends in {EXTENSIONS[kind]}; {change}"
        return Unusable(Defect.EXTENSION, f"{spec.location!r} does not end in {EXTENSIONS[kind]}", hint)
    if path.is_dir():
        hint = "name a file in it, or write type: project for a folder of data"
        return Unusable(Defect.MISSING, f"{spec.location!r} is a folder, not a file", hint)
    if path.exists() and not path.is_file():
        hint = "put a file in its place: a pipe or device has no content that stays"
        return Unusable(Defect.UNREADABLE, f"{spec.location!r} is no regular file", hint)
    if not path.is_file():
        return missing(root, spec.location, "the file")
    if path.stat().st_size == 0:
        return Unusable(Defect.EMPTY, f"{spec.location!r} is empty", "export it again")
    try:
        read = _csv if kind is DatasetType.PROJECT_CSV else _objects
        features, rows = recollect(path, f"columns and rows of {kind}", lambda _: read(path, spec.location))
    except RowsError as error:
        return Unusable(Defect(error.flaw.value), error.message, error.hint)
    if rows == 0:
        return Unusable(Defect.EMPTY, f"{spec.location!r} holds no rows", "export it again")
    return DatasetFacts(tuple(features), file_digest(path), rows)


def _csv(path: Path, location: str) -> Reading:
    table = rowfiles.cells(path, location)
    header = next(table)
    return tuple(header), sum(1 for _ in table)


def _objects(path: Path, location: str) -> Reading:
    features: tuple[str, ...] = ()
    keys: set[str] = set()
    rows = 0
    for where, row in rowfiles.objects(path, location):
        if not row:
            raise RowsError(Flaw.SYNTAX, f"{where}: an empty object", 'name the columns: {"question": ..., ...}')
        if not features:
            features, keys = tuple(row), set(row)
        if row.keys() != keys:
            raise _ragged_object(where, row, keys)
        rows += 1
    return features, rows


def _ragged_object(where: str, row: dict[str, object], keys: set[str]) -> RowsError:
    absent, extra = sorted(keys - set(row)), sorted(set(row) - keys)
    what = f"lacks {absent[0]!r}" if absent else f"has an extra key {extra[0]!r}"
    return RowsError(Flaw.RAGGED, f"{where} {what}", "give every row the same keys; null stands for nothing")


def local_file(spec: DatasetSpec, root: Path) -> Path | None:
    """The file of the project that holds the rows; None when there is none."""
    path = files.inside(root, spec.location) if spec.location and spec.type in EXTENSIONS else None
    return path if path and path.is_file() else None
