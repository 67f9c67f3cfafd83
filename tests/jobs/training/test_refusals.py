"""Settings that a library refuses only when it sees them together."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig
from transformers import get_scheduler

from studio.core.errors import JobError
from studio.core.jobspec import TrainingWork
from studio.jobs.training import refusals

from ..workbench import MakeSpec, perform, training

ARGUMENTS = {"per_device_train_batch_size": 4, "use_cpu": True}
SCHEDULER = {"lr_scheduler_type": "cosine_with_min_lr"}


def work(**arguments: Any) -> TrainingWork:
    return TrainingWork.model_validate(training(training_arguments=arguments))


def optimizer(**changes: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW([torch.zeros(1, requires_grad=True)], **changes)


def test_a_librarys_sentence_is_said_with_the_keys_that_it_names() -> None:
    with (
        pytest.raises(JobError, match="transformers refuses these settings: One of min_lr or min_lr_rate") as caught,
        refusals.told(work(**SCHEDULER)),
    ):
        get_scheduler("cosine_with_min_lr", optimizer(), num_warmup_steps=0, num_training_steps=9)
    assert (
        caught.value.hint == "correct lr_scheduler_kwargs of spec.training_arguments_config; the log has the traceback"
    )


def test_without_a_key_in_the_sentence_what_was_said_is_named() -> None:
    with (
        pytest.raises(
            JobError, match=r"torch.optim ended the training with ValueError: Invalid beta parameter"
        ) as caught,
        refusals.told(work(adam_beta1=1.5)),
    ):
        optimizer(betas=(1.5, 0.9))
    assert caught.value.hint.endswith("compare spec.training_arguments_config and spec.lora_config")
    with pytest.raises(JobError, match="peft refuses these settings") as caught, refusals.told(work()):
        LoraConfig(layers_pattern="layers")
    assert "correct layers_pattern, layers_to_transform of spec.lora_config" in caught.value.hint


@pytest.mark.parametrize("code", ["int('x')", "raise ValueError('mine')", "import no_such", "len(5)"])
def test_what_no_library_refused_is_not_put_down_to_settings(code: str) -> None:
    with pytest.raises((ValueError, ImportError, TypeError)), refusals.told(work()):
        exec(code, {"__name__": "studio.jobs.training.sft"})


@pytest.mark.slow
def test_a_training_whose_settings_do_not_go_together_is_no_bug_of_studio(make_spec: MakeSpec) -> None:
    result = perform(make_spec(training(training_arguments={**ARGUMENTS, **SCHEDULER})))
    assert result.failure and not result.failure.bug
    assert "transformers refuses these settings: One of min_lr" in result.failure.message
    assert result.failure.hint.startswith("correct lr_scheduler_kwargs of spec.training_arguments_config")
