"""The published JSON Schemas: one for each kind, one for all, one for studio.yaml, and those of the job files."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter

from studio.core.jobresult import JobResult
from studio.core.jobspec import JobSpec
from studio.load.settings import Project
from studio.resources import KINDS
from studio.resources.base import API_VERSION

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
MANIFEST, PROJECT = "manifest.schema.json", "Project.schema.json"
"""The two that editors need: for every file of manifests, and for studio.yaml."""


def schemas() -> dict[str, Schema]:
    """File name to schema."""
    kinds = {kind: kind_schema(declared.model) for kind, declared in KINDS.items()}
    found = {f"{kind}.schema.json": schema for kind, schema in kinds.items()}
    found[PROJECT] = project_schema()
    found["job-spec.schema.json"] = TypeAdapter(JobSpec).json_schema()
    found["job-result.schema.json"] = TypeAdapter(JobResult).json_schema()
    stamped = {name: {"$schema": DIALECT, **schema} for name, schema in found.items()}
    return dict(sorted({**stamped, **all_kinds(kinds)}.items()))


def all_kinds(kinds: dict[str, Schema]) -> dict[str, Schema]:
    """The one schema for files of manifests, made of those of the kinds."""
    inner = {kind: {key: held for key, held in schema.items() if key != "$schema"} for kind, schema in kinds.items()}
    return {MANIFEST: {"$schema": DIALECT, **_manifest(inner)}}


def schema_text(schema: Schema) -> str:
    """As it is published: fields in the order of their declarations."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def kind_schema(model: type[BaseModel]) -> Schema:
    """The schema of a kind's manifests."""
    schema = _declared(model)
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return schema


def project_schema() -> Schema:
    """The schema of studio.yaml."""
    schema = _declared(Project)
    schema["required"] = ["kind", "metadata"]
    return schema


def about(model: type[BaseModel]) -> str:
    """What a kind is: the first sentence of its module."""
    line = (inspect.getdoc(sys.modules[model.__module__]) or "").partition("\n")[0]
    words = line.partition(": ")[2].partition(". ")[0].removesuffix(".")
    return f"{words[:1].upper()}{words[1:]}."


def _declared(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema()
    for part in _objects(schema):
        _complete(part)
    schema["description"] = about(model)
    words = {
        "apiVersion": f"The version of this form: {API_VERSION}.",
        "kind": "What the document describes.",
        "metadata": "Name, title, labels.",
        "spec": f"The fields of the {schema['title']}.",
    }
    for name, description in words.items():
        schema["properties"][name] |= {"description": description}
        schema["properties"][name].pop("default", None)
    return schema


def _objects(schema: Schema) -> Iterator[Schema]:
    yield schema
    yield from schema.get("$defs", {}).values()


def _complete(part: Schema) -> None:
    """What rules demand is required: no default, no null. Titles that only repeat the names are left out."""
    required = set(part.pop("required", ()))
    for name, field in part.get("properties", {}).items():
        field.pop("title", None)
        if field.pop("x-required", False):
            field.pop("default", None)
            members = [member for member in field.pop("anyOf", ()) if member != {"type": "null"}]
            field |= members[0] if len(members) == 1 else {"anyOf": members} if members else {}
            required.add(name)
    if required:
        part["required"] = [name for name in part["properties"] if name in required]


def _manifest(kinds: dict[str, Schema]) -> Schema:
    """One schema for all kinds, complete in itself: an editor needs no other file."""
    definitions: Schema = {}
    for kind, schema in kinds.items():
        definitions |= schema["$defs"]
        definitions[kind] = {key: value for key, value in schema.items() if key != "$defs"}
    return {
        "title": "Manifest",
        "description": "A document of a manifest file.",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": f"The version of this form: {API_VERSION}."},
            "kind": {"enum": list(kinds), "description": "What the document describes."},
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{kind}"},
            }
            for kind in kinds
        ],
        "$defs": dict(sorted(definitions.items())),
    }
