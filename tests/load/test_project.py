"""A folder to a loaded project: whatever is in the files is reported, never raised."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core.errors import UsageError
from studio.core.references import Ref
from studio.load import files
from studio.load.files import find_root
from studio.load.problems import Fault, Problem
from studio.load.project import load_project, shipped_defaults
from tests import projects
from tests.projects import SETTINGS, manifest

DATASET = projects.stream([manifest("Dataset", "a")])


def project(root: Path, settings: str = SETTINGS, **content: str | bytes) -> Path:
    """A project with the given files; a double underscore in a name is a slash, an ending is .yaml."""
    root.mkdir(exist_ok=True)
    (root / "studio.yaml").write_text(settings)
    (root / "manifests").mkdir(exist_ok=True)
    for name, text in content.items():
        file = root / f"{name.replace('__', '/')}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def only_problem(root: Path, environment: str = "default") -> Problem:
    [problem] = load_project(root, environment).problems
    return problem


# Which folder, which files


def test_the_root_is_the_nearest_folder_upwards_with_settings(tmp_path: Path) -> None:
    root = project(tmp_path / "outer")
    inner = root / "manifests" / "deep"
    inner.mkdir()
    assert find_root(inner) == root and find_root(root) == root


def test_without_settings_there_is_no_project_and_the_hint_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        find_root(tmp_path)
    assert "no studio.yaml" in error.value.message and "studio init" in error.value.hint


def test_manifests_are_found_in_any_layout_and_sorted(tmp_path: Path) -> None:
    root = project(tmp_path, manifests__b=DATASET, manifests__deep__er__a=projects.stream([manifest("Model", "m")]))
    (root / "manifests" / "c.yml").write_text(projects.stream([manifest("Config", "c")]))
    (root / "manifests" / "notes.txt").write_text("not a manifest")
    (root / "manifests" / ".hidden").mkdir()
    (root / "manifests" / ".hidden" / "x.yaml").write_text("not: read")
    loaded = load_project(root)
    assert [str(ref) for ref in loaded.manifests] == ["Config/c", "Dataset/a", "Model/m"]
    assert loaded.files == 3 and loaded.problems == []


def test_a_manifest_setting_may_name_a_file_and_the_projects_own_folder(tmp_path: Path) -> None:
    one = project(
        tmp_path / "one", SETTINGS + "spec: {manifests: [only.yaml]}\n", only=DATASET, manifests__x="not: read"
    )
    whole = project(tmp_path / "whole", SETTINGS + "spec: {manifests: ['.']}\n", top=DATASET)
    for root in (one, whole):
        loaded = load_project(root)
        assert list(loaded.manifests) == [Ref("Dataset", "a")] and loaded.problems == []


# What is wrong with a manifest


@pytest.mark.parametrize(
    ("content", "fault", "words", "hint"),
    [
        (b"", Fault.NO_MANIFEST, "the file holds no manifest", "delete it"),
        (b"# a comment only\n", Fault.NO_MANIFEST, "the file holds no manifest", "delete it"),
        (b"---\n---\n", Fault.NO_MANIFEST, "the file holds no manifest", "delete it"),
        (b"\xff\xfe\x00k", Fault.UNREADABLE, "not UTF-8 text (byte 0)", "save it as UTF-8"),
        (b"kind: caf\xe9\n", Fault.UNREADABLE, "not UTF-8 text (byte 9)", "save it as UTF-8"),
        (b"\x00" * 100, Fault.SYNTAX, "U+0000 is not allowed", "check indentation"),
        (b"\x7fELF\x02\x01\x01\x00\x00", Fault.SYNTAX, "is not allowed", "check indentation"),
        (b"a: [", Fault.SYNTAX, "while parsing a flow", "check indentation"),
        (b"a: 1\na: 2\n", Fault.DUPLICATE_KEY, "the key 'a' appears twice", "remove one of them"),
        (b"a: &a [*a]\n", Fault.LIMIT, "nested deeper than", "split the document"),
        (b"5\n", Fault.NOT_A_MANIFEST, "the document is not a mapping", "a manifest is"),
        (b" " * (files.MAX_BYTES + 1), Fault.LIMIT, "too large for a manifest", "put data under data/"),
    ],
    ids=[
        "0-byte", "comment", "empty", "utf-16", "latin-1", "nul", "binary", "open", "twice", "loop", "scalar", "large",
    ],
)  # fmt: skip
def test_a_bad_file_is_reported_once_and_the_others_are_still_read(
    tmp_path: Path, content: bytes, fault: Fault, words: str, hint: str
) -> None:
    root = project(tmp_path, manifests__bad=content, manifests__good=DATASET)
    loaded = load_project(root)
    [problem] = loaded.problems
    assert problem.fault is fault and words in problem.message and hint in problem.hint
    assert problem.source.file == "manifests/bad.yaml"
    assert list(loaded.manifests) == [Ref("Dataset", "a")]


def link(target: str) -> Callable[[Path], None]:
    return lambda file: file.symlink_to(target)


@pytest.mark.parametrize(
    ("make", "fault", "words"),
    [
        (link("/etc/hostname"), Fault.OUTSIDE, "leaves the project"),
        (link("../../other.yaml"), Fault.OUTSIDE, "leaves the project"),
        (link("nowhere.yaml"), Fault.UNREADABLE, "cannot be read"),
        (link("bad.yaml"), None, ""),
    ],
    ids=["absolute", "upwards", "dangling", "circle"],
)
def test_a_link_is_followed_only_inside_the_project(
    tmp_path: Path, make: Callable[[Path], None], fault: Fault | None, words: str
) -> None:
    (tmp_path / "other.yaml").write_text(DATASET)
    root = project(tmp_path / "project", manifests__good=DATASET)
    make(root / "manifests" / "bad.yaml")
    loaded = load_project(root)
    [problem] = loaded.problems
    assert fault in (None, problem.fault) and words in problem.message
    assert list(loaded.manifests) == [Ref("Dataset", "a")]


def test_a_link_inside_the_project_is_a_file_like_any_other(tmp_path: Path) -> None:
    root = project(tmp_path, shared=DATASET)
    (root / "manifests" / "a.yaml").symlink_to("../shared.yaml")
    assert list(load_project(root).manifests) == [Ref("Dataset", "a")]


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(tmp_path: Path) -> None:
    root = project(tmp_path, manifests__a=b"\xef\xbb\xbf" + DATASET.replace("\n", "\r\n").encode())
    assert load_project(root).problems == []


def test_a_second_declaration_is_reported_and_names_the_first(tmp_path: Path) -> None:
    root = project(tmp_path, manifests__a=DATASET, manifests__b=DATASET)
    problem = only_problem(root)
    assert problem.fault is Fault.DUPLICATE_RESOURCE and problem.source.file == "manifests/b.yaml"
    assert problem.message == "Dataset/a is declared twice, first in manifests/a.yaml:6"


def test_the_same_name_in_two_kinds_is_no_duplicate(tmp_path: Path) -> None:
    root = project(tmp_path, manifests__a=projects.stream([manifest("Dataset", "a"), manifest("Model", "a")]))
    assert load_project(root).problems == []


def test_the_place_of_a_document_counts_the_empty_ones_before_it(tmp_path: Path) -> None:
    root = project(tmp_path, manifests__a="# first\n---\n# nothing\n---\n" + DATASET.removeprefix("---\n"))
    loaded = load_project(root)
    assert loaded.problems == [] and loaded.manifests[Ref("Dataset", "a")].source.document == 1


@settings(max_examples=60)
@given(st.binary(max_size=60))
def test_no_bytes_in_a_manifest_make_loading_fail(tmp_path: Path, content: bytes) -> None:
    loaded = load_project(project(tmp_path / "fuzz", manifests__bad=content, manifests__good=DATASET))
    assert Ref("Dataset", "a") in loaded.manifests


# What is wrong with the settings


def test_a_project_without_a_manifest_says_where_one_belongs(tmp_path: Path) -> None:
    problem = only_problem(project(tmp_path))
    assert problem.fault is Fault.NO_MANIFEST and problem.message == "the project holds no manifest"
    assert "add manifests below manifests" in problem.hint


@pytest.mark.parametrize(
    ("folder", "fault", "words"),
    [
        ("nowhere", Fault.UNREADABLE, "'nowhere' does not exist"),
        ("../elsewhere", Fault.OUTSIDE, "'../elsewhere' leaves the project"),
        ("/etc", Fault.OUTSIDE, "'/etc' leaves the project"),
        ("a\\0b", Fault.OUTSIDE, "leaves the project"),
        ("x" * 300, Fault.UNREADABLE, "does not exist"),
    ],
)
def test_a_manifest_folder_that_cannot_be_used_is_reported_at_its_place(
    tmp_path: Path, folder: str, fault: Fault, words: str
) -> None:
    root = project(tmp_path, SETTINGS + f'spec: {{manifests: [manifests, "{folder}"]}}\n', manifests__a=DATASET)
    loaded = load_project(root)
    [problem] = loaded.problems
    assert problem.fault is fault and words in problem.message
    assert problem.path == ("spec", "manifests", 1) and problem.source.file == "studio.yaml"
    assert list(loaded.manifests) == [Ref("Dataset", "a")]


@pytest.mark.parametrize(
    ("text", "fault", "path", "words"),
    [
        ("", Fault.NOT_A_MANIFEST, (), "studio.yaml is not of kind Project"),
        ("- a\n", Fault.NOT_A_MANIFEST, (), "studio.yaml is not of kind Project"),
        ("kind: Config\n", Fault.NOT_A_MANIFEST, (), "not of kind Project"),
        ("kind: Project\nspec: [", Fault.SYNTAX, (), "while parsing a flow"),
        ("kind: Project\nkind: Project\n", Fault.DUPLICATE_KEY, (), "appears twice"),
        ("kind: Project\napiVersion: studio/v2\n", Fault.WRONG_TYPE, ("apiVersion",), "should be 'studio/v1'"),
        ("kind: Project\nspec: []\n", Fault.WRONG_TYPE, ("spec",), "must be a mapping"),
        ("kind: Project\nspec: {manifest: [x]}\n", Fault.UNKNOWN_FIELD, ("spec", "manifest"), "is not a field"),
        ("kind: Project\nspec: {manifests: x}\n", Fault.WRONG_TYPE, ("spec", "manifests"), "must be a list"),
        ("kind: Project\nspec: {backend: local}\n", Fault.WRONG_TYPE, ("spec", "backend"), "must be a mapping"),
        (
            "kind: Project\nspec: {environments: {prod: {state: 5}}}\n",
            Fault.WRONG_TYPE,
            ("spec", "environments", "prod", "state"),
            "must be",
        ),
    ],
)
def test_broken_settings_are_reported_and_the_manifests_are_still_read(
    tmp_path: Path, text: str, fault: Fault, path: tuple[str, ...], words: str
) -> None:
    loaded = load_project(project(tmp_path, text, manifests__a=DATASET))
    [problem] = loaded.problems
    assert problem.fault is fault and problem.path == path and words in problem.message
    assert problem.source.file == "studio.yaml"
    assert list(loaded.manifests) == [Ref("Dataset", "a")]


def test_a_secret_in_place_of_a_variable_is_not_repeated(tmp_path: Path) -> None:
    problem = only_problem(project(tmp_path, "kind: Project\nspec: {backend: {api_key: word-of-secrecy}}\n"))
    assert problem.path == ("spec", "backend", "api_key") and "{env: NAME}" in problem.hint
    assert "word-of-secrecy" not in problem.message + problem.hint


def test_of_very_many_environments_the_first_hundred_count(tmp_path: Path) -> None:
    named = "".join(f"    e{number}: {{}}\n" for number in range(10_000))
    root = project(tmp_path, f"kind: Project\nspec:\n  environments:\n{named}", manifests__a=DATASET)
    problem = only_problem(root)
    assert problem.fault is Fault.LIMIT and problem.path == ("spec", "environments", "e100")
    assert len(load_project(root).settings.spec.environments) == 100


def test_settings_that_are_not_utf8_are_reported(tmp_path: Path) -> None:
    root = project(tmp_path, manifests__a=DATASET)
    (root / "studio.yaml").write_bytes(b"\xff\xfe")
    assert only_problem(root).fault is Fault.UNREADABLE


@pytest.mark.parametrize("text", ["kind: Project\nmetadata:\nspec:\n", SETTINGS, "kind: Project\n"])
def test_settings_that_say_little_have_defaults(tmp_path: Path, text: str) -> None:
    root = project(tmp_path, text, manifests__a=DATASET)
    loaded = load_project(root)
    assert loaded.problems == [] and loaded.settings.spec.manifests == ("manifests",)


def test_an_unknown_environment_is_a_usage_error_with_the_nearest_name(tmp_path: Path) -> None:
    root = project(tmp_path, SETTINGS + "spec: {environments: {production: {}}}\n", manifests__a=DATASET)
    with pytest.raises(UsageError) as error:
        load_project(root, "producton")
    assert "'producton' is not in studio.yaml" in error.value.message
    assert error.value.hint == "did you mean 'production'?"


def test_in_broken_settings_an_environment_is_not_called_unknown(tmp_path: Path) -> None:
    root = project(tmp_path, "kind: Project\nspec: [", manifests__a=DATASET)
    assert only_problem(root, "prod").fault is Fault.SYNTAX


# What comes with studio


def test_the_shipped_defaults_are_the_guides_values() -> None:
    found = {str(ref): each.resource.spec for ref, each in shipped_defaults().items()}
    lora = found["Config/default-lora"]
    assert (lora.type, lora.default) == ("lora_config", True)  # type: ignore[attr-defined]
    assert lora.config == {  # type: ignore[attr-defined]
        "r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "bias": "none", "task_type": "CAUSAL_LM",
    }  # fmt: skip
    generation = found["Config/default-generation"].config  # type: ignore[attr-defined]
    assert generation["max_new_tokens"] == 60 and generation["max_length"] is None
    quantisation = found["Config/default-bitsandbytes"]
    assert quantisation.default is False  # type: ignore[attr-defined]


def test_every_loaded_project_knows_the_shipped_defaults_without_owning_them(tmp_path: Path) -> None:
    loaded = load_project(project(tmp_path, manifests__a=DATASET))
    assert Ref("Config", "default-lora") in loaded.defaults and Ref("Config", "default-lora") not in loaded.manifests


# Files of many documents


def test_reading_eight_times_as_many_documents_of_one_file_takes_about_eight_times_as_long(tmp_path: Path) -> None:
    spent = []
    for count in (500, 4000):
        text = projects.stream([manifest("Config", f"config-{number}") for number in range(count)])
        root = project(tmp_path / str(count), manifests__all=text)
        spent.append(min(_seconds_to_load(root, count) for _ in range(2)))
    few, many = spent
    assert many < 2.5 * 8 * few  # looking through the whole file for each document made it 40 times as long


def _seconds_to_load(root: Path, count: int) -> float:
    """Of this process alone, so that what else the machine does hardly matters; nor does what else is in memory."""
    gc.disable()
    try:
        begun = time.process_time()
        assert len(load_project(root).manifests) == count
        return time.process_time() - begun
    finally:
        gc.enable()
