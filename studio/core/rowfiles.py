"""Files of rows: CSV, JSON and JSON lines, read in one way by those who check them and those who train on them.

Nothing is guessed: CSV cells stay text, files are UTF-8, and every fault names its line.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from studio.core.json_values import refusal

csv.field_size_limit(1 << 27)

ENCODING = "utf-8-sig"
"""UTF-8; a byte-order mark, as spreadsheets write it, is not part of the first column's name."""
LONGEST_HEADER = 1 << 20
"""Characters of a header in which another separator is looked for."""
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""What other programs write between cells, and its name."""


_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")


class Flaw(StrEnum):
    """What is wrong with the content of a file."""

    EMPTY = "empty"
    ENCODING = "encoding"
    SEPARATOR = "separator"
    SYNTAX = "syntax"
    RAGGED = "ragged"


class RowsError(ValueError):
    """Content that cannot be read as rows: which flaw, where and what in words, and what to do next."""

    def __init__(self, flaw: Flaw, message: str, hint: str) -> None:
        super().__init__(message)
        self.flaw = flaw
        self.message = message
        self.hint = hint


def cells(path: Path, name: str) -> Iterator[list[str]]:
    """The header of a CSV file, then its rows, each as wide as the header; raises RowsError, and OSError."""
    with path.open(encoding=ENCODING, newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = next(reader, [])
            _check_header(header, name)
            if mark := _separator(header):
                raise _separated(name, mark, f"one column, {header[0]!r}")
            yield header
            for row in reader:
                if len(row) == len(header):
                    yield row
                elif row:
                    raise _ragged(name, reader.line_num, len(row), header)
        except csv.Error as error:
            if reader.line_num == 1 and (mark := _quoted_separator(path)):
                raise _separated(name, mark, "quotes that no comma follows") from error
            hint = "close the quotes, or export it again"
            raise RowsError(Flaw.SYNTAX, f"{name}:{reader.line_num}: {error}", hint) from error
        except UnicodeDecodeError as error:
            raise not_utf8(path, name) from error


def objects(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each object of a JSON or JSON lines file is, and the object; raises RowsError, and OSError."""
    try:
        yield from _lines(path, name) if path.suffix == ".jsonl" else _array(path, name)
    except UnicodeDecodeError as error:
        raise not_utf8(path, name) from error


def rows(path: Path, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a file, by the ending of its name; raises RowsError, and OSError."""
    if path.suffix == ".csv":
        table = cells(path, name)
        header = next(table)
        return (dict(zip(header, row, strict=True)) for row in table)
    return (row for _, row in objects(path, name))


def _separator(header: list[str]) -> str:
    """What seems to separate the cells of a CSV file that was read as one column; "" when nothing does."""
    if len(header) != 1:
        return ""
    return max((mark for mark in SEPARATORS if mark in header[0]), key=header[0].count, default="")


def _quoted_separator(path: Path) -> str:
    """The same where the names of the columns are in quotes, which a reader that wants commas refuses."""
    with path.open(encoding=ENCODING, newline="") as stream:
        line = stream.readline(LONGEST_HEADER)
    return next((mark for mark in SEPARATORS if _width(line, mark) > 1), "")


def _width(line: str, mark: str) -> int:
    """Cells of a line that ``mark`` separates; 0 when it does not."""
    try:
        return len(next(csv.reader([line], delimiter=mark, strict=True), []))
    except csv.Error:
        return 0


def _separated(name: str, mark: str, shown: str) -> RowsError:
    message = f"{name}:1: {shown}: the file seems to be separated by {SEPARATORS[mark]}"
    hint = f"save it with commas; the name of a single column must not hold {SEPARATORS[mark]}"
    return RowsError(Flaw.SEPARATOR, message, hint)


def not_utf8(path: Path, name: str) -> RowsError:
    """Where a file stops being UTF-8."""
    with path.open("rb") as stream:
        if stream.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return RowsError(Flaw.ENCODING, f"{name!r} is not UTF-8 but UTF-16", "save it as UTF-8")
        stream.seek(0)
        for number, line in enumerate(stream, 1):
            try:
                line.decode(ENCODING if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                column = len(line[: error.start].decode("utf-8", "replace")) + 1
                what = f"{name}:{number}:{column}: not UTF-8 (byte 0x{line[error.start]:02x})"
                return RowsError(Flaw.ENCODING, what, "save it as UTF-8")
    return RowsError(Flaw.ENCODING, f"{name!r} is not UTF-8", "save it as UTF-8")  # it changed meanwhile


def _check_header(header: list[str], name: str) -> None:
    if not any(header):
        raise RowsError(Flaw.EMPTY, f"{name!r} has no header line", "the first line names the columns")
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice or "" in header:
        what = f"names the column {twice[0]!r} twice" if twice and twice[0] else "has a column without a name"
        raise RowsError(Flaw.SYNTAX, f"{name}:1: the header {what}", "give every column its own name")


def _ragged(name: str, line: int, found: int, header: list[str]) -> RowsError:
    width = f"{found} cell" + ("" if found == 1 else "s")
    hint = "quote cells that contain commas or line breaks, or correct that line"
    return RowsError(Flaw.RAGGED, f"{name}:{line}: {width} where the header has {len(header)}", hint)


def _lines(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    hint = "each line is one JSON object"
    with path.open(encoding=ENCODING) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise RowsError(Flaw.SYNTAX, f"{name}:{number}:{error.colno}: {error.msg}", hint) from error
            except (ValueError, RecursionError) as error:
                raise RowsError(Flaw.SYNTAX, f"{name}:{number}: {refusal(error)}", hint) from error
            if not isinstance(row, dict):
                raise RowsError(Flaw.SYNTAX, f"{name}:{number}: not an object", hint)
            if _ESCAPED_HALF.search(line):
                _demand_characters(f"{name}:{number}", row)
            yield f"{name}:{number}", row


def _demand_characters(where: str, row: dict[str, Any]) -> None:
    """JSON can escape one half of a surrogate pair; no tokenizer takes it for text."""
    for column, value in row.items():
        if _HALF.search(json.dumps([column, value], ensure_ascii=False)):
            message = f"{where}: {ascii(column)[1:-1]!r} holds half of a surrogate pair, which is no character"
            raise RowsError(Flaw.ENCODING, message, r"write both halves, such as \ud83d\ude00, or take it out")


def _array(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """An array of objects, or an object that holds exactly one."""
    hint = "the file is one JSON array of objects: [{...}, {...}]"
    text = path.read_text(ENCODING)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise RowsError(Flaw.SYNTAX, f"{name}:{error.lineno}:{error.colno}: {error.msg}", hint) from error
    except (ValueError, RecursionError) as error:
        raise RowsError(Flaw.SYNTAX, f"{name}: {refusal(error)}", hint) from error
    if isinstance(content, dict):
        arrays = [held for held in content.values() if isinstance(held, list)]
        arrays = [held for held in arrays if all(isinstance(row, dict) for row in held)] if len(arrays) > 1 else arrays
        content = arrays[0] if len(arrays) == 1 else None
    if not isinstance(content, list):
        raise RowsError(Flaw.SYNTAX, f"{name!r} is neither an array of objects nor holds exactly one", hint)
    doubtful = bool(_ESCAPED_HALF.search(text))
    for index, row in enumerate(content):
        if not isinstance(row, dict):
            raise RowsError(Flaw.SYNTAX, f"{name}: item {index} is not an object", hint)
        if doubtful:
            _demand_characters(f"{name}: item {index}", row)
        yield f"{name}: item {index}", row
