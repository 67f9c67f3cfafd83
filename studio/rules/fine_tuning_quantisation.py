"""FT: how the base model of a fine-tuning job is quantised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studio.load import configs
from studio.resources.base import ConfigValue
from studio.resources.fine_tuning_job import FineTuningJob
from studio.rules.base import Breach, View, rule


@rule("FT-056", FineTuningJob)
def two_quantisations(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The base model is to be quantised in two ways.

    A job loads one base model and trains one adapter on it, in full precision. ``adapter_bnb_config`` quantises the
    base model where ``model_bnb_config`` does not; both may say the same.

    Bad:
        kind: FineTuningJob
        spec:
          num_gpu: 1
          model_bnb_config: {load_in_4bit: true}
          adapter_bnb_config: {load_in_8bit: true}  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_gpu: 1
          model_bnb_config: {load_in_4bit: true}
    """
    first, second = (_content(view, value) for value in (job.spec.model_bnb_config, job.spec.adapter_bnb_config))
    if first and second and first != second:
        message = "adapter_bnb_config differs from model_bnb_config, and there is one base model to quantise"
        yield Breach("spec.adapter_bnb_config", message, "remove one of the two")


def _content(view: View, value: ConfigValue) -> dict[str, Any]:
    """Empty where nothing is asked, and where other rules report what is wrong."""
    if not value:
        return {}
    try:
        return configs.in_force(view.graph.resources, view.default_configs, "bitsandbytes_config", value, "")[1]
    except (KeyError, ValueError):
        return {}
