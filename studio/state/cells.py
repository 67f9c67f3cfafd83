"""Cells of imported rows: a stranger's file may hold anything, and what no record can hold is refused here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from studio.core.secrets import maybe_secret, names_secret, secret_in
from studio.state.guide import TABLES, Column

LONGEST_ID = 36
"""Characters of a uid's column."""
LONGEST_CELL = 16 << 20
"""Characters; the record of an evaluation of a thousand combinations has one million."""
DEEPEST = 150
"""Levels of nested JSON in a cell; a manifest has at most 128."""


class RowError(Exception):
    """Why a row cannot be imported."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """A row and what is wrong with it; ``id`` is its number in the table when it has none."""

    table: str
    id: str
    reason: str


def checked(table: str, row: Any) -> tuple[dict[str, Any], list[str]]:
    """The row's cells that hold something, and the names of columns that the guide does not have."""
    if not isinstance(row, dict):
        raise RowError("the row is not a mapping of columns to values")
    columns = {column.name: column for column in TABLES[table]}
    said = {name: value for name, value in row.items() if value is not None}
    for name, value in said.items():
        if isinstance(value, str):
            demand_text(name, value)
        _demand_type(name, value, columns.get(name))
    ids = [name for name in ("id", "parent_job_id") if name in columns and said.get(name)]
    if "id" not in ids:
        raise RowError("it has no id")
    for name in ids:
        if len(said[name]) > LONGEST_ID:
            raise RowError(f"{name} has more than {LONGEST_ID} characters")
    return said, sorted(set(said) - set(columns))


def mapping(name: str, text: str) -> dict[str, Any]:
    """A JSON object that a stranger wrote in a cell."""
    found = json_object(name, text, parse_constant=_no_constant)
    if named := next(_secrets(found), None):
        raise RowError(f"{name} holds a secret under {named!r}; state never holds secrets")
    return found


def json_object(name: str, text: str, **options: Any) -> dict[str, Any]:
    """A JSON object written in a cell, of texts that a record may hold."""
    try:
        found = json.loads(text, **options)
    except (ValueError, RecursionError) as error:
        raise RowError(f"{name} is not JSON") from error
    if not isinstance(found, dict):
        raise RowError(f"{name} is not a JSON object")
    _demand_harmless(name, found, DEEPEST)
    return found


def demand_cell(column: Column, value: Any, longest: int | None) -> None:
    """Raise RowError for what one of our own columns cannot hold."""
    if value is None:
        raise RowError(f"{column.name} is empty")
    _demand_type(column.name, value, column)
    if isinstance(value, str):
        demand_text(column.name, value)
        if longest and len(value) > longest:
            raise RowError(f"{column.name} has more than {longest} characters")
    if column.type == "INTEGER" and not 0 <= value < 2**31:
        raise RowError(f"{column.name} is out of bounds")


def demand_text(name: str, text: str) -> None:
    """Raise RowError for text that no record may hold."""
    if len(text) > LONGEST_CELL:
        raise RowError(f"{name} has more than {LONGEST_CELL:,} characters")
    if "\0" in text:
        raise RowError(f"{name} holds a NUL character")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise RowError(f"{name} holds half of a character")
    if maybe_secret(text):
        what = secret_in(text) or "a password in a URL"
        raise RowError(f"{name} holds what looks like {what}; state never holds secrets")


def _demand_type(name: str, value: Any, column: Column | None) -> None:
    if column is None:
        wanted, fits = "a plain value", isinstance(value, str | int | float)
    elif column.type == "INTEGER":
        wanted, fits = "a whole number", isinstance(value, int) and not isinstance(value, bool)
    elif column.type == "DOUBLE":
        wanted, fits = "a number", isinstance(value, int | float) and not isinstance(value, bool)
    else:
        wanted, fits = "text", isinstance(value, str)
    if not fits:
        raise RowError(f"{name} is not {wanted}")


def _demand_harmless(name: str, value: Any, levels: int) -> None:
    if levels == 0:
        raise RowError(f"{name} is nested more than {DEEPEST} levels deep")
    if isinstance(value, str):
        demand_text(name, value)
    for key in value if isinstance(value, dict) else ():
        demand_text(name, key)
    for each in _inside(value):
        _demand_harmless(name, each, levels - 1)


def _secrets(value: Any) -> Iterator[str]:
    """Keys that are said to hold a secret, and do."""
    if isinstance(value, dict):
        yield from (key for key, held in value.items() if isinstance(held, str) and held and names_secret(key))
    for each in _inside(value):
        yield from _secrets(each)


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")
