"""Local files to Arrow-backed rows, without guessing: CSV stays text, every fault names its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset

from studio.core.errors import JobError

ENCODING = "utf-8-sig"
"""UTF-8; a byte-order mark, as spreadsheets write it, is not part of the first column's name."""
BATCH = 10_000
"""Rows converted to Arrow at a time."""


def read_csv(path: Path) -> Dataset:
    """All columns as text: ``NA``, ``001`` and empty cells stay what the file says."""
    with path.open(encoding=ENCODING, newline="") as stream:
        lines = csv.reader(stream, strict=True)
        header = next(lines, [])
        _check_header(header, path)
        schema = pa.schema([(name, pa.string()) for name in header])
        batches = [
            pa.RecordBatch.from_arrays(
                [pa.array(cells, pa.string()) for cells in zip(*rows, strict=True)], schema=schema
            )
            for rows in _batches(_cells(lines, len(header), path))
        ]
    return _whole(Dataset(pa.Table.from_batches(batches, schema)), path)


def read_json(path: Path) -> Dataset:
    """An array of objects, or an object that holds exactly one."""
    value = json.loads(path.read_text(encoding=ENCODING))
    if isinstance(value, dict):
        lists = [held for held in value.values() if isinstance(held, list) and _are_objects(held)]
        value = lists[0] if len(lists) == 1 else None
    if not isinstance(value, list) or not _are_objects(value):
        raise JobError(f"{path} is neither an array of objects nor an object with one such array")
    return _whole(_from_objects(value, path), path)


def read_jsonl(path: Path) -> Dataset:
    """One object a line; blank lines are skipped."""
    with path.open(encoding=ENCODING) as stream:
        return _whole(_from_objects(list(_objects(stream, path)), path), path)


READERS: dict[str, Callable[[Path], Dataset]] = {".csv": read_csv, ".json": read_json, ".jsonl": read_jsonl}


def read(path: Path, reader: Callable[[Path], Dataset]) -> Dataset:
    """Read a file; whatever is wrong with its content is a JobError that names it."""
    try:
        return reader(path)
    except FileNotFoundError as error:
        raise JobError(f"{path} does not exist", "was it moved since the plan was made?") from error
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise JobError(f"{path} cannot be read: {error}") from error


def _check_header(header: list[str], path: Path) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if not header or repeated:
        raise JobError(f"{path}: " + (f"repeated columns {', '.join(repeated)}" if repeated else "the file is empty"))


def _cells(lines: Iterator[list[str]], width: int, path: Path) -> Iterator[list[str]]:
    for number, cells in enumerate(lines, start=2):
        if len(cells) == width:
            yield cells
        elif cells:
            raise JobError(f"{path}: row {number} has {len(cells)} cells, the header has {width}")


def _batches(cells: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    while batch := list(islice(cells, BATCH)):
        yield batch


def _objects(stream: Iterable[str], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise JobError(f"{path}:{number}:{error.colno}: {error.msg}") from error
        if not isinstance(value, dict):
            raise JobError(f"{path}:{number}: not an object")
        yield value


def _are_objects(values: list[Any]) -> bool:
    return all(isinstance(value, dict) for value in values)


def _from_objects(rows: list[dict[str, Any]], path: Path) -> Dataset:
    """Columns are the union of all keys, in order of first appearance; a missing key is None."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: _column([row.get(name) for row in rows], name, path) for name in names}
    return Dataset(pa.table(columns))


def _column(values: list[Any], name: str, path: Path) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise JobError(f"{path}: column {name!r} mixes types: {error}") from error


def _whole(dataset: Dataset, path: Path) -> Dataset:
    if not len(dataset):
        raise JobError(f"{path} has no rows")
    return dataset
