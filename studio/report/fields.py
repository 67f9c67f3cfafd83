"""The fields of the kinds, read from their published schemas: for people, in Markdown and text, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from studio.report.schemas import Schema

EFFECTS = {
    "outcome": "the job runs again, and everything downstream with it",
    "placement": "counts for the next run, never forces one",
    "descriptive": "the record is updated in place",
}
"""What a change of a field does."""
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
    "null": "nothing",
}
_LIMITS = {
    "pattern": "matches `{}`",
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "minItems": "at least {} in the list",
    "minLength": "at least {} character",
}


@dataclass(frozen=True, slots=True)
class FieldPage:
    """One field. ``default`` is JSON, or words for a Config, "" for none; ``effect`` is "" outside the kinds; ``parts``
    are the fields of the mapping, or of each mapping of the list, that it holds."""

    path: str
    type: str
    required: bool
    default: str
    effect: str
    allowed: tuple[str, ...]
    limits: tuple[str, ...]
    references: str
    config: str
    types: tuple[str, ...]
    description: str
    parts: tuple[FieldPage, ...]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


def pages(schema: Schema) -> tuple[FieldPage, ...]:
    """The fields of a kind's schema, in the order of their declaration."""
    return tuple(_pages(schema, schema["title"], schema.get("$defs", {}), ""))


def walk(found: Iterable[FieldPage]) -> Iterator[FieldPage]:
    """Every field with all that are below it."""
    for page in found:
        yield page
        yield from walk(page.parts)


def _pages(part: Schema, above: str, definitions: Schema, inherited: str) -> Iterator[FieldPage]:
    """The effect of an outer field is that of its parts."""
    for name, declared in part.get("properties", {}).items():
        inner = _inner(declared, definitions)
        path = f"{above}.{name}"
        effect = inherited or str(declared.get("x-effect", ""))
        yield FieldPage(
            path=path,
            type=_type(declared, definitions),
            required=name in part.get("required", ()),
            default=_default(declared),
            effect=effect,
            allowed=tuple(_allowed(declared)),
            limits=tuple(words.format(declared[key]) for key, words in _LIMITS.items() if key in declared),
            references=str(declared.get("x-references", "")),
            config=str(declared.get("x-config", "")),
            types=tuple(declared.get("x-types", ())),
            description=str(declared.get("description", "")),
            parts=tuple(_pages(inner, path, definitions, effect)) if inner else (),
        )


def _default(declared: Schema) -> str:
    if declared.get("x-default-config"):
        return "the default Config of its type"
    default = declared.get("default")
    return "" if default in (None, "", [], {}) else json.dumps(default, ensure_ascii=False)


def _inner(declared: Schema, definitions: Schema) -> Schema | None:
    """The object that a field holds: directly, in a union, in a list, or under keys that the user chooses."""
    candidates = [declared, *declared.get("anyOf", ()), declared.get("items"), declared.get("additionalProperties")]
    named = (each["$ref"] for each in candidates if isinstance(each, dict) and "$ref" in each)
    reference = next(named, None)
    found: Schema | None = definitions[reference.rpartition("/")[2]] if reference else None
    return found


def _type(declared: Schema, definitions: Schema) -> str:
    if "$ref" in declared:
        return "mapping"
    if not declared:
        return "values"
    if "anyOf" in declared:
        words = [_type(member, definitions) for member in declared["anyOf"] if member != {"type": "null"}]
        return " or ".join(dict.fromkeys(words))
    held = declared.get("items" if declared.get("type") == "array" else "additionalProperties")
    if isinstance(held, dict):
        items = _type(held, definitions).replace("mapping", "mappings")
        return f"list of {items}" if declared["type"] == "array" else f"mapping of names to {items}"
    return _TYPES[declared.get("type", "string")]


def _allowed(declared: Schema) -> Iterator[str]:
    if "const" in declared:
        yield str(declared["const"])
    known = declared.get("enum", declared.get("items", {}).get("enum", ()))
    yield from (str(each) for each in known if each is not None)


