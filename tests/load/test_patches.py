"""Environment patches are JSON merge patches (RFC 7386)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from studio.core.findings import Finding, Severity, Source
from studio.core.findings import Path as FindingPath
from studio.core.references import Ref
from studio.load.patches import Written, apply_patches, blame, merge
from studio.load.project import load_project
from studio.load.settings import Patch, Target
from tests import projects

from .parsers import values

HERE = ("spec", "environments", "prod", "patches", 0)
RFC_7386_APPENDIX_A = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7386_APPENDIX_A)
def test_the_examples_of_the_rfc_hold(target: Any, patch: Any, result: Any) -> None:
    assert merge(target, patch) == result


@given(values, values)
def test_merging_twice_is_merging_once(target: Any, patch: Any) -> None:
    once = merge(target, patch)
    assert merge(once, patch) == once


@given(values)
def test_an_empty_patch_changes_no_mapping_and_leaves_its_target_alone(target: Any) -> None:
    before = repr(target)
    assert merge(target, {}) == (target if isinstance(target, dict) else {})
    merge(target, {"a": {"b": 1}})
    assert repr(target) == before


JOB = projects.manifest("FineTuningJob", "train", {"num_gpu": 0}, labels={"team": "support", "tier": "1"})


@pytest.mark.parametrize(
    ("target", "hits"),
    [
        (Target(), True),
        (Target(kind="FineTuningJob"), True),
        (Target(kind="Model"), False),
        (Target(name="train"), True),
        (Target(name="other"), False),
        (Target(labels={"team": "support"}), True),
        (Target(labels={"team": "support", "tier": "2"}), False),
        (Target(kind="FineTuningJob", name="train", labels={"tier": "1"}), True),
    ],
)
def test_a_patch_changes_only_what_its_target_selects(target: Target, hits: bool) -> None:
    patched, _ = apply_patches(JOB, [(HERE, Patch(target=target, patch={"spec": {"num_gpu": 2}}))])
    assert patched["spec"]["num_gpu"] == (2 if hits else 0)


def test_patches_apply_in_their_order() -> None:
    patches = [Patch(patch={"spec": {"num_gpu": n}}) for n in (1, 2)]
    assert apply_patches(JOB, [(HERE, patch) for patch in patches])[0]["spec"]["num_gpu"] == 2


@pytest.mark.parametrize("document", [None, "text", [1], {"metadata": "x"}, {"metadata": {"labels": 5}}])
def test_a_document_that_is_no_manifest_is_no_problem_for_a_patch(document: Any) -> None:
    selective = Patch(target=Target(kind="Model", labels={"a": "b"}), patch={"spec": {}})
    assert apply_patches(document, [(HERE, selective)]) == (document, [])


SETTINGS = """\
apiVersion: studio/v1
kind: Project
metadata: {name: desk}
spec:
  environments:
    prod:
      state: sqlite:///.studio/prod.db
      patches:
        - target: {kind: FineTuningJob, labels: {team: support}}
          patch: {spec: {num_gpu: 2, num_epochs: null}}
"""


def test_an_environment_patches_the_manifests_and_overrides_settings(tmp_path: Path) -> None:
    root = projects.write(tmp_path, projects.support_desk(), SETTINGS)
    plain, prod = load_project(root), load_project(root, "prod")
    job = Ref("FineTuningJob", "train")
    assert plain.manifests[job].resource.spec.num_gpu == 0  # type: ignore[attr-defined]
    assert prod.manifests[job].resource.spec.num_gpu == 2  # type: ignore[attr-defined]
    assert prod.manifests[job].resource.spec.num_epochs is None  # type: ignore[attr-defined]
    assert plain.settings.spec.state == "sqlite:///.studio/state.db"
    assert prod.settings.spec.state == "sqlite:///.studio/prod.db"


def test_what_a_patch_wrote_is_remembered_with_its_place() -> None:
    patch = Patch(target=Target(), patch={"spec": {"num_gpu": 2, "dataset": None, "lora_config": {"r": 4}}})
    _, written = apply_patches(JOB, [(HERE, patch)])
    assert [path for path, _ in written] == [("spec", "num_gpu"), ("spec", "dataset"), ("spec", "lora_config", "r")]
    assert all(origin == (*HERE, "patch", *path) for path, origin in written)


@pytest.mark.parametrize(
    ("path", "blamed"),
    [
        (("spec", "num_gpu"), ("second", "spec", "num_gpu")),
        (("spec", "gates", 0, "min"), ("first", "spec", "gates", 0, "min")),
        (("spec", "num_cpu"), None),
        (("spec",), None),
    ],
)
def test_a_finding_is_laid_to_the_last_patch_that_wrote_its_place(
    path: FindingPath, blamed: FindingPath | None
) -> None:
    source = Source("manifests/a.yaml", 1)
    written: dict[Source, list[Written]] = {
        source: [
            (("spec", "num_gpu"), ("first", "spec", "num_gpu")),
            (("spec", "gates"), ("first", "spec", "gates")),
            (("spec", "num_gpu"), ("second", "spec", "num_gpu")),
        ]
    }
    finding = Finding("FT-005", Severity.ERROR, "words", source=source, path=path)
    found = blame(finding, written)
    assert (found.source, found.path) == ((Source("studio.yaml"), blamed) if blamed else (source, path))
