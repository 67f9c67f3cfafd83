"""Observing data sets: column names, content digest, rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from studio.core.enumerations import members
from studio.core.fingerprints import digest, file_digest, folder_digest
from studio.load import files
from studio.load.observation import Defect, Unusable, folder_files, leaving, missing, outside, unreadable
from studio.resources.dataset import EXTENSIONS, DatasetFacts, DatasetSpec, DatasetType

csv.field_size_limit(1 << 27)

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
        return _folder(spec, path, root) if spec.type == DatasetType.PROJECT else _file(spec, path)
    except OSError as error:
        return unreadable(spec.location, error)


def _folder(spec: DatasetSpec, path: Path, root: Path) -> DatasetFacts | Unusable:
    if not path.is_dir():
        return missing(spec.location, "the folder")
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


def _file(spec: DatasetSpec, path: Path) -> DatasetFacts | Unusable:
    kind = DatasetType(spec.type)
    if path.suffix != EXTENSIONS[kind]:
        hint = f"a {kind} data set ends in {EXTENSIONS[kind]}; rename the file or change type"
        return Unusable(Defect.EXTENSION, f"{spec.location!r} does not end in {EXTENSIONS[kind]}", hint)
    if not path.is_file():
        return missing(spec.location, "the file")
    if path.stat().st_size == 0:
        return Unusable(Defect.EMPTY, f"{spec.location!r} is empty", "export it again")
    try:
        reading = _READERS[kind](path, spec.location)
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8"
        return Unusable(Defect.ENCODING, f"{spec.location!r} is not UTF-8 (byte {error.start} of a block)", hint)
    if isinstance(reading, Unusable):
        return reading
    features, rows = reading
    if rows == 0:
        return Unusable(Defect.EMPTY, f"{spec.location!r} holds no rows", "export it again")
    return DatasetFacts(features, file_digest(path), rows)


def _csv(path: Path, location: str) -> Reading | Unusable:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = next(reader, [])
            fault = _header_fault(header, location)
            if fault:
                return fault
            rows = 0
            for row in reader:
                if len(row) == len(header):
                    rows += 1
                elif row:
                    return _ragged(location, reader.line_num, len(row), len(header))
        except csv.Error as error:
            hint = "close the quotes, or export it again"
            return Unusable(Defect.SYNTAX, f"{location}:{reader.line_num}: {error}", hint)
    return tuple(header), rows


def _header_fault(header: list[str], location: str) -> Unusable | None:
    if not any(header):
        return Unusable(Defect.EMPTY, f"{location!r} has no header line", "the first line names the columns")
    blank = header.count("") > 0
    twice = sorted({name for name in header if header.count(name) > 1})
    if blank or twice:
        what = f"names the column {twice[0]!r} twice" if twice and twice[0] else "has a column without a name"
        return Unusable(Defect.SYNTAX, f"{location}:1: the header {what}", "give every column its own name")
    return None


def _ragged(location: str, line: int, found: int, expected: int) -> Unusable:
    cells = f"{found} cell" + ("" if found == 1 else "s")
    hint = "quote cells that contain commas or line breaks, or correct that line"
    return Unusable(Defect.RAGGED, f"{location}:{line}: {cells} where the header has {expected}", hint)


def _jsonl(path: Path, location: str) -> Reading | Unusable:
    features: tuple[str, ...] = ()
    rows = 0
    with path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                return Unusable(Defect.SYNTAX, f"{location}:{number}: {error}", "each line is one JSON object")
            if not isinstance(row, dict) or not row:
                return Unusable(Defect.SYNTAX, f"{location}:{number}: not an object", "each line is one JSON object")
            features = features or tuple(row)
            if set(row) != set(features):
                return _ragged_object(f"{location}:{number}", row, features)
            rows += 1
    return features, rows


def _json(path: Path, location: str) -> Reading | Unusable:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        return Unusable(Defect.SYNTAX, f"{location}: {error}", "the file is one JSON array of objects")
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 else None
    if not isinstance(content, list):
        return Unusable(Defect.SYNTAX, f"{location!r} is not an array of objects", "write [{...}, {...}]")
    features: tuple[str, ...] = ()
    for index, row in enumerate(content):
        if not isinstance(row, dict) or not row:
            return Unusable(Defect.SYNTAX, f"{location}: item {index} is not an object", "write [{...}, {...}]")
        features = features or tuple(row)
        if set(row) != set(features):
            return _ragged_object(f"{location}: item {index}", row, features)
    return features, len(content)


def _ragged_object(where: str, row: dict[str, object], features: tuple[str, ...]) -> Unusable:
    absent, extra = sorted(set(features) - set(row)), sorted(set(row) - set(features))
    what = f"lacks {absent[0]!r}" if absent else f"has an extra key {extra[0]!r}"
    return Unusable(Defect.RAGGED, f"{where} {what}", "give every row the same keys; null stands for nothing")


_READERS: dict[DatasetType, Callable[[Path, str], Reading | Unusable]] = {
    DatasetType.PROJECT_CSV: _csv,
    DatasetType.PROJECT_JSON: _json,
    DatasetType.PROJECT_JSONL: _jsonl,
}


def first_row(spec: DatasetSpec, root: Path) -> dict[str, object] | None:
    """The first row of a local file that was observed, for examples; None where there is none to read."""
    path = files.inside(root, spec.location) if spec.location else None
    if path is None or not path.is_file():
        return None
    with path.open(encoding="utf-8-sig", newline="") as stream:
        match spec.type:
            case DatasetType.PROJECT_CSV:
                return next(iter(csv.DictReader(stream)), None)
            case DatasetType.PROJECT_JSONL:
                return next((json.loads(line) for line in stream if line.strip()), None)
            case _:
                content = json.load(stream)
    if isinstance(content, dict):
        content = next((value for value in content.values() if isinstance(value, list)), [])
    return dict(content[0]) if content else None
