"""FT: whether a fine-tuning job fits its base model and the machine it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from studio.core import patterns
from studio.core.findings import Path, Severity, Source
from studio.core.patterns import NotUnderstood
from studio.core.references import Ref
from studio.core.suggest import did_you_mean, nearest
from studio.load import lora_targets
from studio.load.job_memory import Inputs, of_job
from studio.load.lora_targets import ALL_LINEAR, Index
from studio.memory import Parts
from studio.resources.config import Config
from studio.resources.fine_tuning_job import FineTuningJob, Framework
from studio.resources.model import ModelShape
from studio.rules.base import Breach, View, rule

Fault = tuple[Path, str, str]
"""Where in the configuration, what, and what to do."""
NAMED = 100
"""Missing names that one message says."""
FAILS = "stops a training on the CPU"
FLOAT = "has no effect on the CPU: it trains in 32 bits"
GPU_ONLY: dict[str, tuple[Any, str]] = {
    "tf32": (True, FAILS),
    "activation_offloading": (True, FAILS),
    "use_liger_kernel": (True, FAILS),
    "ddp_backend": ("nccl", FAILS),
    "fp16": (True, FLOAT),
    "bf16": (True, FLOAT),
}
"""Arguments of SFTConfig that only a GPU understands, the value in question, and what it does without one (each was run
on transformers 5.17 and trl 1.16). Optimizers of bitsandbytes, paged or not, do work on the CPU."""
ADVICE = {
    "weights": "quantise the model with model_bnb_config",
    "activations": "lower per_device_train_batch_size or max_length, or set gradient_checkpointing",
    "loss": "lower per_device_train_batch_size or max_length",
    "allocator": "lower per_device_train_batch_size or max_length",
    "optimizer": "lower r of the LoRA, or use an 8-bit optimizer",
    "adapter": "lower r of the LoRA",
    "gradients": "lower r of the LoRA",
    "data": "lower dataset_fraction",
}
"""What saves most, by the largest part of the estimate."""


def _inputs(view: View) -> Inputs:
    return Inputs(view.root, view.graph.resources, view.observations, view.default_configs)


def _written(view: View, value: str | dict[str, Any] | None) -> bool:
    """Whether the project itself says so: inline, or in a Config of its own."""
    return bool(value) and (isinstance(value, dict) or Ref("Config", str(value)) in view.manifests)


def _at(job: FineTuningJob, name: str, path: Path) -> tuple[Path, str]:
    """Where in the job a configuration's fault is, and whose it is in words: a named Config is used by other jobs."""
    value = getattr(job.spec, name)
    if isinstance(value, dict):
        return ("spec", name, *path), ""
    return ("spec", name), f"Config/{value}: " if value else "the default configuration: "


@rule("FT-026", severity=Severity.WARNING)
def gpu_only_setting(view: View) -> Iterator[Breach]:
    """A setting that needs a GPU is given to a job without one.

    Some of these settings stop the job before its first step; others are ignored, and the training is slower or larger
    than it looks. Defaults that nobody wrote are not meant.

    Bad:
        kind: FineTuningJob
        spec:
          num_gpu: 0
          training_arguments_config:
            tf32: true  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_gpu: 1
          training_arguments_config:
            tf32: true
    """
    inputs = _inputs(view)
    for job, source in view.each(FineTuningJob):
        written = job.spec.training_arguments_config
        if job.spec.num_gpu > 0 or job.spec.framework_type != Framework.LEGACY or not _written(view, written):
            continue
        arguments = inputs.config(job, "training_arguments", written) or {}
        for key, (value, consequence) in GPU_ONLY.items():
            found = arguments.get(key)
            if type(found) is type(value) and found == value:
                path, whose = _at(job, "training_arguments_config", (key,))
                message = f"{whose}{key} {consequence}, and num_gpu is {job.spec.num_gpu}"
                yield Breach(path, message, f"remove {key}, or ask for a GPU", job.ref, source)


