"""Looking at base models: family and digest of the good, a clear defect of the bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.load import models
from studio.load.observation import Defect, Observation, Unusable
from studio.resources.model import ModelFacts, ModelSpec
from tests.projects import write_model


def observe(root: Path, location: str = "model", type: str = "project") -> Observation:
    return models.observe(ModelSpec(type=type, location=location), root)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "model")
    return tmp_path / "model"


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def with_file(name: str, content: str | bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def test_a_good_folder_gives_family_and_digest(tmp_path: Path, model: Path) -> None:
    found = observe(tmp_path)
    assert isinstance(found, ModelFacts) and found.family == "LlamaForCausalLM" and len(found.digest) == 64


@pytest.mark.parametrize("name", ["tokenizer.model", "vocab.json", "vocab.txt", "spiece.model"])
def test_any_of_the_usual_tokenizer_files_will_do(tmp_path: Path, model: Path, name: str) -> None:
    (model / "tokenizer.json").rename(model / name)
    assert isinstance(observe(tmp_path), ModelFacts)


def test_a_pickle_beside_safetensors_is_no_defect_but_part_of_the_digest(tmp_path: Path, model: Path) -> None:
    before = observe(tmp_path)
    with_file("extra.bin", "x")(model)
    after = observe(tmp_path)
    assert isinstance(before, ModelFacts) and isinstance(after, ModelFacts) and before.digest != after.digest


@pytest.mark.parametrize(
    ("damage", "defect", "words"),
    [
        (pickled, Defect.PICKLE, "holds pickled weights only"),
        (without("model.safetensors"), Defect.INCOMPLETE, "lacks safetensors weights"),
        (without("config.json"), Defect.INCOMPLETE, "lacks config.json"),
        (without("tokenizer.json"), Defect.INCOMPLETE, "lacks a tokenizer"),
        (with_file("config.json", "{"), Defect.SYNTAX, "model/config.json:"),
        (with_file("config.json", b"\xff"), Defect.SYNTAX, "model/config.json:"),
        (with_file("config.json", "[" * 100_000), Defect.SYNTAX, "model/config.json:"),
        (lambda folder: (folder / "x.txt").symlink_to("/etc/hostname"), Defect.OUTSIDE, "model/x.txt is a link"),
    ],
    ids=["pickle", "weights", "config", "tokenizer", "syntax", "encoding", "depth", "link"],
)
def test_a_damaged_folder_is_a_defect_with_words_and_a_hint(
    tmp_path: Path, model: Path, damage: Callable[[Path], object], defect: Defect, words: str
) -> None:
    damage(model)
    found = observe(tmp_path)
    assert isinstance(found, Unusable) and found.defect is defect
    assert words in found.message and found.hint


def test_all_that_is_lacking_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    found = observe(tmp_path)
    assert isinstance(found, Unusable)
    assert found.message == "'model' lacks config.json and a tokenizer and safetensors weights"


@pytest.mark.parametrize(
    ("architectures", "family"),
    [(["A", "B"], "A"), ([], ""), (None, ""), ("Llama", ""), (5, ""), ({"a": 1}, "")],
)
def test_a_family_is_read_only_where_there_is_one(
    tmp_path: Path, model: Path, architectures: object, family: str
) -> None:
    (model / "config.json").write_text(json.dumps({"architectures": architectures}))
    found = observe(tmp_path)
    assert isinstance(found, ModelFacts) and found.family == family


@pytest.mark.parametrize("text", ["[]", "5", "null"])
def test_a_config_that_is_no_object_names_no_family(tmp_path: Path, model: Path, text: str) -> None:
    (model / "config.json").write_text(text)
    found = observe(tmp_path)
    assert isinstance(found, ModelFacts) and found.family == ""


@pytest.mark.parametrize(
    ("location", "defect"),
    [
        ("nowhere", Defect.MISSING),
        ("file", Defect.MISSING),
        ("..", Defect.OUTSIDE),
        ("/etc", Defect.OUTSIDE),
        ("a\0b", Defect.OUTSIDE),
        ("x" * 300, Defect.UNREADABLE),
    ],
)
def test_a_location_that_is_no_folder_of_the_project_is_a_defect(tmp_path: Path, location: str, defect: Defect) -> None:
    (tmp_path / "file").write_text("x")
    found = observe(tmp_path, location)
    assert isinstance(found, Unusable) and found.defect is defect


@pytest.mark.parametrize(("type", "location"), [("huggingface", "model"), ("project", ""), ("model_registry", "x")])
def test_what_only_the_network_knows_gives_no_facts(tmp_path: Path, type: str, location: str) -> None:
    assert observe(tmp_path, location, type) is None


def test_moving_the_folder_changes_no_fact(tmp_path: Path, model: Path) -> None:
    before = observe(tmp_path)
    model.rename(tmp_path / "elsewhere")
    assert observe(tmp_path, "elsewhere") == before
