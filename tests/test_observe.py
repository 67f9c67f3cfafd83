"""What the inputs of a project really are."""

from __future__ import annotations

from pathlib import Path

from studio.core.references import Ref
from studio.load.observation import Defect, Unusable
from studio.observe import observe
from studio.resources.adapter import AdapterFacts
from studio.resources.dataset import DatasetFacts
from studio.resources.model import ModelFacts
from studio.resources.prompt import PromptFacts, generate_templates
from tests import projects
from tests.projects import changed, manifest, support_desk, with_spec

PROMPT = Ref("Prompt", "route")


def test_every_kind_of_input_is_looked_at(tmp_path: Path) -> None:
    projects.write_adapter(tmp_path / "adapters" / "own")
    own = manifest("Adapter", "own", {"type": "project", "model": "tiny", "location": "adapters/own"})
    _, found, _ = projects.loaded(projects.write(tmp_path, [*support_desk(), own]))
    assert found[Ref("Dataset", "tickets")] == DatasetFacts(
        ("text", "queue"), found_digest(found, "Dataset/tickets"), 40
    )
    assert isinstance(found[Ref("Model", "tiny")], ModelFacts)
    assert isinstance(found[Ref("Adapter", "own")], AdapterFacts)
    assert found[PROMPT] == PromptFacts("### {text}\n> {queue}", "### {text}\n>", " {queue}")
    assert found[Ref("Config", "lora")] is None and found[Ref("FineTuningJob", "train")] is None


def found_digest(found: object, ref: str) -> str:
    facts = found[Ref.parse(ref)]  # type: ignore[index]
    assert len(facts.digest) == 64
    return str(facts.digest)


def test_a_generated_prompt_has_the_templates_of_its_data_sets_columns(tmp_path: Path) -> None:
    generated = changed(support_desk(), "Prompt", lambda d: d.update(spec={"dataset": "tickets", "generate": True}))
    _, found, _ = projects.loaded(projects.write(tmp_path, generated))
    assert found[PROMPT] == generate_templates(("text", "queue"))


def test_a_generated_prompt_of_an_unknown_data_set_has_no_templates(tmp_path: Path) -> None:
    generated = changed(support_desk(), "Prompt", lambda d: d.update(spec={"dataset": "nowhere", "generate": True}))
    _, found, _ = projects.loaded(projects.write(tmp_path, generated))
    assert found[PROMPT] is None


def test_an_input_that_cannot_be_used_does_not_hide_the_others(tmp_path: Path) -> None:
    documents = with_spec(support_desk(), "Dataset", location="data/nowhere.csv")
    graph, _, _ = projects.loaded(projects.write(tmp_path, documents))
    found = observe(graph, tmp_path)
    dataset = found[Ref("Dataset", "tickets")]
    assert isinstance(dataset, Unusable) and dataset.defect is Defect.MISSING
    assert isinstance(found[Ref("Model", "tiny")], ModelFacts)


def test_looking_changes_no_file(tmp_path: Path) -> None:
    root = projects.write(tmp_path, support_desk())
    before = projects.snapshot(root)
    projects.loaded(root)
    assert projects.snapshot(root) == before
