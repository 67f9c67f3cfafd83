"""Every field of every kind: it is the guide's, it says what a change of it means, and it explains itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from studio.core.findings import Source
from studio.load.manifests import parse_manifest
from studio.resources import KINDS
from studio.resources.base import Effect, Metadata, Resource, effects, marks
from studio.resources.evaluation_job import Gate, ModelAdapterCombination
from studio.resources.fine_tuning_job import Stopping
from tests.projects import manifest

GUIDE = {
    "Dataset": "type huggingface_name location features",
    "Model": "type framework huggingface_model_name location cml_registered_model_id",
    "Adapter": "type huggingface_name model location fine_tuning_job prompt cml_registered_model_id",
    "Prompt": "type dataset prompt_template input_template completion_template",
    "Config": "type config model_family",
    "FineTuningJob": (
        "framework_type adapter_name out_dir num_cpu num_gpu num_memory num_workers num_epochs learning_rate "
        "dataset_fraction train_test_split axolotl_config base_model dataset prompt training_arguments_config "
        "model_bnb_config adapter_bnb_config lora_config user_script user_config dist_cpu dist_gpu dist_mem "
        "gpu_label_id"
    ),
    "EvaluationJob": (
        "type model_adapter_combinations dataset prompt num_cpu num_gpu num_memory selected_features "
        "eval_dataset_fraction generation_config model_bnb_config adapter_bnb_config"
    ),
    "ModelExport": "type base_model adapter model_name model_description generation_config",
}
"""The fields that the guide names for each kind: tables, request messages and argument lists. A reference drops its
``_id``; ids, names and descriptions are metadata; MLflow ids and the job ids of CML are observed, not declared."""

OURS = {
    "Dataset": "revision subset",
    "Model": "revision",
    "Adapter": "revision",
    "Prompt": "generate messages chat system chat_template examples",
    "Config": "default",
    "FineTuningJob": "loss early_stopping matrix select",
    "EvaluationJob": "metrics gates judges slice_by tasks tasks_dir num_fewshot limit gpu_label_id",
    "ModelExport": ("task weights persist gguf requires num_cpu num_gpu num_memory replicas enable_authentication"),
}
"""What this project adds."""

ENUMERATIONS = {
    ("Dataset", "type"): "huggingface project project_csv project_json project_jsonl",
    ("Model", "type"): "huggingface project model_registry",
    ("Model", "framework"): "pytorch tensorflow onnx",
    ("Adapter", "type"): "project huggingface model_registry",
    ("Prompt", "type"): "in_place",
    ("Config", "type"): (
        "training_arguments bitsandbytes_config generation_config lora_config custom axolotl axolotl_dataset_formats"
    ),
    ("FineTuningJob", "framework_type"): "legacy axolotl",
    ("ModelExport", "type"): "model_registry cml_model",
    ("EvaluationJob", "type"): "mlflow",
}
"""Guide, Type Enums."""

DEFAULTS = {
    ("FineTuningJob", "dataset_fraction"): 1.0,
    ("FineTuningJob", "train_test_split"): 0.9,
    ("FineTuningJob", "framework_type"): "legacy",
    ("EvaluationJob", "eval_dataset_fraction"): 1.0,
}
"""Guide, Training Constants."""

REFERENCES = {
    ("Adapter", "model"): "Model",
    ("Adapter", "fine_tuning_job"): "FineTuningJob",
    ("Adapter", "prompt"): "Prompt",
    ("Prompt", "dataset"): "Dataset",
    ("FineTuningJob", "base_model"): "Model",
    ("FineTuningJob", "dataset"): "Dataset",
    ("FineTuningJob", "prompt"): "Prompt",
    ("FineTuningJob", "lora_config"): "Config",
    ("FineTuningJob", "training_arguments_config"): "Config",
    ("FineTuningJob", "model_bnb_config"): "Config",
    ("FineTuningJob", "adapter_bnb_config"): "Config",
    ("FineTuningJob", "axolotl_config"): "Config",
    ("FineTuningJob", "user_config"): "Config",
    ("EvaluationJob", "dataset"): "Dataset",
    ("EvaluationJob", "prompt"): "Prompt",
    ("EvaluationJob", "generation_config"): "Config",
    ("EvaluationJob", "model_bnb_config"): "Config",
    ("EvaluationJob", "adapter_bnb_config"): "Config",
    ("ModelExport", "base_model"): "Model",
    ("ModelExport", "adapter"): "Adapter",
    ("ModelExport", "generation_config"): "Config",
    ("ModelExport", "requires"): "EvaluationJob",
}


def spec_of(kind: str) -> type[BaseModel]:
    annotation = KINDS[kind].model.model_fields["spec"].annotation
    assert isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation


PARTS: dict[str, type[BaseModel]] = {
    **{kind: spec_of(kind) for kind in KINDS},
    "metadata": Metadata,
    "gate": Gate,
    "combination": ModelAdapterCombination,
    "stopping": Stopping,
}
FIELDS = [(part, name) for part, model in PARTS.items() for name in model.model_fields]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kinds_fields_are_those_of_the_guide_and_of_the_design(kind: str) -> None:
    assert set(spec_of(kind).model_fields) == {*GUIDE[kind].split(), *OURS[kind].split()}


@pytest.mark.parametrize(("part", "name"), FIELDS)
def test_a_field_has_a_description_that_is_a_sentence(part: str, name: str) -> None:
    description = PARTS[part].model_fields[name].description or ""
    assert description[:1].isupper() and description.endswith(".")


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, name in FIELDS if part != "metadata"])
def test_a_field_declares_what_a_change_of_it_means(part: str, name: str) -> None:
    extra = PARTS[part].model_fields[name].json_schema_extra
    assert isinstance(extra, dict) and Effect(str(extra["x-effect"])) is effects(PARTS[part])[name]


def test_nothing_in_metadata_ever_makes_a_job_run_again() -> None:
    assert set(effects(Metadata).values()) == {Effect.DESCRIPTIVE}


PLACEMENT = {
    "num_cpu", "num_gpu", "num_memory", "dist_cpu", "dist_gpu", "dist_mem", "gpu_label_id", "replicas",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_job_runs_on_is_placement_and_nothing_else_is(kind: str) -> None:
    found = {name for name, effect in effects(spec_of(kind)).items() if effect is Effect.PLACEMENT}
    assert found == PLACEMENT & set(spec_of(kind).model_fields)


@pytest.mark.parametrize(("kind", "name"), ENUMERATIONS)
def test_an_enumeration_is_the_guides(kind: str, name: str) -> None:
    extra = spec_of(kind).model_fields[name].json_schema_extra
    assert isinstance(extra, dict) and extra["enum"] == ENUMERATIONS[kind, name].split()


@pytest.mark.parametrize(("kind", "name"), DEFAULTS)
def test_a_default_is_the_guides(kind: str, name: str) -> None:
    assert spec_of(kind).model_fields[name].default == DEFAULTS[kind, name]


@pytest.mark.parametrize("kind", KINDS)
def test_the_references_of_a_kind_are_the_guides_foreign_keys(kind: str) -> None:
    found = {(kind, mark.name): mark.references for mark in marks(spec_of(kind)) if mark.references}
    assert found == {key: target for key, target in REFERENCES.items() if key[0] == kind}


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_names_a_kind_that_there_is(kind: str) -> None:
    assert {mark.references for mark in marks(spec_of(kind)) if mark.references} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_kind_table_class_and_declaration_have_one_name(kind: str) -> None:
    model = KINDS[kind].model
    assert model.__name__ == kind and model.model_fields["kind"].default == kind
    assert model.is_job == (KINDS[kind].compile is not None) == (KINDS[kind].resources is not None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_resource_cannot_be_changed(kind: str) -> None:
    found, _ = parse_manifest(manifest(kind, "a"), Source("a.yaml"))
    assert found is not None and isinstance(found.resource, Resource)
    target: Any = found.resource
    with pytest.raises(ValueError, match="frozen"):
        target.metadata.name = "b"
