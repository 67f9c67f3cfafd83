"""FT: models that are split among the workers of a training, by FSDP or DeepSpeed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from studio.core.schedule import schedule
from studio.load import job_files
from studio.load.job_memory import Inputs
from studio.resources.fine_tuning_job import FineTuningJob, Framework
from studio.rules.base import Breach, View, rule

FLOATS = ("bfloat16", "float16", "float32")
SPLITTERS, AUTO = ("fsdp", "deepspeed"), "auto"
Fault = tuple[str, str, str]
"""Training argument, what is wrong, and what to do."""
Judge = Callable[[FineTuningJob, Mapping[str, Any], Mapping[str, Any]], Iterator[Fault]]
"""Of a job, its training arguments and its quantisation."""


@rule("FT-037", FineTuningJob)
def impossible_sharding(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The model is to be split among workers in a way that cannot work.

    FSDP and DeepSpeed split it among several workers on GPUs. On the CPU the libraries leave it whole and do not say
    so; with one worker they end the training; weights of eight bits, or of four that are stored as bytes, cannot be
    split.

    Bad:
        kind: FineTuningJob
        spec:
          num_gpu: 1
          num_workers: 1
          training_arguments_config:
            fsdp: true  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_gpu: 1
          num_workers: 2
          training_arguments_config:
            fsdp: true
    """
    for key, what, hint in _faults(job, view, _splitting):
        yield Breach(_path(job, key), what, hint)


@rule("FT-038", FineTuningJob)
def other_effective_batch(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A setting of the distribution changes how many rows a step learns from.

    It is the batch of a device, times the accumulated batches, times the workers. Learning rate and number of steps are
    chosen for that; two places that say two things would change it and tell nobody.

    Bad:
        kind: FineTuningJob
        spec:
          num_workers: 2
          training_arguments_config:
            accelerator_config:  # <-
              split_batches: true
    Good:
        kind: FineTuningJob
        spec:
          num_workers: 2
          training_arguments_config:
            per_device_train_batch_size: 4
    """
    for key, what, hint in _faults(job, view, _batches):
        yield Breach(_path(job, key), what, hint)


def _faults(job: FineTuningJob, view: View, judge: Judge) -> Iterator[Fault]:
    if job.spec.framework_type != Framework.LEGACY or job.spec.user_script:
        return
    inputs = Inputs(view.root, view.graph.resources, view.observations, view.default_configs)
    arguments = inputs.config(job, "training_arguments", job.spec.training_arguments_config) or {}
    if any(arguments.get(key) for key in (*SPLITTERS, "accelerator_config")):
        asked = job.spec.model_bnb_config or job.spec.adapter_bnb_config
        quantised = inputs.config(job, "bitsandbytes_config", asked) or {} if asked else {}
        yield from judge(job, {**arguments, **_read(arguments, view)}, quantised)


def _read(arguments: Mapping[str, Any], view: View) -> dict[str, Any]:
    """The settings that may be in files, or be written as text; those that are not there are empty."""
    found = {}
    for key in ("deepspeed", "accelerator_config"):
        value = arguments.get(key)
        held = job_files.settings(view.root, value) if isinstance(value, str) and value else value
        found[key] = held if isinstance(held, dict) else {}
    return found


def _splitting(job: FineTuningJob, arguments: Mapping[str, Any], quantised: Mapping[str, Any]) -> Iterator[Fault]:
    used = [key for key in SPLITTERS if arguments.get(key)]
    for key in used[:1]:
        if job.spec.num_workers == 1:
            yield key, f"{key} splits the model among workers, and num_workers is 1", "write num_workers: 2"
        elif job.spec.num_gpu < 1:
            yield key, f"{key} has no effect on the CPU: every worker holds the whole model", f"remove {key}"
        elif len(used) > 1:
            yield used[1], "fsdp and deepspeed both split the model", "remove one of them"
    if "fsdp" in used and quantised.get("load_in_8bit"):
        yield "fsdp", "fsdp cannot split weights of 8 bits", "write load_in_4bit, or remove fsdp"
    storage = str(quantised.get("bnb_4bit_quant_storage", "uint8")).removeprefix("torch.")
    if "fsdp" in used and quantised.get("load_in_4bit") and storage not in FLOATS:
        what = f"fsdp cannot split weights of 4 bits that are stored as {storage}"
        yield "fsdp", what, "write bnb_4bit_quant_storage: bfloat16 where they are quantised"


def _batches(job: FineTuningJob, arguments: Mapping[str, Any], quantised: Mapping[str, Any]) -> Iterator[Fault]:
    several = job.spec.num_workers > 1
    if several and arguments["accelerator_config"].get("split_batches") is True:
        what = "split_batches shares one batch among the workers: a step learns from fewer rows than it says"
        yield "accelerator_config", what, "lower per_device_train_batch_size instead"
    steps = schedule(0, arguments, max(job.spec.num_workers, 1), 1.0)
    meant = {
        "train_micro_batch_size_per_gpu": steps.per_device,
        "gradient_accumulation_steps": steps.accumulated,
        "train_batch_size": steps.effective,
    }
    for key, number in meant.items():
        said = arguments["deepspeed"].get(key, AUTO)
        if said not in (AUTO, number):
            what = f"{key} is {said} in deepspeed, and {number} by the other training arguments"
            yield "deepspeed", what, f"write {key}: {AUTO}"


def _path(job: FineTuningJob, key: str) -> tuple[str, ...]:
    """Where the job says it: in itself, or by the Config that it names."""
    inline = isinstance(job.spec.training_arguments_config, dict)
    return ("spec", "training_arguments_config", *((key,) if inline else ()))
