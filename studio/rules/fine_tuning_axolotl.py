"""FT: what Axolotl makes of a job, and what it cannot do with it."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Path, Severity
from studio.core.references import Ref
from studio.libraries import axolotl_settings
from studio.resources.fine_tuning_job import FineTuningJob, Framework, Trial
from studio.rules.axolotl_views import breaches, content
from studio.rules.base import Breach, View, rule

ON_GPU_ONLY = ("deepspeed", "fsdp", "fsdp_config", "fp8", "gptq", "flash_attn_rms_norm", "flash_attn_cross_entropy")
"""What no CPU can do; settings of precision and attention are adapted there."""
KERNELS = ("axolotl.integrations.liger", "axolotl.integrations.cut_cross_entropy", "axolotl.integrations.kernels")
"""Plugins whose kernels are written for GPUs."""


@rule("FT-024", FineTuningJob, severity=Severity.WARNING)
def unused_axolotl_config(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """An Axolotl configuration is given to a legacy job.

    The legacy framework never reads it: what it says about rank, batch or epochs is not in force.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: legacy
          axolotl_config:  # <-
            sequence_len: 512
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            sequence_len: 512
    """
    if job.spec.framework_type == Framework.LEGACY and job.spec.axolotl_config:
        message = "axolotl_config has no effect: framework_type is legacy"
        yield Breach("spec.axolotl_config", message, "write framework_type: axolotl, or remove axolotl_config")


@rule("FT-057", FineTuningJob)
def lora_setting_without_place(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The LoRA configuration of an axolotl job has a key that Axolotl has no setting for.

    What a job says in ``lora_config`` replaces what its Axolotl configuration says, in Axolotl's words. Where there is
    no word, the adapter would be another than the one that was asked for.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            datasets:
              - type: alpaca
          lora_config:  # <-
            r: 8
            megatron_config: {}
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            datasets:
              - type: alpaca
          lora_config:
            r: 8
    """
    if job.spec.framework_type == Framework.AXOLOTL:
        for key in axolotl_settings.without_place(content(job, "lora_config", view)):
            message = f"Axolotl has no setting for {key!r} of a LoRA configuration"
            yield Breach("spec.lora_config", message, f"remove {key}, or use framework_type: legacy")


@rule("FT-058", FineTuningJob, severity=Severity.WARNING)
def not_heeded_by_axolotl(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A setting of an axolotl job has no effect.

    Axolotl takes batch size, schedule and optimizer from its own configuration, not from training arguments, and all
    its processes share one machine, so that no worker has resources of its own.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            datasets:
              - type: alpaca
          training_arguments_config:  # <-
            per_device_train_batch_size: 8
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            micro_batch_size: 8
            datasets:
              - type: alpaca
          training_arguments_config: ""
    """
    spec = job.spec
    if spec.framework_type != Framework.AXOLOTL:
        return
    if spec.training_arguments_config:
        hint = "say it in the Axolotl configuration, in its words, and remove training_arguments_config"
        yield Breach("spec.training_arguments_config", "Axolotl reads no training arguments", hint)
    for name in ("dist_cpu", "dist_gpu", "dist_mem"):
        if getattr(spec, name) is not None:
            message = f"{name} has no effect: the processes of Axolotl share num_cpu, num_gpu and num_memory"
            yield Breach(f"spec.{name}", message, f"remove {name}")


@rule("FT-060", FineTuningJob)
def axolotl_needs_a_gpu(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The Axolotl configuration asks for what only GPUs can do, and the job asks for none.

    On a CPU a job trains in float32 and with plain attention, whatever the configuration says. Sharding over GPUs and
    kernels that are written for them have nothing to be replaced by.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          num_gpu: 0
          axolotl_config:
            deepspeed: {zero_optimization: {stage: 2}}  # <-
            datasets:
              - type: alpaca
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          num_gpu: 1
          axolotl_config:
            deepspeed: {zero_optimization: {stage: 2}}
            datasets:
              - type: alpaca
    """
    if job.spec.framework_type != Framework.AXOLOTL or job.spec.num_gpu > 0:
        return
    said = content(job, "axolotl_config", view)
    plugins = said.get("plugins")
    asked: list[tuple[Path, str]] = [((key,), key) for key in ON_GPU_ONLY if said.get(key)]
    for index, name in enumerate(plugins if isinstance(plugins, list) else ()):
        if str(name).startswith(KERNELS):
            asked.append((("plugins", index), f"the plugin {name}"))
    who = Ref(job.kind, job.sweep) if isinstance(job, Trial) else job.ref
    hint = "remove it, or raise num_gpu"
    found = [(path, f"{what} needs a GPU, and num_gpu of {who} is 0", hint) for path, what in asked]
    yield from breaches(job, view, found)
