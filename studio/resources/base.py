"""What all kinds share: metadata, and fields that carry their meaning as data.

Fields are lenient where a rule judges: a missing number is zero, a missing text is empty (the guide's protobuf
semantics), an enumeration is text. So a manifest with ten mistakes parses, and all ten are reported with their ids.
What the rules check is repeated in the field's JSON schema for editors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from studio.core.findings import Path
from studio.core.references import Ref

API_VERSION = "studio/v1"
NAME_PATTERN = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
"""A DNS-like slug."""
LONGEST_NAME = 253
"""Characters of one."""
SLUG = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")
"""The same for texts that may end in a line break."""
UNRECORDED = "unrecorded"
"""Marks a fact that is read anew each time, and so has no place in a record."""
UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,35}")
"""An id of a record: as a rule a UUID, or what another system calls it; to be matched in full."""


def slug(text: str, otherwise: str) -> str:
    """The nearest name that ``text`` can become; ``otherwise`` when it holds no letter or digit of the alphabet."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower())[:LONGEST_NAME].strip("-.") or otherwise


class Effect(StrEnum):
    """What a change of a field means."""

    OUTCOME = "outcome"
    """New fingerprint: the job runs again and everything downstream with it."""
    PLACEMENT = "placement"
    """Applies to the next run, never forces one."""
    DESCRIPTIVE = "descriptive"
    """The record is updated in place."""


OUTCOME, PLACEMENT, DESCRIPTIVE = Effect.OUTCOME, Effect.PLACEMENT, Effect.DESCRIPTIVE


def field(effect: Effect, description: str, default: Any = None, **schema: Any) -> Any:
    """A manifest field. ``schema`` holds JSON schema keywords, and what only this project reads:

    ``references`` is the kind that the value names, ``config`` the type of the Config it names or spells out,
    ``default_config`` whether the default Config of that type is in force when nothing is said, ``nested`` marks lists
    of parts that hold references, ``required`` that a rule demands it, ``types`` the values of ``type`` with which
    alone it counts, ``revised`` a field that says something about a thing outside the record, where a change is carried
    out without making the thing again: true, or the values of ``type`` with which that is so, ``because`` what else a
    change means, in words; not so where the field ``unless`` is set.
    """
    extra: dict[str, Any] = {"x-effect": effect.value}
    for key in (
        "references",
        "config",
        "default_config",
        "nested",
        "required",
        "revised",
        "types",
        "because",
        "unless",
    ):
        if key in schema:
            extra[f"x-{key.replace('_', '-')}"] = schema.pop(key)
    if "x-config" in extra:
        extra["x-references"] = "Config"
    extra.update(schema)
    if default is None and "enum" in extra:
        extra["enum"] = [*extra["enum"], None]  # a field that may be left out may be null
    return Field(default=default, description=description, json_schema_extra=extra)


class Part(BaseModel):
    """Base of all manifest models: frozen, no unknown fields, no silent conversions, no infinities (JSON has none)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


def stored(part: Part) -> dict[str, Any]:
    """The form in which a spec or metadata is recorded and compared: plain JSON without default values."""
    return part.model_dump(mode="json", exclude_defaults=True)


class Metadata(Part):
    """Who a resource is. Nothing here ever makes a job run again."""

    name: str = field(DESCRIPTIVE, "Unique within the kind; a DNS-like slug.", "", pattern=NAME_PATTERN, required=True)
    title: str = field(DESCRIPTIVE, "Shown to people.", "")
    description: str = field(DESCRIPTIVE, "Free text.", "")
    labels: dict[str, str] = field(DESCRIPTIVE, "Selected by patches and filters.", {})
    annotations: dict[str, str] = field(DESCRIPTIVE, "Notes for other tools.", {})
    uid: str = field(DESCRIPTIVE, "Adopts an existing id.", "")
    protect: bool = field(DESCRIPTIVE, "Refuse deletion, also after the manifest is gone.", False)
    renamed_from: str = field(DESCRIPTIVE, "The record's earlier name; moves it instead of delete and create.", "")


class Spec(Part):
    """Base of every kind's ``spec``."""


