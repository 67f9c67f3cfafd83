"""FT: fine-tuning jobs (guide, Fine-Tuning Job Validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.core.suggest import did_you_mean
from studio.resources.fine_tuning_job import FineTuningJob, Framework
from studio.rules.base import Breach, View, rule

ADAPTER_NAME = re.compile(r"^[a-zA-Z0-9-]+\Z")


@rule("FT-001", FineTuningJob)
def unknown_framework(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The framework is neither legacy nor axolotl.

    Each framework is a training engine of its own; there is nothing to run for another name.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: pytorch  # <-
    Good:
        kind: FineTuningJob
        spec:
          framework_type: legacy
    """
    if job.spec.framework_type not in list(Framework):
        message = f"framework_type is {job.spec.framework_type!r}; it must be legacy or axolotl"
        yield Breach("spec.framework_type", message, did_you_mean(job.spec.framework_type, Framework))


@rule("FT-002", FineTuningJob)
def bad_adapter_name(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The adapter's name is empty or has other characters than letters, digits and hyphens.

    The name becomes part of folder, job and registry names, which do not all take the same characters.

    Bad:
        kind: FineTuningJob
        spec:
          adapter_name: ticket router  # <-
    Good:
        kind: FineTuningJob
        spec:
          adapter_name: ticket-router
    """
    name = job.spec.adapter_name
    if not ADAPTER_NAME.match(name):
        message = f"adapter_name {name!r} must match ^[a-zA-Z0-9-]+$" if name else "adapter_name is missing"
        suggestion = re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-") or job.metadata.name
        yield Breach("spec.adapter_name", message, f"write {suggestion}")


@rule("FT-004", FineTuningJob)
def no_cpu(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The job asks for no CPU.

    A backend cannot place a process on zero cores.

    Bad:
        kind: FineTuningJob
        spec:
          num_cpu: 0  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_cpu: 2
    """
    if job.spec.num_cpu <= 0:
        yield Breach("spec.num_cpu", f"num_cpu is {job.spec.num_cpu}; it must be greater than 0", "write num_cpu: 1")


@rule("FT-013", FineTuningJob)
def unknown_base_model(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The base model is missing, or no Model has its name.

    Bad:
        kind: FineTuningJob
        spec:
          base_model: tiny-lama  # <-
    Good:
        kind: FineTuningJob
        spec:
          base_model: tiny-llama
    """
    if view.graph.target(job.ref, "spec", "base_model") is None:
        hint = did_you_mean(job.spec.base_model, view.graph.names("Model"))
        what = f"no Model is named {job.spec.base_model!r}" if job.spec.base_model else "base_model is missing"
        yield Breach("spec.base_model", what, hint)
