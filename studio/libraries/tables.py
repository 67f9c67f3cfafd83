"""The tables: what each library class accepts, as extracted from the library. One is read when first asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from studio.libraries import TABLES
from studio.libraries.types import Record, record


@dataclass(frozen=True, slots=True)
class Table:
    """What one class accepts. ``lenient``: like pydantic, it takes ``"3"`` for 3. ``facts`` holds lists that only this
    library has, such as Axolotl's data set types."""

    name: str
    versions: Mapping[str, str]
    root: Record
    lenient: bool
    facts: Mapping[str, Any]


@cache
def table(type: str) -> Table | None:
    """The table of a Config type; None when its content is free in form."""
    if type not in TABLES:
        return None
    data = json.loads(text(type))
    return Table(
        data["class"],
        data["versions"],
        record(data, data.get("$defs", {})),
        data.get("x-lenient", False),
        data.get("x-facts", {}),
    )


def text(type: str) -> str:
    """A table as it is committed."""
    return resources.files("studio.libraries").joinpath("data", TABLES[type]).read_text(encoding="utf-8")