def kind_markdown(schema: Schema) -> str:
    """A kind's page: its fields, and a table for each nested part."""
    title = schema["title"]
    tables = [f"# {title}", schema["description"], f"`studio explain {title}` prints this page."]
    top = pages(schema)
    for page in top:
        if page.name in ("metadata", "spec"):
            tables += _tables(page, title)
    return "\n\n".join(tables) + "\n"


def _tables(page: FieldPage, title: str) -> Iterator[str]:
    """The tables of a field's parts and of theirs."""
    yield f"## {page.path.removeprefix(title + '.')}"
    if page.name not in ("metadata", "spec"):
        yield page.description
    yield _table(page.parts)
    for part in page.parts:
        if part.parts:
            yield from _tables(part, title)


def _table(listed: Iterable[FieldPage]) -> str:
    rows = [[f"`{page.name}`", page.type, _default_cell(page), page.effect, _words(page)] for page in listed]
    columns = [0, 1, 2, 3, 4] if any(row[3] for row in rows) else [0, 1, 2, 4]
    head = ["field", "type", "default", "a change", "description"]
    lines = [[row[column] for column in columns] for row in (head, ["---"] * 5, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _default_cell(page: FieldPage) -> str:
    if page.required:
        return "required"
    return page.default if page.config or not page.default else f"`{page.default}`"


def _words(page: FieldPage) -> str:
    return " ".join(sentence for sentence in (page.description, *_remarks(page)) if sentence).replace("|", "\\|")


def _remarks(page: FieldPage) -> Iterator[str]:
    if page.config:
        yield f"A Config of type {page.config}: its name, or the mapping itself."
    elif page.references:
        yield f"Names {'an' if page.references[0] in 'AE' else 'a'} {page.references}."
    yield from (f"{words[:1].upper()}{words[1:]}." for words in page.limits)
    if page.allowed:
        yield f"Allowed: {', '.join(f'`{value}`' for value in page.allowed)}."
    if page.types:
        yield f"Counts with type {', '.join(page.types)} only."


def kind_text(schema: Schema) -> str:
    """A kind's page for a terminal."""
    listed = [page for page in pages(schema) if page.name in ("metadata", "spec")]
    parts = [f"{schema['title']}\n\n  {schema['description']}"]
    parts += [f"{page.name}\n{_lines(page.parts)}" for page in listed]
    return "\n\n".join([*parts, f"studio explain {schema['title']}.spec.FIELD says more"])


def _lines(listed: Iterable[FieldPage]) -> str:
    rows = [(page.name + ("*" if page.required else ""), page.type, page.description) for page in listed]
    widths = [max(len(row[column]) for row in rows) + 2 for column in (0, 1)]
    return "\n".join(f"  {name:{widths[0]}}{type:{widths[1]}}{words}" for name, type, words in rows)


def field_text(page: FieldPage) -> str:
    """A field's page for a terminal."""
    facts = {
        "type": page.type,
        "default": "required" if page.required else page.default or "none",
        "a change": f"{page.effect}: {EFFECTS[page.effect]}" if page.effect else "",
        "allowed": ", ".join((*page.allowed, *page.limits)),
        "names": f"a Config of type {page.config}, or the mapping itself" if page.config else page.references,
        "counts": f"with type {', '.join(page.types)} only" if page.types else "",
    }
    lines = [f"  {name:10}{words}" for name, words in facts.items() if words]
    parts = [page.path, f"  {page.description}", "\n".join(lines)]
    if page.parts:
        parts.append(f"fields\n{_lines(page.parts)}")
    return "\n\n".join(parts)


def to_json(page: FieldPage) -> dict[str, Any]:
    """A field for machines, with the fields below it."""
    found = {each.name: getattr(page, each.name) for each in fields(page)}
    return found | {"name": page.name, "parts": [to_json(part) for part in page.parts]}
