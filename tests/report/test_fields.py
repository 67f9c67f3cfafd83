"""The pages of kinds and fields say what the declarations say."""

from __future__ import annotations

import pytest

from studio.report import fields
from studio.report.fields import FieldPage
from studio.report.schemas import kind_schema, project_schema
from studio.resources import KINDS
from studio.resources.base import marks

SCHEMAS = {**{kind: kind_schema(declared.model) for kind, declared in KINDS.items()}, "Project": project_schema()}


def page(path: str) -> FieldPage:
    found = fields.walk(fields.pages(SCHEMAS[path.partition(".")[0]]))
    return next(each for each in found if each.path == path)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_field_is_described_on_the_page_of_its_kind(kind: str) -> None:
    markdown, text = fields.kind_markdown(SCHEMAS[kind]), fields.kind_text(SCHEMAS[kind])
    assert markdown.startswith(f"# {kind}\n")
    for each in fields.walk(fields.pages(SCHEMAS[kind])):
        assert each.description.endswith("."), each.path
        if each.path.count(".") > 1:
            assert f"| `{each.name}` |" in markdown
        assert each.path in fields.field_text(each)
        assert fields.to_json(each)["path"] == each.path
    assert SCHEMAS[kind]["description"] in text


@pytest.mark.parametrize("kind", KINDS)
def test_effects_are_those_of_the_declarations(kind: str) -> None:
    for mark in marks(KINDS[kind].model.model_fields["spec"].annotation):  # type: ignore[arg-type]
        assert page(f"{kind}.spec.{mark.name}").effect == mark.effect.value


@pytest.mark.parametrize(
    ("path", "attributes"),
    [
        ("FineTuningJob.spec.num_cpu", {"type": "whole number", "required": True, "limits": ("at least 1",)}),
        ("FineTuningJob.spec.base_model", {"type": "text", "references": "Model", "effect": "outcome"}),
        ("FineTuningJob.spec.lora_config", {"type": "text or mapping", "config": "lora_config"}),
        ("FineTuningJob.spec.train_test_split", {"default": "0.9", "limits": ("more than 0", "at most 1")}),
        ("FineTuningJob.spec.num_epochs", {"type": "number", "default": "", "required": False}),
        ("EvaluationJob.spec.gates", {"type": "list of mappings", "effect": "descriptive"}),
        ("EvaluationJob.spec.model_adapter_combinations.adapter", {"effect": "outcome", "references": "Adapter"}),
        ("Dataset.spec.type", {"allowed": ("huggingface", "project", "project_csv", "project_json", "project_jsonl")}),
        ("Dataset.spec.subset", {"types": ("huggingface",)}),
        ("Dataset.spec.features", {"type": "list of text"}),
        ("Dataset.metadata.labels", {"type": "mapping of names to text"}),
        ("Project.spec.environments", {"type": "mapping of names to mappings", "effect": ""}),
        ("Project.spec.environments.patches.target.kind", {"type": "text"}),
    ],
)
def test_a_field_is_as_it_is_declared(path: str, attributes: dict[str, object]) -> None:
    found = page(path)
    assert {name: getattr(found, name) for name in attributes} == attributes
