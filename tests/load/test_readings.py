"""Environments share what was read of the files, and each sees what it would see alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.checking import validate, view
from studio.core.findings import OFFLINE, Source
from studio.load import documents
from studio.load.project import DEFAULT_ENVIRONMENT, load_project
from studio.load.readings import Readings
from studio.observe import observe
from tests import projects

SETTINGS = """\
apiVersion: studio/v1
kind: Project
metadata: {name: desk}
spec:
  variables:
    rate: {default: 0.01}
    kind: {}
  environments:
    dev: {}
    prod:
      variables: {rate: 0.1, kind: project_csv}
      patches:
        - {target: {kind: FineTuningJob}, patch: {spec: {num_cpu: 3, learning_rate: "${var.rate}"}}}
        - {target: {name: tickets}, patch: {spec: {location: data/other.csv}}}
    broken:
      patches:
        - {target: {kind: Model}, patch: {metadata: {name: other}, spec: {typ: project}}}
        - {target: {kind: Prompt}, patch: {kind: Prompt, spec: null}}
"""
ENVIRONMENTS = [DEFAULT_ENVIRONMENT, "dev", "prod", "broken"]
EXTRA = {
    "nothing.yaml": "# nothing\n",
    "broken.yaml": "kind: [\n",
    "binary.yaml": "\udcff",
    "twice.yaml": projects.stream(projects.data_resources()[:1]),
    "variable.yaml": "apiVersion: studio/v1\nkind: Dataset\nmetadata: {name: v}\nspec: {type: '${var.kind}'}\n",
    "secret.yaml": "# token hf_abcdefghijklmnopqrstuvwxyz012345\napiVersion: studio/v1\nkind: Config\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = projects.write(tmp_path / "desk", projects.support_desk(), SETTINGS)
    for name, text in EXTRA.items():
        (root / "manifests" / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    (root / "data/other.csv").write_text("text,queue\na,b\n")
    return root


def seen(root: Path, environment: str, readings: Readings | None = None) -> list[Any]:
    """All that a run knows of a project before the rules."""
    loaded = load_project(root, environment, readings=readings)
    return [
        loaded.manifests, loaded.problems, loaded.origins, loaded.told, loaded.files, loaded.unread, loaded.variables,
        observe(view(loaded).graph, root),
    ]  # fmt: skip


@given(st.permutations(ENVIRONMENTS))
def test_every_environment_sees_what_it_sees_alone(root: Path, order: list[str]) -> None:
    readings = Readings(lasting=True)
    for environment in order:
        assert seen(root, environment, readings) == seen(root, environment)


def test_findings_are_those_of_each_environment_checked_alone(root: Path) -> None:
    together = validate(root, None, OFFLINE).findings
    alone = {name: validate(root, name, OFFLINE).findings for name in ENVIRONMENTS}
    common = set(alone[DEFAULT_ENVIRONMENT])
    assert {finding for finding in together if not finding.environment} == common
    for name in ENVIRONMENTS[1:]:
        theirs = {finding.message for finding in together if finding.environment == name}
        assert theirs == {f"in environment {name}: {finding.message}" for finding in set(alone[name]) - common}


def test_a_file_is_parsed_once_for_all_environments(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = documents.parse

    def noted(text: str) -> list[Any]:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(documents, "parse", noted)
    validate(root, None, OFFLINE)
    manifests = [text for text in parsed if "kind: Project" not in text and "shipped" not in text]
    assert parsed and len(manifests) == len(set(manifests))


def test_what_is_not_lasting_is_read_again(root: Path) -> None:
    readings = Readings()
    before = readings.of(root, "manifests/all.yaml")
    (root / "manifests/all.yaml").write_text("a: 1\n")
    after = readings.of(root, "manifests/all.yaml")
    assert before.documents != after.documents == [(0, {"a": 1})]


def test_what_a_document_came_to_is_told_by_its_place(root: Path) -> None:
    reading = Readings(lasting=True).of(root, "manifests/all.yaml")
    assert reading.documents
    found = [reading.parse(document, Source("manifests/all.yaml", index)) for index, document in reading.documents]
    assert [parsed[0].source.document for parsed in found if parsed[0]] == list(range(len(found)))
