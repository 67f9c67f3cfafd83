"""What a fine-tuning job of a project will need, from its configurations and the facts of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from studio.core.references import Ref
from studio.core.schedule import BATCH
from studio.load import configs, files, lora_targets
from studio.load.lengths import MAX_LENGTH
from studio.load.observation import Observation
from studio.memory import Estimate, Run, estimate
from studio.resources.base import Resource
from studio.resources.dataset import Dataset, DatasetFacts, DatasetType
from studio.resources.fine_tuning_job import FineTuningJob, Framework
from studio.resources.model import ModelFacts, ModelShape
from studio.resources.prompt import Prompt, PromptSpec

MOST = 1 << 24
"""Rows of a batch, or tokens of a row, beyond which a number is no such number."""
CHARACTERS_PER_TOKEN = 3
"""Of English under a vocabulary of 2,000 (measured on the quickstart: 3.1); larger vocabularies have longer tokens."""
LINES = frozenset({DatasetType.PROJECT_CSV, DatasetType.PROJECT_JSONL})


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the jobs of a project refer to."""

    root: Path
    resources: Mapping[Ref, Resource]
    observations: Mapping[Ref, Observation]
    defaults: configs.Defaults

    def shape(self, job: FineTuningJob) -> ModelShape | None:
        facts = self.observations.get(Ref("Model", job.spec.base_model))
        return facts.shape if isinstance(facts, ModelFacts) else None

    def config(self, job: FineTuningJob, type: str, value: str | dict[str, Any] | None) -> dict[str, Any] | None:
        """The configuration in force; None where it cannot be read."""
        facts = self.observations.get(Ref("Model", job.spec.base_model))
        family = facts.family if isinstance(facts, ModelFacts) else ""
        try:
            return configs.in_force(self.resources, self.defaults, type, value, family)[1]
        except (KeyError, ValueError):  # it is not there or does not parse; rules report it
            return None


def needed(inputs: Inputs, ref: Ref) -> int | None:
    """Bytes of host memory that a job cannot do without; None where nobody can tell."""
    job = inputs.resources.get(ref)
    found = of_job(job, inputs) if isinstance(job, FineTuningJob) else None
    return found.host.needed if found else None


def of_job(job: FineTuningJob, inputs: Inputs) -> Estimate | None:
    """The estimate; None where the model's shape or a setting is not known."""
    spec, shape = job.spec, inputs.shape(job)
    if shape is None or spec.framework_type != Framework.LEGACY or spec.user_script:
        return None
    arguments = inputs.config(job, "training_arguments", spec.training_arguments_config)
    lora = inputs.config(job, "lora_config", spec.lora_config)
    asked = spec.model_bnb_config or spec.adapter_bnb_config
    quantised = inputs.config(job, "bitsandbytes_config", asked) if asked else {}
    if arguments is None or lora is None or quantised is None:
        return None
    adapted = lora_targets.adapted(shape, lora)
    run = _run(job, inputs, arguments, quantised, bool(lora.get("lora_dropout")))
    return estimate(shape, adapted, run) if adapted and run else None


def _run(
    job: FineTuningJob, inputs: Inputs, arguments: Mapping[str, Any], quantised: Mapping[str, Any], dropout: bool
) -> Run | None:
    batch = _count(arguments.get("per_device_train_batch_size", BATCH))
    length = _count(arguments.get("max_length", MAX_LENGTH))
    if batch is None or length is None:
        return None
    facts = inputs.observations.get(Ref("Dataset", job.spec.dataset))
    rows = (facts.rows or 0) if isinstance(facts, DatasetFacts) else 0
    longest = None if arguments.get("packing") else _longest(job, inputs)
    gpus = max(job.spec.num_gpu, 0)
    return Run(
        batch=min(batch, rows) if rows and not arguments.get("packing") else batch,
        tokens=min(length, longest) if longest else length,
        rows=rows,
        dropout=dropout,
        checkpointing=bool(arguments.get("gradient_checkpointing", gpus > 0)),
        optimizer=str(arguments.get("optim", "")),
        bits=4 if quantised.get("load_in_4bit") else 8 if quantised.get("load_in_8bit") else 0,
        double_quantised=bool(quantised.get("bnb_4bit_use_double_quant")),
        gpus=gpus,
        workers=max(job.spec.num_workers, 1),
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 < value <= MOST else None


def _longest(job: FineTuningJob, inputs: Inputs) -> int | None:
    """About how many tokens the longest row has with its template; None where reading rows line by line cannot tell."""
    dataset = inputs.resources.get(Ref("Dataset", job.spec.dataset))
    facts = inputs.observations.get(Ref("Dataset", job.spec.dataset))
    if not isinstance(dataset, Dataset) or not isinstance(facts, DatasetFacts) or dataset.spec.type not in LINES:
        return None
    path = files.inside(inputs.root, dataset.spec.location)
    prompt = inputs.resources.get(Ref("Prompt", job.spec.prompt))
    template = _written(prompt.spec) if isinstance(prompt, Prompt) else ""
    line = _longest_line(path, facts.digest) if path else 0
    return -(-(line + len(template)) // CHARACTERS_PER_TOKEN) if line else None


def _written(spec: PromptSpec) -> str:
    """What a prompt adds to a row. Of a conversation its roles, quoted in the row, stand for what its template adds."""
    return "".join((spec.system, spec.input_template, spec.completion_template)) if spec.chat else spec.prompt_template


@lru_cache(maxsize=1024)
def _longest_line(path: Path, digest: str) -> int:
    """Bytes of the longest line; ``digest`` stands for the content. 0 for a file that went away."""
    try:
        with path.open("rb") as stream:
            return max(map(len, stream), default=0)
    except OSError:
        return 0
