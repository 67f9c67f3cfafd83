"""What values a library key takes, as data: read from the small part of JSON Schema that the tables use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Name = Literal["any", "null", "boolean", "integer", "number", "string"]
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar. ``strict_float``: a whole number is refused. ``json``: text in braces must be JSON."""

    name: Name
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    pattern: str = ""
    strict_float: bool = False
    json: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list, each item of one type or, with ``places``, each place of its own type."""

    item: Type
    places: tuple[Type, ...] = ()
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping. ``help`` is the library's own line about it, "" when it has none."""

    name: str
    type: Type
    default: Any = None
    help: str = ""
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys; ``rest`` is the type of any other key, None when there is no other."""

    keys: Mapping[str, Key]
    rest: Type | None = None
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of several types."""

    options: tuple[Type, ...]


Type = Leaf | Choice | Items | Record | AnyOf

ANY = Leaf("any")


def read(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Type:
    """The type that a JSON schema describes; definitions do not refer to themselves."""
    if "$ref" in schema:
        return read(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return _any_of([read(each, definitions) for each in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return Choice(tuple(schema["enum"] if "enum" in schema else [schema["const"]]))
    match schema.get("type", "any"):
        case "object":
            return record(schema, definitions)
        case "array":
            places = tuple(read(each, definitions) for each in schema.get("prefixItems", ()))
            item = read(schema.get("items", {}), definitions)
            return Items(item, places, schema.get("minItems", 0), schema.get("maxItems"))
        case name:
            return Leaf(
                name,
                schema.get("minimum"),
                schema.get("exclusiveMinimum"),
                schema.get("maximum"),
                schema.get("exclusiveMaximum"),
                schema.get("pattern", ""),
                bool(schema.get("x-float")),
                schema.get("contentMediaType") == "application/json",
            )


def record(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Record:
    """The mapping that a schema of type object describes. One without properties takes any key."""
    properties = schema.get("properties", {})
    keys = {name: _key(name, each, definitions) for name, each in properties.items()}
    others = schema.get("additionalProperties", not properties)
    rest = read(others, definitions) if isinstance(others, dict) else ANY if others else None
    return Record(keys, rest, tuple(schema.get("required", ())))


def _key(name: str, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Key:
    deprecated = bool(schema.get("deprecated"))
    return Key(name, read(schema, definitions), schema.get("default"), schema.get("description", ""), deprecated)


def _any_of(options: list[Type]) -> Type:
    """Records among the options become one that knows the keys of all: which one is meant cannot be told from a
    misspelt key."""
    records = [option for option in options if isinstance(option, Record)]
    others = [option for option in options if not isinstance(option, Record)]
    if len(records) > 1:
        records = [_merged(records)]
    found = (*others, *records)
    return found[0] if len(found) == 1 else AnyOf(found)


def _merged(records: Iterable[Record]) -> Record:
    keys: dict[str, Key] = {}
    rest: list[Type] = []
    required: set[str] | None = None
    for each in records:
        required = set(each.required) if required is None else required & set(each.required)
        rest += [each.rest] if each.rest else []
        for name, key in each.keys.items():
            before = keys.get(name)
            if before is None or before.type == key.type:
                keys.setdefault(name, key)
            else:
                type = _any_of([before.type, key.type])
                keys[name] = Key(name, type, before.default, before.help or key.help, before.deprecated)
    return Record(keys, _any_of(rest) if rest else None, tuple(sorted(required or ())))
