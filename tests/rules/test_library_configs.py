"""Library configs through the front door: shipped manifests, text forms, many of them."""

from __future__ import annotations

import pytest

from studio.core.findings import Severity
from studio.libraries import TABLES
from studio.libraries.conflicts import CONTRADICTIONS, IDLE, found
from studio.libraries.decided import REFUSED, applying
from studio.load.project import shipped_defaults
from studio.rules.configurations import Configuration, collect
from tests.rules.conftest import Check

SHIPPED = collect(shipped_defaults().values())


@pytest.mark.parametrize("each", SHIPPED, ids=lambda each: each.ref.name)
def test_a_shipped_config_is_clean(each: Configuration) -> None:
    assert not each.misfits
    for finders in (CONTRADICTIONS, IDLE):
        assert not list(found(finders, each.type, each.values))
    assert not applying(REFUSED, each.type, each.values)


def test_a_config_of_every_library_is_shipped() -> None:
    assert {each.type for each in SHIPPED} == set(TABLES)


@pytest.mark.parametrize(
    ("type", "text", "message"),
    [
        ("lora_config", '|\n    {\n      "r": 8,\n      "lora_alfa": 16\n    }', "(line 3, column 3 of the text)"),
        ("axolotl", "|\n    lora_r: 8\n    adapter: lora\n    sequence_len: short", "(line 3, column 15 of the text)"),
        ("axolotl", "|\n    datasets:\n      - type: sharegpt", "(line 2, column 11 of the text)"),
    ],
)  # fmt: skip
def test_a_fault_in_a_text_is_found_by_line_and_column_of_the_text(
    type: str, text: str, message: str, checked: Check
) -> None:
    head = f"apiVersion: studio/v1\nkind: Config\nmetadata: {{name: written}}\nspec:\n  type: {type}\n  config: "
    (finding,) = checked(head + text).findings
    assert message in finding.message
    assert finding.position and finding.position.line == 6
    assert finding.severity is Severity.ERROR


def test_the_hint_of_a_removed_key_is_the_line_to_write(checked: Check) -> None:
    keys = {
        "warmup_ratio": ("0.03", "write warmup_steps: 0.03"),
        "evaluation_strategy": ("epoch", "write eval_strategy: epoch"),
        "max_seq_length": ("512", "write max_length: 512"),
        "no_cuda": ("true", "write use_cpu: true"),
        "group_by_length": ("true", "write train_sampling_strategy: group_by_length"),
        "adafactor": ("false", "remove it: it is off"),
        "fp16_backend": ("auto", "remove it: fp16: true or bf16: true is all it takes"),
        "split_batches": ("true", "write accelerator_config: {split_batches: true}"),
        "tokenizer": ("gpt2", "remove it: the job loads the base model and its tokenizer"),
    }
    lines = "".join(f"    {key}: {value}\n" for key, (value, _) in keys.items())
    outcome = checked(f"kind: FineTuningJob\nspec:\n  training_arguments_config:\n{lines}")
    hints = {finding.path[-1]: finding.hint for finding in outcome.findings if finding.rule == "CF-008"}
    assert hints == {key: hint for key, (_, hint) in keys.items()}
