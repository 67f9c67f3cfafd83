"""FT: what a fine-tuning job refers to."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.suggest import did_you_mean
from studio.resources.fine_tuning_job import FineTuningJob, Framework
from studio.resources.prompt import Prompt
from studio.rules.base import Breach, View, rule


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


@rule("FT-014", FineTuningJob)
def unknown_dataset(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The data set is missing, or no Dataset has its name.

    Bad:
        kind: FineTuningJob
        spec:
          dataset: ticket  # <-
    Good:
        kind: FineTuningJob
        spec:
          dataset: tickets
    """
    if view.graph.target(job.ref, "spec", "dataset") is None:
        hint = did_you_mean(job.spec.dataset, view.graph.names("Dataset"))
        what = f"no Dataset is named {job.spec.dataset!r}" if job.spec.dataset else "dataset is missing"
        yield Breach("spec.dataset", what, hint)


@rule("FT-015", FineTuningJob)
def unknown_prompt(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The prompt is missing from a legacy job, or no Prompt has its name.

    It says how a row becomes text. With axolotl it may be left out: it is derived from the dataset format.

    Bad:
        kind: FineTuningJob
        spec:
          prompt: route-tickets  # <-
    Good:
        kind: FineTuningJob
        spec:
          prompt: route-ticket
    """
    name = job.spec.prompt
    if view.graph.target(job.ref, "spec", "prompt") is None and (name or job.spec.framework_type == Framework.LEGACY):
        what = f"no Prompt is named {name!r}" if name else "prompt is missing; the legacy framework needs one"
        yield Breach("spec.prompt", what, did_you_mean(name, view.graph.names("Prompt")))


@rule("FT-016", FineTuningJob)
def unknown_axolotl_config(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """No Config has the name that the job gives as its Axolotl configuration.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config: axolotl-smal  # <-
        ---
        kind: Config
        metadata:
          name: axolotl-small
        spec:
          type: axolotl
          config: "sequence_len: 512"
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config: axolotl-small
        ---
        kind: Config
        metadata:
          name: axolotl-small
        spec:
          type: axolotl
          config: "sequence_len: 512"
    """
    named = job.spec.axolotl_config
    if isinstance(named, str) and named and view.graph.target(job.ref, "spec", "axolotl_config") is None:
        hint = did_you_mean(named, view.graph.names("Config"))
        yield Breach("spec.axolotl_config", f"no Config is named {named!r}", hint)


@rule("FT-018", FineTuningJob)
def prompt_of_another_dataset(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The prompt was made for another data set than the one the job trains on.

    Its placeholders are columns of its own data set. That the other one has columns of the same names is chance, and
    it ends with the next column that is renamed.

    Bad:
        kind: FineTuningJob
        spec:
          dataset: hub-tickets
          prompt: route-ticket  # <-
    Good:
        kind: FineTuningJob
        spec:
          dataset: tickets
          prompt: route-ticket
    """
    prompt = view.get(view.graph.target(job.ref, "spec", "prompt"), Prompt)
    dataset = view.graph.target(job.ref, "spec", "dataset")
    made_for = view.graph.target(prompt.ref, "spec", "dataset") if prompt else None
    if prompt and dataset and made_for and made_for != dataset:
        message = f"{prompt.ref} is made for {made_for}; the job trains on {dataset}"
        yield Breach("spec.prompt", message, f"write a Prompt for {dataset}, or train on {made_for}")
