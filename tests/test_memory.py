"""The memory estimate as arithmetic: it grows with what costs memory, and nothing makes it break.

That it meets what trainings really use is shown by ``benchmarks/memory.py``.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.load.lora_targets import adapted
from studio.load.model_shape import shape
from studio.load.safetensors_header import Tensor
from studio.memory import FLOAT, HALF, MIB, Adapted, Estimate, Parts, Run, estimate, weights
from studio.resources.model import ModelShape
from tests.projects import llama

HIDDEN, INTERMEDIATE, LAYERS, VOCABULARY = 256, 704, 4, 2048
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def tensor(name: str) -> Tensor:
    sides = {"embed_tokens": (VOCABULARY, HIDDEN), "down_proj": (HIDDEN, INTERMEDIATE)}
    sides |= dict.fromkeys(("gate_proj", "up_proj"), (INTERMEDIATE, HIDDEN))
    rows, columns = sides.get(name.split(".")[-2], (HIDDEN, HIDDEN))
    return Tensor((rows, columns), rows * columns * HALF)


def quickstart() -> ModelShape:
    """The quickstart's model, without its norms."""
    config = {"model_type": "llama", "num_hidden_layers": LAYERS, "hidden_size": HIDDEN, "num_attention_heads": 4}
    config |= {"intermediate_size": INTERMEDIATE, "vocab_size": VOCABULARY}
    found = shape(config, {name: tensor(name) for name in llama(LAYERS)}, "quickstart")
    assert found
    return found


SHAPE = quickstart()


def adapter(rank: int = 16, **lora: object) -> Adapted:
    found = adapted(SHAPE, {"r": rank, "target_modules": LINEAR, **lora})
    assert found
    return found


RUNS = st.builds(
    Run,
    batch=st.integers(1, 512),
    tokens=st.integers(1, 8192),
    rows=st.integers(0, 10**6),
    dropout=st.booleans(),
    checkpointing=st.booleans(),
    optimizer=st.sampled_from(["adamw_torch", "paged_adamw_8bit", "adafactor", "sgd", "unheard-of", ""]),
    bits=st.sampled_from([0, 4, 8]),
    double_quantised=st.booleans(),
    gpus=st.integers(0, 8),
    workers=st.integers(1, 4),
)


def every(found: Estimate) -> list[Parts]:
    return [found.host, *([found.gpu] if found.gpu else [])]


def total(run: Run, lora: Adapted | None = None) -> int:
    return sum(parts.total for parts in every(estimate(SHAPE, lora or adapter(), run)))


@given(RUNS)
def test_no_part_is_negative_and_the_total_is_their_sum(run: Run) -> None:
    for parts in every(estimate(SHAPE, adapter(), run)):
        values = [getattr(parts, part.name) for part in fields(parts)]
        assert all(isinstance(value, int) and value >= 0 for value in values)
        assert parts.total == sum(values) >= parts.needed > 0


@given(RUNS)
def test_larger_batches_longer_rows_and_higher_ranks_need_no_less(run: Run) -> None:
    assert total(replace(run, batch=run.batch + 1)) >= total(run) * 0.999
    assert total(replace(run, tokens=run.tokens + 1)) >= total(run) * 0.999
    assert total(run, adapter(32)) >= total(run)


@given(RUNS.filter(lambda run: not run.gpus))
def test_what_is_needed_grows_with_every_token(run: Run) -> None:
    """But for the holes of malloc, which large blocks do not leave."""

    def live(run: Run) -> int:
        host = estimate(SHAPE, adapter(), run).host
        return host.needed - host.allocator

    assert live(replace(run, batch=run.batch + 1)) > live(run)
    assert live(replace(run, tokens=run.tokens + 1)) > live(run)
    assert live(replace(run, dropout=True)) >= live(replace(run, dropout=False))


@given(RUNS)
def test_quantised_weights_are_smaller(run: Run) -> None:
    for width in (HALF, FLOAT):
        whole, int8, nf4, double = (
            weights(SHAPE, width, replace(run, bits=bits, double_quantised=twice))
            for bits, twice in ((0, False), (8, False), (4, False), (4, True))
        )
        assert whole > int8 > nf4 > double


def test_nf4_takes_as_many_bits_a_number_as_its_paper_says() -> None:
    """QLoRA, section 3: 0.5 bits of constants a number, 0.127 with double quantisation."""
    packed = sum(each.rows * each.columns for each in SHAPE.matrices if "embed" not in each.name)
    rest = (SHAPE.parameters - packed) * FLOAT
    bits = [(weights(SHAPE, FLOAT, Run(1, 1, bits=4, double_quantised=d)) - rest) * 8 / packed for d in (False, True)]
    assert bits == pytest.approx([4.5, 4.127], abs=0.001)


def test_activations_are_what_autograd_was_seen_to_keep() -> None:
    """Counted by saved_tensors_hooks on this very shape: bytes a token and layer."""
    counted = {(16, False): 20184, (16, True): 33240}
    for (rank, dropout), per_token in counted.items():
        found = estimate(SHAPE, adapter(rank), Run(1, 1, dropout=dropout)).host.activations
        assert found / LAYERS == pytest.approx(per_token, rel=0.02)
    few = adapter(target_modules=["q_proj", "v_proj"])
    assert estimate(SHAPE, few, Run(1, 1)).host.activations / LAYERS == pytest.approx(16024, rel=0.02)
    on_gpu = estimate(SHAPE, adapter(), Run(1, 1, gpus=1)).gpu
    copies = 768  # of the adapter's own matrices and of the mask, once for all 256 tokens of the count
    assert on_gpu and on_gpu.activations / LAYERS == pytest.approx(13792 - copies, rel=0.01)


@pytest.mark.parametrize(("optimizer", "bytes_each"), [("adamw_torch", 8), ("paged_adamw_8bit", 2), ("sgd", 0)])
def test_optimizers_keep_what_their_papers_say(optimizer: str, bytes_each: int) -> None:
    lora = adapter()
    assert estimate(SHAPE, lora, Run(1, 1, optimizer=optimizer)).host.optimizer == bytes_each * lora.parameters


def test_checkpointing_saves_most_of_the_activations() -> None:
    plain, saved = (estimate(SHAPE, adapter(), Run(8, 256, checkpointing=on)).host for on in (False, True))
    assert saved.activations < plain.activations / 2


def test_a_gpu_takes_weights_and_activations_off_the_host() -> None:
    found = estimate(SHAPE, adapter(), Run(8, 256, gpus=1))
    assert found.gpu and found.gpu.weights == SHAPE.parameters * HALF
    assert found.host.weights == found.host.activations == 0


def test_the_quickstart_s_training_needs_about_a_gigabyte() -> None:
    assert 750 * MIB < total(Run(16, 64, rows=2000)) < 1100 * MIB
