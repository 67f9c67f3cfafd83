"""Environments share what was read of the files, and each sees what it would see alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.checking import validate, view
from studio.core.findings import OFFLINE, Source
from studio.load import cache, documents, witness
from studio.load.project import DEFAULT_ENVIRONMENT, load_project
from studio.load.readings import Reading, Readings, place
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


# For later runs


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test has just written counts as left alone."""
    monkeypatch.setattr(witness, "SETTLED", -(10**18))


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def later(root: Path, home: dict[str, str], name: str) -> Reading:
    """A file as a run reads it that may remember, and leaves what it read to later ones."""
    with witness.watching() as watching:
        readings = Readings(lasting=True, place=place(root, home))
        found = readings.of(root, name)
        readings.keep(root, watching)
    return found


@pytest.mark.usefixtures("settled")
def test_an_untouched_file_is_not_read_again(root: Path, home: dict[str, str]) -> None:
    first, second = (later(root, home, "manifests/all.yaml") for _ in range(2))
    assert not first.recalled and second.recalled
    assert first.documents == second.documents and not second.problems


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("name", [name for name in EXTRA if name != "twice.yaml"])
def test_a_file_with_problems_or_variables_is_always_read(name: str, root: Path, home: dict[str, str]) -> None:
    first, second = (later(root, home, f"manifests/{name}") for _ in range(2))
    assert not second.recalled and first == second


def forged(file: Path, text: str) -> None:
    before = file.stat()
    file.write_text(text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def moved_behind_a_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere.txt"))
    file.symlink_to("elsewhere.txt")


CHANGES = {
    "edited, size and time put back": lambda file: forged(file, file.read_text()[::-1]),
    "moved behind a link": moved_behind_a_link,
    "without rights": lambda file: file.chmod(0o200),
    "replaced": lambda file: (file.with_name("x").write_text("b: 1\n"), file.with_name("x").rename(file)),
}


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_file_is_read_again(change: Callable[[Path], object], root: Path, home: dict[str, str]) -> None:
    for _ in range(2):
        later(root, home, "manifests/all.yaml")
    change(root / "manifests/all.yaml")
    assert later(root, home, "manifests/all.yaml") == Readings().of(root, "manifests/all.yaml")


def test_what_has_just_changed_is_not_kept(root: Path, home: dict[str, str]) -> None:
    later(root, home, "manifests/all.yaml")
    assert not Path(home["XDG_CACHE_HOME"]).exists()


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("content", ['{"files": 7}', '{"files": [[1]]}', '{"files": [["a", "b", 7]]}', "{}", "[]"])
def test_what_is_damaged_is_no_memory(content: str, root: Path, home: dict[str, str]) -> None:
    later(root, home, "manifests/all.yaml")
    (file,) = Path(home["XDG_CACHE_HOME"]).rglob("*.json")
    question = json.loads(file.read_bytes().partition(b"\n")[2])["question"]
    body = json.dumps({**json.loads(content), "question": question} if content[0] == "{" else content).encode()
    file.write_bytes(cache._checksum(body) + b"\n" + body)
    assert not later(root, home, "manifests/all.yaml").recalled


keys = st.text("ab1", min_size=1, max_size=2) | st.integers(0, 2) | st.booleans() | st.none() | st.floats()
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.usefixtures("settled")
@settings(max_examples=60)
@given(documents=st.lists(values, max_size=3))
def test_what_is_recalled_is_exactly_what_the_file_says(documents: list[Any], root: Path, home: dict[str, str]) -> None:
    file = root / "manifests/any.yaml"
    file.write_text(yaml.safe_dump_all(documents, allow_unicode=True))
    read = Readings().of(root, "manifests/any.yaml")
    for _ in range(2):
        again = later(root, home, "manifests/any.yaml")
        assert repr((again.problems, again.documents)) == repr((read.problems, read.documents))