@rule("FT-027")
def missing_target_module(view: View) -> Iterator[Breach]:
    """LoRA is to adapt a module, or a layer, that the model does not have.

    PEFT takes what it finds and is silent about the rest: a misspelt module would stay as it was, and the adapter would
    learn less than its configuration says.

    Bad:
        kind: FineTuningJob
        spec:
          lora_config:
            target_modules:
              - q_proj
              - v_prj  # <-
    Good:
        kind: FineTuningJob
        spec:
          lora_config:
            target_modules:
              - q_proj
              - v_proj
    """
    inputs = _inputs(view)
    said: set[Breach] = set()
    for job, source in view.each(FineTuningJob):
        shape = inputs.shape(job)
        if shape is None or shape.modules is None or job.spec.framework_type != Framework.LEGACY:
            continue
        lora = inputs.config(job, "lora_config", job.spec.lora_config) or {}
        for fault in _lora_faults(lora, shape):
            breach = _lora_breach(job, source, fault, view)
            if breach not in said:  # jobs of one model that share a Config
                said.add(breach)
                yield breach


@rule("FT-066", severity=Severity.WARNING)
def rank_beyond_width(view: View) -> Iterator[Breach]:
    """The rank of LoRA is above the width of the model.

    The product of two matrices has at most the rank of what it is added to: all above the model's width is memory and
    time for nothing.

    Bad:
        kind: FineTuningJob
        spec:
          lora_config:
            r: 300  # <-
    Good:
        kind: FineTuningJob
        spec:
          lora_config:
            r: 8
    """
    inputs = _inputs(view)
    said: set[Breach] = set()
    for job, source in view.each(FineTuningJob):
        shape = inputs.shape(job)
        lora = inputs.config(job, "lora_config", job.spec.lora_config) or {} if shape else {}
        rank = lora.get("r")
        if shape is None or type(rank) is not int or not rank > shape.hidden > 0:
            continue
        what = f"r is {rank:,}, and the model is {shape.hidden:,} wide"
        breach = _lora_breach(job, source, (("r",), what, f"write r: {min(16, shape.hidden)}, or a little more"), view)
        if breach not in said:  # jobs of one model that share a Config
            said.add(breach)
            yield breach


def _lora_breach(job: FineTuningJob, source: Source, fault: Fault, view: View) -> Breach:
    """The fault where it is written: in the Config that the job names, when that is the project's own."""
    (within, what, hint), value = fault, job.spec.lora_config
    manifest = view.manifests.get(Ref("Config", value)) if isinstance(value, str) and value else None
    if manifest is None or not isinstance(manifest.resource, Config):
        path, whose = _at(job, "lora_config", within)
        return Breach(path, f"{whose}{what}", hint, job.ref, source)
    within = within if isinstance(manifest.resource.spec.config, dict) else ()
    base = view.graph.target(job.ref, "spec", "base_model")
    return Breach(
        ("spec", "config", *within), f"for {base}: {what}", hint, manifest.resource.ref, manifest.source
    )  # fmt: skip


def _lora_faults(lora: dict[str, Any], shape: ModelShape) -> Iterator[Fault]:
    yield from _target_faults(lora.get("target_modules"), shape)
    known = lora_targets.index(shape)
    saved = lora.get("modules_to_save")
    modules = sorted(ending for ending in known.endings if "." not in ending and not ending.isdecimal())
    yield from _absent("modules_to_save", saved, known, modules)
    layers = lora.get("layers_to_transform")
    chosen = layers if isinstance(layers, list) else [layers]
    beyond = [number for number, layer in enumerate(chosen) if type(layer) is int and not 0 <= layer < shape.layers]
    if beyond:
        path: Path = ("layers_to_transform", beyond[0]) if isinstance(layers, list) else ("layers_to_transform",)
        hint = f"write numbers from 0 to {shape.layers - 1}"
        missing = _named("layer", [chosen[number] for number in beyond])
        yield path, f"the model has no {missing}: it has {shape.layers}, counted from 0", hint


