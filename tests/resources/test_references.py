"""Which resources a resource names."""

from __future__ import annotations

from typing import Any

import pytest

from studio.core.findings import Source, format_path
from studio.load.manifests import parse_manifest
from studio.resources.base import Effect, references
from tests.projects import manifest


def found(kind: str, spec: dict[str, Any]) -> list[str]:
    parsed, problems = parse_manifest(manifest(kind, "x", spec), Source("x.yaml"))
    assert parsed is not None and problems == []
    return [f"{format_path(ref.path)} → {ref.kind}/{ref.name}" for ref in references(parsed.resource.spec)]


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("Dataset", {"type": "project"}, []),
        ("Model", {"type": "project"}, []),
        ("Config", {"type": "custom", "config": {"dataset": "x"}}, []),
        ("Prompt", {"dataset": "rows"}, ["spec.dataset → Dataset/rows"]),
        (
            "Adapter",
            {"model": "m", "fine_tuning_job": "j", "prompt": "p"},
            ["spec.model → Model/m", "spec.fine_tuning_job → FineTuningJob/j", "spec.prompt → Prompt/p"],
        ),
        (
            "FineTuningJob",
            {"base_model": "m", "lora_config": "c", "training_arguments_config": {"a": 1}, "user_config": "u"},
            ["spec.base_model → Model/m", "spec.lora_config → Config/c", "spec.user_config → Config/u"],
        ),
        (
            "EvaluationJob",
            {
                "model_adapter_combinations": [{"base_model": "m"}, {"base_model": "m", "adapter": "a"}],
                "dataset": "d",
                "gates": [{"metric": "latency", "adapter": "a"}],
            },
            [
                "spec.model_adapter_combinations[0].base_model → Model/m",
                "spec.model_adapter_combinations[1].base_model → Model/m",
                "spec.model_adapter_combinations[1].adapter → Adapter/a",
                "spec.dataset → Dataset/d",
            ],
        ),
        (
            "ModelExport",
            {"base_model": "m", "adapter": "a", "requires": ["e", "f"], "generation_config": {}},
            [
                "spec.base_model → Model/m",
                "spec.adapter → Adapter/a",
                "spec.requires[0] → EvaluationJob/e",
                "spec.requires[1] → EvaluationJob/f",
            ],
        ),
    ],
)
def test_the_references_of_a_resource_are_its_names_with_their_places(
    kind: str, spec: dict[str, Any], expected: list[str]
) -> None:
    assert found(kind, spec) == expected


def test_a_reference_inside_a_list_has_the_effect_of_the_list() -> None:
    parsed, _ = parse_manifest(
        manifest("EvaluationJob", "x", {"model_adapter_combinations": [{"base_model": "m"}]}), Source("x.yaml")
    )
    assert parsed is not None
    [reference] = references(parsed.resource.spec)
    assert reference.effect is Effect.OUTCOME
