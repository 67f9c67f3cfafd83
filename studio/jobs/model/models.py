"""Base models: loaded from safetensors on the job's device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import PeftMixedModel, PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from studio.core.errors import JobError
from studio.core.jobspec import ModelInput
from studio.jobs.events import EventLog
from studio.jobs.model import quantization
from studio.jobs.model.devices import Device


@dataclass(frozen=True, slots=True)
class Base:
    """A base model on disk, and how to load it."""

    model: ModelInput
    folder: Path
    quantization: dict[str, Any] | None = None


def load(base: Base, device: Device, events: EventLog) -> PreTrainedModel:
    """The model in evaluation mode; raises JobError when its files or its architecture do not load."""
    options: dict[str, Any] = {"dtype": device.dtype, "trust_remote_code": base.model.trust_remote_code}
    if base.quantization is not None:
        options["quantization_config"] = quantization.config(base.quantization, device, events)
    if base.quantization is not None or not device.is_cpu:
        options["device_map"] = {"": device.name}
    try:
        model = AutoModelForCausalLM.from_pretrained(str(base.folder), use_safetensors=True, **options)
    except (OSError, ValueError, ImportError) as error:
        raise JobError(f"model {base.model.name}: cannot be loaded from {base.folder}: {error}") from error
    if device.is_cpu:
        quantization.check_reading(model, base.model.name)
    loaded: PreTrainedModel = model.eval()
    loaded.generation_config = _ends_only(loaded.generation_config)
    return loaded


def _ends_only(own: GenerationConfig | None) -> GenerationConfig:
    """What a model's own settings say of its end; ``generate`` would fill every setting that a job leaves open from
    them, such as a repetition penalty, and the same job would mean other answers of another model."""
    return GenerationConfig(eos_token_id=own.eos_token_id) if own else GenerationConfig()


def family(folder: Path, model: ModelInput) -> str:
    """``architectures[0]`` of the model's config, such as LlamaForCausalLM; "" when unknown."""
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=model.trust_remote_code)
    return str((config.architectures or [""])[0])


def parameters(model: PeftModel | PeftMixedModel) -> tuple[int, int]:
    """Total and trainable parameters (guide, get_model_parameters); packed 4-bit weights count one by one."""
    trainable, total = model.get_nb_trainable_parameters()
    return int(total), int(trainable)


def embeddings(model: Any) -> int:
    """Rows of the embedding matrix; often more than the tokenizer has tokens."""
    return int(model.get_input_embeddings().weight.shape[0])