def _target_faults(wanted: Any, shape: ModelShape) -> Iterator[Fault]:
    known = lora_targets.index(shape)
    names = sorted(known.by_last)
    if isinstance(wanted, str) and wanted.lower() != ALL_LINEAR:
        if fault := patterns.fault(wanted):
            yield (
                ("target_modules",),
                f"{wanted!r} is not a regular expression: {fault}",
                f"write a list: {_some(names)}",
            )
        elif known.complete and _matches_nothing(wanted, shape):
            what = f"{wanted!r} matches no module of the model as a whole"
            hint = f"write [{wanted}]" if known.has(wanted) else f"write a list: {_some(names)}"
            yield ("target_modules",), what, hint
    yield from _absent("target_modules", wanted, known, names)


def _absent(key: str, wanted: Any, known: Index, names: list[str]) -> Iterator[Fault]:
    """One fault for a list, at the first name that the model does not have."""
    listed = wanted if isinstance(wanted, list) else []
    absent = {name: number for number, name in enumerate(listed) if isinstance(name, str) and not known.has(name)}
    if not absent:
        return
    first, *others = absent
    near = dict.fromkeys(nearest(name, tuple(names)) for name in absent)
    hint = did_you_mean(first, names)
    if others and None not in near:
        hint = f"did you mean {', '.join(map(repr, near))}?"
    elif others:
        hint = f"write modules of it, such as {_some(names)}"
    yield (key, absent[first]), f"the model has no {_named('module', [*absent])}", hint


def _named(what: str, missing: list[Any]) -> str:
    """``module 'a'``, or ``modules 'a', 'b'``; all of them, up to a hundred."""
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    return f"{what}{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing[:NAMED]))}{more}"


@lru_cache(maxsize=1024)
def _matches_nothing(pattern: str, shape: ModelShape) -> bool:
    """Whether a pattern surely matches no module; one that is not understood here may match."""
    try:
        return not patterns.matching(pattern, shape.modules or ())
    except NotUnderstood:
        return False


def _some(names: list[str]) -> str:
    return f"[{', '.join(names[:8])}]"


@rule("FT-028", severity=Severity.WARNING)
def too_little_memory(view: View) -> Iterator[Breach]:
    """The job will probably need more memory than it asks for.

    A process that exceeds its memory is killed, often after hours. The estimate follows from the model's shape, the
    adapter, the batch and the longest row; it was within a fifth of what real runs needed.

    Bad:
        kind: FineTuningJob
        spec:
          num_memory: 1  # <-
          training_arguments_config:
            per_device_train_batch_size: 64
            packing: true
    Good:
        kind: FineTuningJob
        spec:
          num_memory: 24
          training_arguments_config:
            per_device_train_batch_size: 64
            packing: true
    """
    inputs = _inputs(view)
    for job, source in view.each(FineTuningJob):
        found = of_job(job, inputs)
        if found is None:
            continue
        asked = {"num_memory": job.spec.num_memory}
        if job.spec.num_workers > 1 and job.spec.dist_mem:
            asked["dist_mem"] = job.spec.dist_mem
        for field, gigabytes in asked.items():
            if 0 < gigabytes * 1e9 < found.host.needed:
                needed, part = found.host.needed, _largest(found.host)
                what = (
                    f"about {needed / 1e9:.1f} GB are needed, {getattr(found.host, part) / 1e9:.1f} of them for {part}"
                )
                hint = f"write {field}: {-(-needed // 10**9)}" + (f", or {ADVICE[part]}" if part in ADVICE else "")
                yield Breach(("spec", field), f"{field} is {gigabytes}; {what}", hint, job.ref, source)


def _largest(parts: Parts) -> str:
    """The part that a setting can change, when there is one to speak of."""
    return max(ADVICE, key=lambda name: int(getattr(parts, name)))
