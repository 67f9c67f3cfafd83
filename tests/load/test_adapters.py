"""Looking at adapters: what is written inside the good, a clear defect of the bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from studio.load import adapters
from studio.load.observation import Defect, Observation, Unusable
from studio.resources.adapter import AdapterFacts, AdapterSpec
from tests.projects import write_adapter


def observe(root: Path, location: str = "adapter", type: str = "project") -> Observation:
    return adapters.observe(AdapterSpec(type=type, location=location), root)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    write_adapter(tmp_path / "adapter", "owner/base")
    return tmp_path / "adapter"


def with_config(content: str | bytes) -> Callable[[Path], object]:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / "adapter_config.json").write_bytes(data)


def pickled(folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


def linked(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()
    (folder / "adapter_config.json").symlink_to("/etc/hostname")


def test_a_good_folder_tells_digest_rank_modules_and_base(tmp_path: Path, adapter: Path) -> None:
    found = observe(tmp_path)
    assert isinstance(found, AdapterFacts) and len(found.digest) == 64
    assert (found.rank, found.target_modules, found.base_model) == (8, ("q_proj", "v_proj"), "owner/base")


def test_files_that_are_not_the_adapter_do_not_change_its_digest(tmp_path: Path, adapter: Path) -> None:
    before = observe(tmp_path)
    (adapter / "README.md").write_text("words")
    assert observe(tmp_path) == before


@pytest.mark.parametrize(
    ("damage", "defect", "words"),
    [
        (pickled, Defect.PICKLE, "holds pickled weights only"),
        (lambda folder: (folder / "adapter_config.json").unlink(), Defect.INCOMPLETE, "lacks adapter_config.json"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), Defect.INCOMPLETE, "lacks adapter_model"),
        (with_config("{"), Defect.SYNTAX, "adapter/adapter_config.json:"),
        (with_config(b"\xff"), Defect.SYNTAX, "adapter/adapter_config.json:"),
        (with_config("[" * 100_000), Defect.SYNTAX, "adapter/adapter_config.json:"),
        (linked, Defect.OUTSIDE, "is a link that leaves the project"),
    ],
    ids=["pickle", "config", "weights", "syntax", "encoding", "depth", "link"],
)
def test_a_damaged_folder_is_a_defect_with_words_and_a_hint(
    tmp_path: Path, adapter: Path, damage: Callable[[Path], object], defect: Defect, words: str
) -> None:
    damage(adapter)
    found = observe(tmp_path)
    assert isinstance(found, Unusable) and found.defect is defect
    assert words in found.message and found.hint


@pytest.mark.parametrize("text", ["[]", "{}", '{"r": "8", "target_modules": "all-linear"}', '{"r": null}'])
def test_what_the_config_does_not_say_plainly_is_unknown(tmp_path: Path, adapter: Path, text: str) -> None:
    (adapter / "adapter_config.json").write_text(text)
    found = observe(tmp_path)
    assert isinstance(found, AdapterFacts)
    assert (found.rank, found.target_modules, found.base_model) == (None, (), "")


@pytest.mark.parametrize(
    ("location", "defect"),
    [("nowhere", Defect.MISSING), ("..", Defect.OUTSIDE), ("a\0b", Defect.OUTSIDE), ("x" * 300, Defect.UNREADABLE)],
)
def test_a_location_that_is_no_folder_of_the_project_is_a_defect(tmp_path: Path, location: str, defect: Defect) -> None:
    found = observe(tmp_path, location)
    assert isinstance(found, Unusable) and found.defect is defect


@pytest.mark.parametrize(("type", "location"), [("huggingface", "adapter"), ("project", ""), ("model_registry", "x")])
def test_an_adapter_elsewhere_or_still_to_be_trained_gives_no_facts(tmp_path: Path, type: str, location: str) -> None:
    assert observe(tmp_path, location, type) is None
