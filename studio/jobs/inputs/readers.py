"""Local files to Arrow-backed rows: CSV stays text, every fault names its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset

from studio.core import rowfiles
from studio.core.errors import JobError
from studio.core.rowfiles import RowsError

BATCH = 10_000
"""Rows converted to Arrow at a time."""


def read_csv(path: Path) -> Dataset:
    """All columns as text: ``NA``, ``001`` and empty cells stay what the file says."""
    table = rowfiles.cells(path, str(path))
    schema = pa.schema([(name, pa.string()) for name in next(table)])
    batches = [
        pa.RecordBatch.from_arrays([pa.array(cells, pa.string()) for cells in zip(*rows, strict=True)], schema=schema)
        for rows in _batches(table)
    ]
    return _whole(Dataset(pa.Table.from_batches(batches, schema)), path)


def read_objects(path: Path) -> Dataset:
    """JSON or JSON lines. Columns are the union of all keys, by first appearance; a missing key is None."""
    rows = list(rowfiles.rows(path, str(path)))
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: _column([row.get(name) for row in rows], name, path) for name in names}
    return _whole(Dataset(pa.table(columns)), path)


READERS: dict[str, Callable[[Path], Dataset]] = {".csv": read_csv, ".json": read_objects, ".jsonl": read_objects}


def read(path: Path, reader: Callable[[Path], Dataset]) -> Dataset:
    """Read a file; whatever is wrong with its content is a JobError that names it."""
    try:
        return reader(path)
    except FileNotFoundError as error:
        raise JobError(f"{path} does not exist", "was it moved since the plan was made?") from error
    except RowsError as error:
        raise JobError(error.message, error.hint) from error


def _batches(cells: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    while batch := list(islice(cells, BATCH)):
        yield batch


def _column(values: list[Any], name: str, path: Path) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise JobError(f"{path}: column {name!r} mixes types: {error}") from error


def _whole(dataset: Dataset, path: Path) -> Dataset:
    if not len(dataset):
        raise JobError(f"{path} has no rows")
    return dataset
