"""What the rules think PEFT adapts is what PEFT adapts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.load import lora_targets
from studio.load.model_shape import shape
from studio.load.safetensors_header import tensors
from studio.resources.model import ModelShape

from ..workbench import build_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("targets"), tie_word_embeddings=True)


@pytest.fixture(scope="module")
def known(folder: Path) -> ModelShape:
    held = tensors(folder / "model.safetensors")
    assert not isinstance(held, str)
    found = shape(json.loads((folder / "config.json").read_text()), held, "digest")
    assert found
    return found


@pytest.mark.parametrize(
    "lora",
    [
        {"target_modules": ["q_proj", "v_proj"]},
        {"target_modules": ["self_attn.q_proj", "model.layers.1.mlp.up_proj"]},
        {"target_modules": "all-linear", "r": 4},
        {"target_modules": r".*\.(k|o)_proj"},
        {"target_modules": r"model\.layers\.0\..*_proj"},
        {"target_modules": ["q_proj", "k_proj"], "layers_to_transform": [1]},
        {"target_modules": ["q_proj", "down_proj"], "layers_to_transform": 0},
        {"target_modules": ["q_proj", "v_proj"], "rank_pattern": {"q_proj": 32, "layers.1.self_attn.v_proj": 2}},
        {"target_modules": ["q_proj"], "modules_to_save": ["up_proj"]},
        {"target_modules": ["lm_head"]},
        {},
    ],
    ids=str,
)
def test_as_many_parameters_are_trained_as_were_counted(lora: dict[str, Any], folder: Path, known: ModelShape) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), LoraConfig(task_type="CAUSAL_LM", **lora))
    counted = lora_targets.adapted(known, lora)
    assert counted and counted.parameters == model.get_nb_trainable_parameters()[0]


def test_the_modules_of_the_files_are_those_of_the_model(folder: Path, known: ModelShape) -> None:
    from transformers import AutoModelForCausalLM

    loaded = {name for name, _ in AutoModelForCausalLM.from_pretrained(folder).named_modules() if name}
    assert known.modules and known.modules <= loaded
    assert {name.rpartition(".")[2] for name in loaded - known.modules} <= {"act_fn", "rotary_emb"}


def test_defaults_are_those_of_peft() -> None:
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as MAPPING

    assert {type: tuple(MAPPING[type]) for type in lora_targets.DEFAULTS} == lora_targets.DEFAULTS