class Resource(Part):
    """A manifest parsed into its kind's type; its identity is (kind, name)."""

    is_job: ClassVar[bool] = False
    apiVersion: Literal["studio/v1"] = "studio/v1"
    kind: str
    metadata: Metadata
    spec: Spec

    @cached_property
    def ref(self) -> Ref:
        return Ref(self.kind, self.metadata.name)

    def reads(self, config: str) -> bool:
        """Whether what a field for a configuration names, or the default that is in force instead, counts for it."""
        return True


ConfigValue = str | dict[str, Any] | None
"""A Config's name, an inline mapping, or nothing."""


class Reference(NamedTuple):
    """One field that names another resource."""

    path: Path
    kind: str
    name: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class FieldMark:
    """A field's meaning, read once from its declaration."""

    name: str
    effect: Effect
    references: str | None
    nested: bool
    config: str | None
    default_config: bool
    types: tuple[str, ...]
    default: Any
    revised: tuple[str, ...] | bool = False
    because: str = ""
    unless: str = ""


@cache
def marks(model: type[BaseModel]) -> tuple[FieldMark, ...]:
    """The marks of a model's fields, in declaration order."""
    found = []
    for name, info in model.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        references = extra.get("x-references")
        found.append(
            FieldMark(
                name,
                Effect(str(extra.get("x-effect", DESCRIPTIVE))),
                str(references) if references else None,
                bool(extra.get("x-nested")),
                str(extra["x-config"]) if "x-config" in extra else None,
                bool(extra.get("x-default-config")),
                tuple(map(str, types)) if isinstance(types := extra.get("x-types"), list) else (),
                info.get_default(call_default_factory=True) if not info.is_required() else None,
                tuple(map(str, revised)) if isinstance(revised := extra.get("x-revised"), list) else bool(revised),
                str(extra.get("x-because", "")),
                str(extra.get("x-unless", "")),
            )
        )
    return tuple(found)


@cache
def effects(model: type[BaseModel]) -> dict[str, Effect]:
    """Field name to effect."""
    return {mark.name: mark.effect for mark in marks(model)}


@cache
def revised(model: type[BaseModel], type: str) -> frozenset[str]:
    """Fields whose change is carried out where the thing is, outside the record; ``type`` is the resource's own."""
    found = (mark for mark in marks(model) if mark.revised is True or (mark.revised and type in mark.revised))
    return frozenset(mark.name for mark in found)


@cache
def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Field name to what a change of it means, where that is more than its effect."""
    return {mark.name: mark.because for mark in marks(model) if mark.because}


@cache
def exceptions(model: type[BaseModel]) -> dict[str, str]:
    """Field name to the other field that, where it is set, makes what ``meanings`` says of it untrue."""
    return {mark.name: mark.unless for mark in marks(model) if mark.unless}


@cache
def _referring(model: type[BaseModel]) -> tuple[FieldMark, ...]:
    return tuple(mark for mark in marks(model) if mark.references or mark.nested)


def references(part: Part, path: Path = ("spec",), effect: Effect | None = None) -> Iterator[Reference]:
    """Every reference in ``part``, in declaration order; nested parts inherit the outer field's effect."""
    for mark in _referring(type(part)):
        value = getattr(part, mark.name)
        here = (*path, mark.name)
        strength = effect or mark.effect
        if mark.nested:
            for index, item in enumerate(value):
                yield from references(item, (*here, index), strength)
        elif isinstance(value, tuple):
            for index, name in enumerate(value):
                yield Reference((*here, index), mark.references or "", name, strength)
        elif isinstance(value, str) and value:
            yield Reference(here, mark.references or "", value, strength)
