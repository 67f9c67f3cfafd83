"""What the rules call clean, the real class takes; what the real class refuses to know, the rules find."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from studio.core.errors import JobError
from studio.core.jobspec import TrainingWork
from studio.jobs.model import generation, lora, quantization
from studio.libraries.conflicts import CONTRADICTIONS, found
from studio.libraries.decided import REFUSED, applying
from studio.libraries.fitting import Fault, misfits
from studio.libraries.removed import REMOVED
from studio.libraries.tables import Table, table
from tests.libraries.values import mappings

DISTRIBUTED = frozenset({"deepspeed", "fsdp", "fsdp_config", "accelerator_config", "ddp_backend"})
"""Settings that may name files, or want packages and hardware that are not here."""
HARDWARE = frozenset({"bf16", "fp16", "bf16_full_eval", "fp16_full_eval", "tf32", "full_determinism", "torch_compile"})
COMPILED = frozenset({"torch_compile_backend", "torch_compile_mode", "use_liger_kernel", "report_to", "use_cpu"})


def known(type: str) -> Table:
    held = table(type)
    assert held
    return held


def clean(type: str, values: dict[str, Any]) -> bool:
    """Whether no rule that reports errors has anything to say."""
    root = known(type).root
    removed = set(values) & set(REMOVED.get(type, ()))
    return not (
        removed
        or any(misfits(values, root))
        or any(found(CONTRADICTIONS, type, values))
        or applying(REFUSED, type, values)
    )


def quietly(make: Callable[[], Any]) -> Any:
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return make()


def sft_config(values: dict[str, Any], folder: Path) -> Any:
    """As a job on a CPU makes it: its defaults first."""
    import torch

    from studio.jobs.model.devices import Device
    from studio.jobs.training import training_arguments
    from tests.jobs.workbench import training

    work = TrainingWork.model_validate(training(training_arguments=values))
    return quietly(lambda: training_arguments.build(work, folder, Device("cpu", torch.float32, 1), True))


@pytest.mark.slow
@settings(max_examples=150)
@given(st.data())
def test_training_arguments_that_are_clean_make_an_sft_config(tmp_path: Path, data: st.DataObject) -> None:
    values = data.draw(mappings(known("training_arguments").root, DISTRIBUTED | HARDWARE | COMPILED))
    assume(clean("training_arguments", values))
    assert sft_config(values, tmp_path).config.use_cpu


@pytest.mark.slow
@settings(max_examples=300)
@given(mappings(known("lora_config").root, frozenset()))
def test_lora_settings_that_are_clean_make_a_lora_config(values: dict[str, Any]) -> None:
    assume(clean("lora_config", values) and values.get("init_lora_weights") != "loftq")  # which needs scipy
    assert quietly(lambda: lora.config(values)).peft_type == "LORA"


@pytest.mark.slow
@settings(max_examples=300)
@given(mappings(known("generation_config").root, frozenset()))
def test_generation_settings_that_are_clean_make_a_generation_config(values: dict[str, Any]) -> None:
    assume(clean("generation_config", values))
    quietly(lambda: generation.check(values))
    assert set(values) <= generation.KNOWN


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much])
@given(mappings(known("bitsandbytes_config").root, frozenset()))
def test_quantisation_that_is_clean_makes_a_bitsandbytes_config(values: dict[str, Any]) -> None:
    from transformers import BitsAndBytesConfig

    assume(clean("bitsandbytes_config", values))
    wanted = {key: value for key, value in values.items() if key != "quant_method"}
    made = BitsAndBytesConfig(**wanted)
    assert made.is_quantizable() and made.quantization_method()
    assert set(wanted) <= quantization.KNOWN


@given(st.text("abcdefgilmnoprstu_", min_size=1, max_size=14))
def test_a_key_that_the_real_class_raises_a_type_error_for_is_found(key: str) -> None:
    from peft import LoraConfig
    from trl import SFTConfig

    for type, cls in (("lora_config", LoraConfig), ("training_arguments", SFTConfig)):
        if key not in known(type).root.keys:
            with pytest.raises(TypeError, match=key):
                cls(**{key: 1})
            faults = {each.fault for each in misfits({key: 1}, known(type).root)}
            assert faults == {Fault.UNKNOWN_KEY}


def test_a_job_refuses_every_removed_training_argument(tmp_path: Path) -> None:
    for key in set(REMOVED["training_arguments"]) - {"parallelism_config"}:  # which only Python can fill
        with pytest.raises(JobError, match=key):
            sft_config({key: 1}, tmp_path)
        assert key not in known("training_arguments").root.keys
