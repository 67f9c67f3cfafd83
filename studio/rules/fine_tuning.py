"""FT: what a fine-tuning job is and produces (guide, Fine-Tuning Job Validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.core.enumerations import members
from studio.core.suggest import did_you_mean
from studio.load.files import Place, look
from studio.resources.config import Config, ConfigType
from studio.resources.fine_tuning_job import FineTuningJob, Framework, Loss
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
    if job.spec.framework_type not in members(Framework):
        message = f"framework_type is {job.spec.framework_type!r}; it must be legacy or axolotl"
        yield Breach("spec.framework_type", message, did_you_mean(job.spec.framework_type, Framework))


@rule("FT-002", FineTuningJob)
def bad_adapter_name(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The adapter's name is empty or has other characters than letters, digits and hyphens.

    The name becomes part of folder, job and registry names, which do not all take the same characters.

    Bad:
        kind: FineTuningJob
        metadata:
          name: router-2
        spec:
          adapter_name: ticket router  # <-
    Good:
        kind: FineTuningJob
        metadata:
          name: router-2
        spec:
          adapter_name: ticket-router-2
    """
    name = job.spec.adapter_name
    if not ADAPTER_NAME.match(name):
        message = f"adapter_name {name!r} must match ^[a-zA-Z0-9-]+$" if name else "adapter_name is missing"
        plain = (re.sub(r"[^a-zA-Z0-9]+", "-", text).strip("-") for text in (name, job.metadata.name))
        yield Breach("spec.adapter_name", message, f"write {next(filter(None, plain), 'my-adapter')}")


@rule("FT-003", FineTuningJob)
def missing_out_dir(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The output folder does not exist, or is outside the project.

    The copy of the adapter would be lost at the end of a training that took hours. A folder elsewhere on the machine
    is not there where the job runs.

    Bad:
        kind: FineTuningJob
        spec:
          out_dir: adapters/releases  # <-
    Good:
        kind: FineTuningJob
        spec:
          out_dir: adapters
    """
    out_dir = job.spec.out_dir
    place = look(view.root, out_dir) if out_dir else Place.FOLDER
    if place is Place.OUTSIDE:
        yield Breach("spec.out_dir", f"out_dir {out_dir!r} leaves the project", "name a folder inside the project")
    elif place is not Place.FOLDER:
        what = "is not a folder" if place is Place.FILE else "does not exist"
        yield Breach("spec.out_dir", f"out_dir {out_dir!r} {what}", "create it, or remove out_dir")


@rule("FT-012", FineTuningJob)
def axolotl_without_config(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The framework is axolotl, and no Axolotl configuration is given.

    Axolotl takes everything from its one YAML: without it there is nothing to train with.

    Bad:
        kind: FineTuningJob
        spec:  # <-
          framework_type: axolotl
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            sequence_len: 512
    """
    if job.spec.framework_type == Framework.AXOLOTL and not job.spec.axolotl_config:
        every = {**view.defaults, **view.manifests}.values()
        configs = [manifest.resource for manifest in every if isinstance(manifest.resource, Config)]
        names = sorted(config.metadata.name for config in configs if config.spec.type == ConfigType.AXOLOTL)
        hint = f"name a Config of type axolotl, such as {names[0]}" if names else "write a Config of type axolotl"
        yield Breach("spec.axolotl_config", "framework_type axolotl needs an axolotl_config", hint)


@rule("FT-017", FineTuningJob)
def adapter_name_taken(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """Another job produces an adapter of the same name.

    Evaluations and exports name adapters; one name for two sets of weights would pick one of them by chance.

    Bad:
        kind: FineTuningJob
        metadata:
          name: router-again
        spec:
          adapter_name: ticket-router  # <-
    Good:
        kind: FineTuningJob
        metadata:
          name: router-again
        spec:
          adapter_name: ticket-router-2
    """
    producers = view.graph.producers.get(job.spec.adapter_name, ())
    if len(producers) > 1 and job.ref != min(producers):
        message = f"the adapter {job.spec.adapter_name!r} is already produced by {min(producers)}"
        yield Breach("spec.adapter_name", message, "give each job an adapter_name of its own")


@rule("FT-020", FineTuningJob)
def unknown_loss(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The loss is none of completion, assistant and full.

    It says on which tokens the model is trained: on the answers only, or on the questions too.

    Bad:
        kind: FineTuningJob
        spec:
          loss: completions  # <-
    Good:
        kind: FineTuningJob
        spec:
          loss: completion
    """
    if job.spec.loss not in members(Loss):
        message = f"loss is {job.spec.loss!r}; it must be one of {', '.join(members(Loss))}"
        yield Breach("spec.loss", message, did_you_mean(job.spec.loss, Loss))


@rule("FT-021", FineTuningJob)
def missing_user_script(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The training script does not exist, or is outside the project.

    The job would fail on its first line. A script elsewhere on the machine is not reviewed, and is not there where
    the job runs.

    Bad:
        kind: FineTuningJob
        spec:
          user_script: scripts/trian.py  # <-
    Good:
        kind: FineTuningJob
        spec:
          user_script: scripts/train.py
    """
    script = job.spec.user_script
    place = look(view.root, script) if script else Place.FILE
    if place is Place.OUTSIDE:
        yield Breach("spec.user_script", f"user_script {script!r} leaves the project", "copy it into the project")
    elif place is not Place.FILE:
        what = "is a folder" if place is Place.FOLDER else "does not exist"
        hint = "correct the path; it is relative to the project"
        yield Breach("spec.user_script", f"the script {script!r} {what}", hint)
