"""Values and types: what fits, what does not, where, and what to write instead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.libraries import TABLES
from studio.libraries.conflicts import CONTRADICTIONS, IDLE, found
from studio.libraries.decided import IGNORED, REFUSED, applying
from studio.libraries.fitting import Fault, misfits
from studio.libraries.removed import FAMILIAR, REMOVED, SUCCESSORS
from studio.libraries.tables import Table, table
from studio.libraries.words import expected, instead, written
from tests.libraries.values import ANYTHING, mappings


def known(type: str) -> Table:
    held = table(type)
    assert held
    return held


def fault(type: str, key: str, value: Any) -> Fault | None:
    """What is wrong with one setting, None when nothing is."""
    held = known(type)
    return next((each.fault for each in misfits({key: value}, held.root, held.lenient)), None)


@pytest.mark.parametrize(
    ("type", "key", "values"),
    [
        ("training_arguments", "learning_rate", [2e-4, 1]),
        ("training_arguments", "lr_scheduler_type", ["cosine", "constant_with_warmup"]),
        ("training_arguments", "lr_scheduler_kwargs", [{"num_cycles": 2}, '{"num_cycles": 2}', None]),
        ("training_arguments", "report_to", ["none", "mlflow", ["mlflow"], None]),
        ("training_arguments", "eval_strategy", ["no", "steps", "epoch"]),
        ("training_arguments", "warmup_steps", [0.03, 100, 0]),
        ("training_arguments", "fsdp", ["full_shard auto_wrap", True, ["full_shard"], None]),
        ("training_arguments", "optim", ["adamw_torch", "paged_adamw_32bit"]),
        ("training_arguments", "pad_to_multiple_of", [8, "8", "auto", None]),
        ("lora_config", "target_modules", ["all-linear", ["q_proj"], None]),
        ("lora_config", "init_lora_weights", [True, "pissa", "pissa_niter_16"]),
        ("lora_config", "lora_alpha", [16, 0.5]),
        ("bitsandbytes_config", "bnb_4bit_compute_dtype", ["bfloat16", "float16", None]),
        ("generation_config", "eos_token_id", [2, [2, 3], None]),
        ("generation_config", "temperature", [0.7, 1, 0, None]),
        ("axolotl", "learning_rate", [2e-4, "2e-4"]),
        ("axolotl", "bf16", ["auto", True, False]),
        ("axolotl", "gradient_checkpointing", ["offload", "true", True]),
        ("axolotl", "attn_implementation", ["sdpa", "kernels-community/flash-attn3"]),
        ("axolotl", "micro_batch_size", [2, "2", 2.0]),
    ],
)
def test_what_the_library_takes_fits(type: str, key: str, values: list[Any]) -> None:
    assert [fault(type, key, value) for value in values] == [None] * len(values)


WRONG = [
    ("training_arguments", "learning_rate", "2e-4", Fault.WRONG_TYPE, "write 0.0002 without quotes"),
    ("training_arguments", "learning_rate", float("inf"), Fault.NOT_TAKEN, "default is 2e-05"),
    ("training_arguments", "per_device_train_batch_size", 8.0, Fault.WRONG_TYPE, "write 8"),
    ("training_arguments", "logging_steps", True, Fault.WRONG_TYPE, "default is 10"),
    ("training_arguments", "max_steps", None, Fault.WRONG_TYPE, "remove the key"),
    ("training_arguments", "eval_strategy", False, Fault.WRONG_TYPE, "write 'no'"),
    ("training_arguments", "eval_strategy", "epochs", Fault.NOT_TAKEN, "did you mean 'epoch'?"),
    ("training_arguments", "optim", "adamw", Fault.NOT_TAKEN, "did you mean 'adamw_torch'?"),
    ("training_arguments", "gradient_checkpointing", "true", Fault.WRONG_TYPE, "write true without quotes"),
    ("training_arguments", "packing", "on", Fault.WRONG_TYPE, "write true"),
    ("training_arguments", "lr_scheduler_kwargs", "{num_cycles: 2}", Fault.NOT_TAKEN, "a mapping"),
    ("training_arguments", "warmup_steps", -1, Fault.NOT_TAKEN, "default is 0"),
    ("lora_config", "bias", "None", Fault.NOT_TAKEN, "write none"),
    ("lora_config", "r", 0, Fault.NOT_TAKEN, "default is 8"),
    ("lora_config", "modules_to_save", "lm_head", Fault.WRONG_TYPE, 'write ["lm_head"]'),
    ("lora_config", "lora_dropout", 5, Fault.NOT_TAKEN, "default is 0.0"),
    ("lora_config", "task_type", "causal_lm", Fault.NOT_TAKEN, "did you mean 'CAUSAL_LM'?"),
    ("bitsandbytes_config", "llm_int8_threshold", 6, Fault.WRONG_TYPE, "write 6.0"),
    ("bitsandbytes_config", "bnb_4bit_quant_type", "nf5", Fault.NOT_TAKEN, "did you mean 'nf4'?"),
    ("bitsandbytes_config", "bnb_4bit_compute_dtype", "torch.bfloat16", Fault.NOT_TAKEN, "write 'bfloat16'"),
    ("generation_config", "temperature", 2, Fault.NOT_TAKEN, "write 2.0"),
    ("generation_config", "max_new_tokens", 0, Fault.NOT_TAKEN, "write"),
    ("axolotl", "optimizer", "adamw_bnb_8bits", Fault.NOT_TAKEN, "did you mean 'adamw_bnb_8bit'?"),
    ("axolotl", "micro_batch_size", "two", Fault.WRONG_TYPE, "default is 1"),
]


@pytest.mark.parametrize(("type", "key", "value", "expected_fault", "hint"), WRONG)
def test_what_it_does_not_take_is_found_with_a_hint_that_helps(
    type: str, key: str, value: Any, expected_fault: Fault, hint: str
) -> None:
    held = known(type)
    (misfit,) = misfits({key: value}, held.root, held.lenient)
    assert (misfit.fault, misfit.path) == (expected_fault, (key,))
    assert hint in instead(value, misfit.type, held.root.keys[key].default)


@pytest.mark.parametrize("word", ["yes", "on", "no", "Off", "y"])
def test_a_word_that_needs_no_quotes_is_not_said_to_have_them(word: str) -> None:
    (misfit,) = misfits({"packing": word}, known("training_arguments").root)
    assert instead(word, misfit.type, False) in ("write true", "write false")


@pytest.mark.parametrize("number", [2**32, 10**22])
def test_a_whole_number_beyond_every_seed_is_refused_with_its_limit(number: int) -> None:
    (misfit,) = misfits({"pad_to_multiple_of": number}, known("training_arguments").root)
    assert misfit.fault is Fault.NOT_TAKEN
    assert "4,294,967,295" in expected(misfit.type)


def test_a_fault_within_a_list_of_mappings_is_found_where_it_is() -> None:
    held = known("axolotl")
    content = {"datasets": [{"path": "x", "type": "alpaca"}, {"path": "x", "tpye": "alpaca", "shards": "many"}]}
    faults = {each.path: each.fault for each in misfits(content, held.root, held.lenient)}
    assert faults == {("datasets", 1, "tpye"): Fault.UNKNOWN_KEY, ("datasets", 1, "shards"): Fault.WRONG_TYPE}


@pytest.mark.parametrize("type", TABLES)
@given(data=st.data())
def test_nothing_that_a_manifest_may_hold_makes_a_check_fail(type: str, data: st.DataObject) -> None:
    held = known(type)
    names = st.sampled_from(sorted(held.root.keys)) | st.text(max_size=3) | st.integers(-1, 1)
    values: dict[Any, Any] = data.draw(st.dictionaries(names, ANYTHING, max_size=6))
    for misfit in misfits(values, held.root, held.lenient):
        assert expected(misfit.type) and written(misfit.value)
        assert instead(misfit.value, misfit.type, None)
    for conflict in (*found(CONTRADICTIONS, type, values), *found(IDLE, type, values)):
        assert conflict.message and conflict.hint
    for key, why in (applying(IGNORED, type, values) | applying(REFUSED, type, values)).items():
        assert key in values and why


@pytest.mark.parametrize("type", TABLES)
@given(data=st.data())
def test_the_hint_of_a_wrong_value_is_a_value_that_fits_or_says_what_would(type: str, data: st.DataObject) -> None:
    held = known(type)
    for misfit in misfits(data.draw(mappings(held.root, frozenset())), held.root, held.lenient):
        if misfit.fault is not Fault.UNKNOWN_KEY:
            hint = instead(misfit.value, misfit.type, None)
            assert hint.startswith(("write ", "did you mean ", "remove the key", "known: "))


@pytest.mark.parametrize("type", TABLES)
def test_every_key_that_a_table_of_words_names_is_one_that_the_library_has_or_had(type: str) -> None:
    root = known(type).root
    for key in (*IGNORED.get(type, ()), *REFUSED.get(type, ()), *SUCCESSORS.get(type, ())):
        assert key in root.keys
    for old, fate in REMOVED.get(type, {}).items():
        assert type == "axolotl" or old not in root.keys
        line = fate.hint(1).removeprefix("write ")
        assert line.startswith("remove it") or line.partition(":")[0] in root.keys, line
    for old, new in FAMILIAR[type].items():
        assert old not in root.keys and new.partition(":")[0] in root.keys
