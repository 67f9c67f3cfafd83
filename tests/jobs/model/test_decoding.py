"""Rows that leave a batch early have the answers that they would have if it waited for all."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from studio.jobs.model import decoding

VOCABULARY, PAD, WINDOW = 40, 0, 6
SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.5,
}
SLIDING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
FAMILIES: dict[str, dict[str, Any]] = {
    "Llama": SHAPE,
    "Mistral": {**SHAPE, "sliding_window": WINDOW},
    "Qwen2": {**SHAPE, "use_sliding_window": True, **SLIDING},
    "Gemma3Text": {**SHAPE, "head_dim": 4, **SLIDING},
    "Phi": SHAPE,
    "GPT2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "initializer_range": 0.5},
    "OPT": {
        "hidden_size": 16, "ffn_dim": 20, "num_hidden_layers": 2, "num_attention_heads": 2, "word_embed_proj_dim": 16,
        "max_position_embeddings": 64, "init_std": 0.5,
    },
    "Bloom": {"hidden_size": 16, "n_layer": 2, "n_head": 2, "initializer_range": 0.5},
    "Mamba": {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4, "initializer_range": 0.5},
}  # fmt: skip
PLAIN: dict[str, Any] = {"do_sample": False, "max_new_tokens": 40, "pad_token_id": PAD}
WITHOUT: list[dict[str, Any]] = [
    {"do_sample": True}, {"num_beams": 2}, {"use_cache": False}, {"cache_implementation": "static"},
    {"guidance_scale": 2.0}, {"return_dict_in_generate": True}, {"prefill_chunk_size": 4},
    {"prompt_lookup_num_tokens": 2}, {"encoder_repetition_penalty": 1.5}, {"encoder_no_repeat_ngram_size": 2},
    {"stop_strings": ["."]}, {"token_healing": True},
]  # fmt: skip


@cache
def model(family: str) -> Any:
    """Of random weights, in float64: another size of the batch must not change which of two tokens is likelier."""
    torch.manual_seed(0)
    name = {"Gemma3Text": "Gemma3ForCausalLM"}.get(
        family, f"{family}{'LMHeadModel' if family == 'GPT2' else 'ForCausalLM'}"
    )
    config = getattr(transformers, f"{family}Config")(
        **FAMILIES[family], vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=2, pad_token_id=PAD
    )
    return getattr(transformers, name)(config).double().eval()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(FAMILIES)),
    st.lists(st.integers(1, 20), min_size=1, max_size=12),
    st.sets(st.integers(2, VOCABULARY - 1), min_size=1, max_size=12),
    st.sampled_from([{}, {"repetition_penalty": 1.5}, {"min_new_tokens": 5}, {"no_repeat_ngram_size": 2}]),
    st.integers(0, 1000),
)
def test_answers_are_those_of_a_batch_that_waits(
    family: str, lengths: list[int], ends: set[int], more: dict[str, Any], seed: int
) -> None:
    drawn, width = random.Random(seed), max(lengths)
    ids = torch.full((len(lengths), width), PAD)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, width - length :] = torch.tensor(drawn.choices(range(2, VOCABULARY), k=length))
        mask[row, width - length :] = 1
    config = GenerationConfig(**PLAIN | more, eos_token_id=sorted(ends))
    asked = {"input_ids": ids, "attention_mask": mask, "generation_config": config}
    assert decoding.fits(model(family), config)
    assert (
        model(family).generate(**asked, custom_generate=decoding.greedy).tolist()
        == model(family).generate(**asked).tolist()
    )


def test_rows_leave_when_they_are_ended() -> None:
    asked, sizes = torch.randint(2, VOCABULARY, (16, 5)), []
    config = GenerationConfig(**PLAIN, eos_token_id=list(range(2, 12)))
    llama = model("Llama")
    hook = llama.register_forward_pre_hook(lambda *call: sizes.append(len(call[2]["input_ids"])), with_kwargs=True)
    llama.generate(
        asked, attention_mask=torch.ones_like(asked), generation_config=config, custom_generate=decoding.greedy
    )
    hook.remove()
    assert sizes[0] == 16 and sizes[-1] < 16 and sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("more", WITHOUT, ids=lambda more: next(iter(more)))
def test_settings_that_look_beyond_a_rows_own_tokens_do_without_it(more: dict[str, Any]) -> None:
    assert not decoding.fits(model("Llama"), GenerationConfig(**PLAIN | more, eos_token_id=2))


def test_a_model_that_generates_in_its_own_way_does_without_it() -> None:
    class Own(transformers.LlamaForCausalLM):
        def generate(self, *args: Any, **kwargs: Any) -> Any:
            return super().generate(*args, **kwargs)

    assert not decoding.fits(Own(model("Llama").config), GenerationConfig(**PLAIN, eos_token_id=2))
