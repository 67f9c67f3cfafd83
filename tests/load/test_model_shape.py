"""Dimensions from configs that anyone may have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.load import lora_targets, models
from studio.load.model_shape import NAMES, shape
from studio.load.safetensors_header import Tensor, tensors
from studio.memory import Run, estimate
from studio.resources.model import ModelFacts, ModelShape, ModelSpec
from tests.projects import ROOT, llama

CONFIG = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 300,
    "intermediate_size": 128,
}  # fmt: skip
TENSORS = {name: Tensor((64, 64), 8192) for name in llama(2)}
JUNK = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.integers(), max_size=2)
)
KEYS = [key for keys in NAMES.values() for key in keys] + ["num_key_value_heads", "head_dim", "model_type"]


def found(config: dict[str, Any], held: dict[str, Tensor] | None = None) -> ModelShape | None:
    return shape(config, TENSORS if held is None else held, "digest")


def test_the_quickstart_s_model_is_read_from_its_files() -> None:
    facts = models.observe(ModelSpec(type="project", location="models/tiny-llama"), ROOT / "examples" / "quickstart")
    assert isinstance(facts, ModelFacts) and facts.shape
    assert (facts.shape.layers, facts.shape.hidden, facts.shape.vocabulary) == (4, 256, 2048)
    assert facts.shape.parameters == 3_737_856 and facts.shape.stored == 2 * facts.shape.parameters
    assert facts.shape.modules and {"model.layers.3.mlp.up_proj", "model.layers", "lm_head"} <= facts.shape.modules


def test_other_architectures_call_the_same_dimensions_otherwise() -> None:
    gpt2 = found({"n_layer": 2, "n_embd": 64, "n_head": 4, "vocab_size": 300})
    assert gpt2 and (gpt2.layers, gpt2.hidden, gpt2.intermediate, gpt2.kv_heads) == (2, 64, 256, 4)


@pytest.mark.parametrize("key", ["num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"])
@pytest.mark.parametrize("value", [0, -1, 1 << 60, "64", 64.0, True, None, [64], {}])
def test_a_value_that_is_no_dimension_means_that_nothing_is_known(key: str, value: object) -> None:
    assert found({**CONFIG, key: value}) is None


def test_weights_that_are_quantised_already_are_not_judged() -> None:
    assert found({**CONFIG, "quantization_config": {"load_in_4bit": True}}) is None


@pytest.mark.parametrize("name", ["model.layers.0.mlp.experts.0.up_proj.weight", "vision.blocks.0.weight"])
def test_modules_that_are_renamed_when_they_are_loaded_are_not_known(name: str) -> None:
    odd = found(CONFIG, {**TENSORS, name: Tensor((8, 8), 128)})
    assert odd and odd.modules is None


@given(st.dictionaries(st.sampled_from(KEYS), JUNK | st.integers(1, 512)))
def test_no_config_is_too_strange(changes: dict[str, Any]) -> None:
    odd = found({**CONFIG, **changes})
    if odd is None:
        return
    added = lora_targets.adapted(odd, {"r": 8, "target_modules": ["q_proj"]})
    assert added and estimate(odd, added, Run(4, 128)).host.total > 0


LORA = st.fixed_dictionaries(
    {},
    optional={
        "r": JUNK,
        "target_modules": JUNK | st.sampled_from(["all-linear", ".*", "(", "(a+)+b"]) | st.lists(st.text(max_size=5)),
        "rank_pattern": JUNK | st.dictionaries(st.text(max_size=4), JUNK, max_size=3),
        "layers_to_transform": JUNK,
        "modules_to_save": JUNK | st.lists(st.sampled_from(["lm_head", "embed_tokens", ""])),
    },
)


@given(LORA)
def test_no_lora_configuration_is_too_strange(lora: dict[str, Any]) -> None:
    known = found(CONFIG)
    assert known
    added = lora_targets.adapted(known, lora)
    assert added is None or added.parameters >= 0


def test_with_thousands_of_patterns_for_ranks_the_size_of_an_adapter_is_unknown() -> None:
    known = found(CONFIG)
    few, many = ({f"q_proj{n}": 4 for n in range(count)} for count in (256, 257))
    assert known and lora_targets.adapted(known, {"target_modules": ["q_proj"], "rank_pattern": few})
    assert lora_targets.adapted(known, {"target_modules": ["q_proj"], "rank_pattern": many}) is None


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": ["1"], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 4, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [9, 4]},
    ],
)
def test_a_header_that_lies_about_its_tensors_is_damaged(tmp_path: Path, entry: dict[str, Any]) -> None:
    header = json.dumps({"w": entry}).encode()
    file = tmp_path / "w.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert tensors(file) == "has a damaged safetensors header"
