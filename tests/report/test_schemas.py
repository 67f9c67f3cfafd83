"""The published schemas are the ones the code generates, and they accept what the examples say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from studio.load import documents
from studio.report.schemas import schemas

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_published_schema_is_valid_and_up_to_date(name: str) -> None:
    published = json.loads((ROOT / "schemas" / name).read_text("utf-8"))
    Draft202012Validator.check_schema(published)
    assert published == json.loads(json.dumps(schemas()[name])), "run 'make generated'"


def manifests() -> list[Path]:
    return sorted([*ROOT.glob("examples/*/manifests/**/*.yaml"), *ROOT.glob("manifests/*.yaml")])


@pytest.mark.parametrize("file", manifests(), ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_every_example_fits_the_schema_of_its_kind(file: Path) -> None:
    for document in documents.parse(file.read_text("utf-8")):
        validator = Draft202012Validator(schemas()[f"{document['kind']}.schema.json"])
        assert [error.message for error in validator.iter_errors(document)] == []
