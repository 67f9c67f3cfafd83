"""The published schemas are valid, complete for editors, and accept what the examples say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from studio.core.metric_names import EVALUATION_METRICS
from studio.load import documents
from studio.report.published import published
from studio.report.schemas import MANIFEST, PROJECT, schemas
from studio.resources import KINDS
from studio.resources.base import NAME_PATTERN
from studio.resources.dataset import DatasetType

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = schemas()
EDITORS = [*(f"{kind}.schema.json" for kind in KINDS), MANIFEST, PROJECT]
"""What people write by hand."""


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_published_schema_is_valid(name: str) -> None:
    published = json.loads((ROOT / "schemas" / name).read_text("utf-8"))
    Draft202012Validator.check_schema(published)
    assert published["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def manifests() -> list[Path]:
    return sorted([*ROOT.glob("examples/*/manifests/**/*.yaml"), *ROOT.glob("manifests/*.yaml")])


@pytest.mark.parametrize("file", manifests(), ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_every_example_fits_the_schema_of_its_kind(file: Path) -> None:
    for document in documents.parse(file.read_text("utf-8")):
        validator = Draft202012Validator(published()[f"{document['kind']}.schema.json"])
        assert [error.message for error in validator.iter_errors(document)] == []


def parts() -> list[tuple[str, str, dict[str, Any]]]:
    """Every mapping that a person writes: file, name, schema."""
    found = []
    for name in EDITORS:
        schema = SCHEMAS[name]
        found += [(name, part, held) for part, held in {"": schema, **schema.get("$defs", {})}.items()]
    return found


@pytest.mark.parametrize(("file", "name", "part"), parts(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_part_is_described_closed_and_its_defaults_fit(file: str, name: str, part: dict[str, Any]) -> None:
    if file != MANIFEST or name:
        assert part["additionalProperties"] is False
    assert part["properties"] and set(part.get("required", ())) <= set(part["properties"])
    for field, held in part["properties"].items():
        assert held["description"].endswith("."), field
        assert {"type", "$ref", "anyOf", "const", "enum"} & set(held), field
        if "default" in held:
            whole = {**held, "$defs": SCHEMAS[file].get("$defs", {})}
            assert Draft202012Validator(whole).is_valid(held["default"]), field
            assert field not in part.get("required", ())


@pytest.mark.parametrize(
    ("kind", "path", "keyword", "value"),
    [
        ("Dataset", "DatasetSpec.type", "enum", [str(each) for each in DatasetType]),
        ("EvaluationJob", "Gate.metric", "examples", list(EVALUATION_METRICS)),
        ("FineTuningJob", "FineTuningJobSpec.num_cpu", "minimum", 1),
        ("FineTuningJob", "FineTuningJobSpec.adapter_name", "pattern", "^[a-zA-Z0-9-]+$"),
        ("FineTuningJob", "FineTuningJobSpec.train_test_split", "default", 0.9),
        ("Model", "Metadata.name", "pattern", NAME_PATTERN),
        ("ModelExport", "ModelExportSpec.base_model", "x-references", "Model"),
        ("Project", "Patch.patch", "type", "object"),
    ],
)
def test_an_editor_can_offer_what_a_field_takes(kind: str, path: str, keyword: str, value: object) -> None:
    part, _, field = path.partition(".")
    assert SCHEMAS[f"{kind}.schema.json"]["$defs"][part]["properties"][field][keyword] == value


@pytest.mark.parametrize("kind", KINDS)
def test_every_enumeration_that_a_rule_knows_is_in_the_schema(kind: str) -> None:
    fields = SCHEMAS[f"{kind}.schema.json"]["$defs"][f"{kind}Spec"]["properties"]
    typed = [name for name in ("type", "framework_type", "framework", "task", "weights", "loss") if name in fields]
    assert typed and all(fields[name]["enum"] for name in typed)


def test_the_schema_for_all_kinds_needs_no_other_file() -> None:
    assert {found for found in references(SCHEMAS[MANIFEST]) if not found.startswith("#/$defs/")} == set()


def references(value: Any) -> Iterator[str]:
    """Every ``$ref`` in a schema."""
    for held in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(held)
    if isinstance(value, dict) and isinstance(value.get("$ref"), str):
        yield value["$ref"]
