"""The published schemas and the parser agree: what an editor underlines is what ``studio validate`` reports."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from studio.checking import examine
from studio.core.findings import Path, Phase, Source
from studio.load.documents import parse
from studio.load.manifests import parse_manifest
from studio.load.project import load_documents
from studio.report.fields import pages, walk
from studio.report.schemas import MANIFEST, schemas
from studio.resources import KINDS
from tests import projects
from tests.report.from_schema import JSON, damaged, documents
from tests.rules.examples import SAMPLE

PUBLISHED = schemas()
WHOLE = Draft202012Validator(PUBLISHED[MANIFEST])
ELSEWHERE = projects.ROOT / "tests"
"""A folder without the files that the documents name."""
VALID: list[Any] = [
    *projects.support_desk(),
    *(document for file in sorted((SAMPLE / "manifests").iterdir()) for document in parse(file.read_text("utf-8"))),
]
REQUIRED = {
    kind: [page for page in walk(pages(PUBLISHED[f"{kind}.schema.json"])) if page.required and page.path.count(".") > 1]
    for kind in KINDS
}


def rejected(document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in WHOLE.iter_errors(document)]


def problems(document: Any) -> list[str]:
    return [problem.message for problem in parse_manifest(document, Source("a.yaml"))[1]]


def test_the_corpus_is_valid_for_both() -> None:
    for document in VALID:
        assert rejected(document) == problems(document) == []
    assert {document["kind"] for document in VALID} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_for_all_kinds_says_what_the_schema_of_a_kind_says(kind: str) -> None:
    own = Draft202012Validator(PUBLISHED[f"{kind}.schema.json"])

    @settings(max_examples=30)
    @given(damaged([document for document in VALID if document["kind"] == kind]))
    def agree(document: Any) -> None:
        if isinstance(document, dict) and document.get("kind") == kind and document.get("apiVersion") == "studio/v1":
            assert own.is_valid(document) == WHOLE.is_valid(document)

    agree()


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_schema_accepts_the_parser_accepts(kind: str) -> None:
    @settings(max_examples=60)
    @given(documents(PUBLISHED[f"{kind}.schema.json"]))
    def agree(document: Any) -> None:
        assert rejected(document) == [] and problems(document) == []

    agree()


@settings(max_examples=300)
@given(damaged(VALID) | JSON)
def test_what_the_parser_rejects_the_schema_rejects(document: Any) -> None:
    if problems(document):
        assert rejected(document)


@settings(max_examples=200)
@given(damaged(VALID))
def test_what_the_schema_rejects_is_reported_at_its_place(document: Any) -> None:
    findings = examine(load_documents(ELSEWHERE, [document]), (Phase.STATIC,)).findings
    if {"MF-004", "MF-005"} & {finding.rule for finding in findings}:  # then nothing else in it is looked at
        return
    for error in WHOLE.iter_errors(document):
        for place in places(error):
            told = any(
                overlap(finding.path, place) or f"did you mean '{place[-1]}'" in finding.hint for finding in findings
            )
            assert told, (place, error.message)


@pytest.mark.parametrize(("kind", "path"), [(kind, page.path) for kind in KINDS for page in REQUIRED[kind]])
def test_a_required_field_that_is_left_out_is_an_error(kind: str, path: str) -> None:
    document = deepcopy(next(document for document in VALID if document["kind"] == kind))
    *above, name = path.split(".")[1:]
    holder = document
    for step in above:
        holder = holder.setdefault(step, {})
        holder = holder[0] if isinstance(holder, list) else holder
    holder.pop(name, None)
    assert rejected(document)
    findings = examine(load_documents(ELSEWHERE, [document]), (Phase.STATIC,)).findings
    places = [tuple(step for step in finding.path if isinstance(step, str)) for finding in findings]
    assert any((*above, name)[: len(place)] == place for place in places)


def places(error: Any) -> list[Path]:
    """The paths that a schema's error is about. A list is one place: a part of it that does not fit hides the rest."""
    above = tuple(error.absolute_path)
    if any(isinstance(step, int) for step in above):
        return [above[: next(index for index, step in enumerate(above) if isinstance(step, int))]]
    if error.validator == "required":
        return [(*above, name) for name in error.validator_value if name not in error.instance]
    if error.validator == "additionalProperties" and error.validator_value is False:
        return [(*above, name) for name in set(error.instance) - set(error.schema["properties"])]
    return [above]


def overlap(one: Path, other: Path) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]
