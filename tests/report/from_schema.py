"""Documents that fit a schema, and documents that are nearly so: strategies for the property tests."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
NUMBERS = st.integers(-(1 << 127), 1 << 127) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=8) | st.sampled_from(["", "true", "1", "a-b", "A b", "name\n", "..", "${X}"])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
"""What a YAML document may hold; numbers in the range that the parser takes for numbers."""


def documents(schema: Schema, definitions: Schema | None = None) -> st.SearchStrategy[Any]:
    """Values that fit a schema of the few keywords that the published ones use."""
    known = schema.get("$defs", {}) if definitions is None else definitions
    if "$ref" in schema:
        return documents(known[schema["$ref"].rpartition("/")[2]], known)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        limits = {key: value for key, value in schema.items() if key in ("minimum", "maximum", "exclusiveMinimum")}
        return st.one_of([documents(member | limits, known) for member in schema["anyOf"]])
    match schema.get("type"):
        case "object":
            return _objects(schema, known)
        case "array":
            items = documents(schema.get("items", {}), known)
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=schema.get("maxItems", 3))
        case "string":
            return (
                st.from_regex(schema["pattern"])
                if "pattern" in schema
                else TEXTS.filter(lambda text: len(text) >= schema.get("minLength", 0))
            )
        case "integer" | "number":
            return _numbers(schema)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return JSON


def _objects(schema: Schema, known: Schema) -> st.SearchStrategy[Any]:
    properties = {name: documents(held, known) for name, held in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    free = schema.get("additionalProperties")
    if not properties:
        return st.dictionaries(TEXTS, documents(free, known) if isinstance(free, dict) else JSON, max_size=3)
    return st.fixed_dictionaries(
        {name: held for name, held in properties.items() if name in required},
        optional={name: held for name, held in properties.items() if name not in required},
    )


def _numbers(schema: Schema) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum", -(1 << 64))), schema.get("maximum", 1 << 64)
    integers = st.integers(low, high)
    whole = integers | st.integers(low, min(high, 1 << 40)).map(float)
    found = whole if schema["type"] == "integer" else whole | st.floats(low, high)
    return found.filter(lambda value: value > schema.get("exclusiveMinimum", low - 1))


@st.composite
def damaged(draw: st.DrawFn, valid: list[Any]) -> Any:
    """One of the valid documents in which a value is exchanged, left out or added, once or twice."""
    document = deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 2))):
        holder, step = draw(st.sampled_from(_places(document)))
        deed = draw(st.sampled_from(["exchange", "exchange", "leave out", "add"]))
        if deed == "exchange":
            holder[step] = draw(JSON)
        elif deed == "leave out":
            del holder[step]
        elif isinstance(holder, dict):
            holder[draw(TEXTS)] = draw(JSON)
        else:
            holder.append(draw(JSON))
        if not document:
            break
    return document


def _places(value: Any) -> list[tuple[Any, Any]]:
    steps = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for step in steps for place in ((value, step), *_places(value[step]))]
