"""The published JSON Schemas: one for each kind, one for all, and the job spec with its result."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from studio.core.jobspec import JobResult, JobSpec
from studio.load.settings import Project
from studio.resources import KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """File name to schema."""
    found = {f"{kind}.schema.json": declared.model.model_json_schema() for kind, declared in KINDS.items()}
    found["Project.schema.json"] = Project.model_json_schema()
    found["manifest.schema.json"] = {"title": "Manifest", "oneOf": [{"$ref": f"{kind}.schema.json"} for kind in KINDS]}
    found["job-spec.schema.json"] = TypeAdapter(JobSpec).json_schema()
    found["job-result.schema.json"] = TypeAdapter(JobResult).json_schema()
    return {name: {"$schema": DIALECT, **schema} for name, schema in sorted(found.items())}
