"""The schemas as editors get them: a variable of studio.yaml may stand for a value that is not any text."""

from __future__ import annotations

from typing import Any

from studio.report.schemas import Schema, all_kinds, schemas
from studio.resources import KINDS

DEFINITION = "Variable"
VARIABLE: Schema = {
    "description": "A variable of studio.yaml.",
    "type": "string",
    "pattern": r"^\$\{var\.[A-Za-z_][A-Za-z0-9_]*\}$",
}
REFERENCE = {"$ref": f"#/$defs/{DEFINITION}"}
_ABOUT = frozenset({"default", "description", "title"})
_CLOSED = frozenset({"const", "enum", "pattern"})
"""Keywords that a reference to a variable does not meet."""


def published() -> dict[str, Schema]:
    """File name to schema; those of job files and studio.yaml know no variables."""
    found = schemas()
    kinds = {kind: _opened(found[f"{kind}.schema.json"]) for kind in KINDS}
    return found | {f"{kind}.schema.json": schema for kind, schema in kinds.items()} | all_kinds(kinds)


def _opened(schema: Schema) -> Schema:
    """The schema of a kind; its version, its kind and the resource's name are always written out."""
    parts = {name: _part(name, part) for name, part in schema["$defs"].items()}
    return schema | {"$defs": dict(sorted({**parts, DEFINITION: VARIABLE}.items()))}


def _part(name: str, part: Schema) -> Schema:
    fields = part.get("properties", {})
    kept = {"name"} if name == "Metadata" else set()
    return part | {"properties": {key: held if key in kept else _field(held) for key, held in fields.items()}}


def _field(held: Schema) -> Schema:
    """A field that takes a variable too; of a list each item does."""
    if isinstance(held.get("items"), dict):
        return held | {"items": _field(held["items"])}
    if not _is_closed(held):
        return held
    about = {key: value for key, value in held.items() if key in _ABOUT or key.startswith("x-")}
    limits = {key: value for key, value in held.items() if key not in about}
    return about | {"anyOf": [limits, REFERENCE]}


def _is_closed(held: dict[str, Any]) -> bool:
    """Whether a scalar's schema refuses the text of a reference."""
    if "anyOf" in held:
        return all(_is_closed(member) or member.get("type") == "null" for member in held["anyOf"])
    return bool(_CLOSED & held.keys()) or held.get("type") in ("integer", "number", "boolean")
