"""FT: how Axolotl reads the rows of a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from studio.core.findings import Severity
from studio.core.suggest import did_you_mean, nearest
from studio.resources.dataset import Dataset, DatasetFacts
from studio.resources.fine_tuning_job import FineTuningJob, Framework
from studio.rules.axolotl_views import content, first, formats
from studio.rules.base import Breach, View, rule
from studio.rules.configurations import library_table

BY_FIELD = {"completion": ("field", "text"), "chat_template": ("field_messages", "messages")}
"""Data set type to the setting that names its column, and the name that is in force without one."""
OPTIONAL = "optional"
"""How a format marks a column that rows may lack."""


@rule("FT-025", FineTuningJob)
def no_dataset_format(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """An axolotl job has no prompt, and its Axolotl configuration does not say how rows become texts.

    Without a prompt the type of the first data set in the Axolotl configuration decides: one that Axolotl knows, or one
    that a Config of type axolotl_dataset_formats describes.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          prompt: ""
          axolotl_config:  # <-
            sequence_len: 512
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          prompt: ""
          axolotl_config:
            datasets:
              - type: input_output
    """
    said = content(job, "axolotl_config", view)
    if job.spec.framework_type != Framework.AXOLOTL or job.spec.prompt or not said:
        return
    named, known = first(said).get("type"), {*formats(view), *library_table("axolotl").facts["dataset_types"]}
    if str(named or "").partition(":")[0] not in known:
        what = f"no dataset format is described as {named!r}" if named else "it names no data set type"
        hint = f"{did_you_mean(str(named or ''), sorted(known))}; or name a prompt"
        yield Breach("spec.axolotl_config", f"nothing says how rows become texts: {what}", hint)


@rule("FT-059", FineTuningJob)
def column_of_another_format(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The data set lacks a column that the Axolotl data set type reads.

    Without a prompt Axolotl makes the texts by its data set type, and each type reads columns of its own. The job would
    fail on its first row.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          prompt: ""
          axolotl_config:  # <-
            datasets:
              - type: alpaca
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            datasets:
              - type: alpaca
          prompt: route-ticket
    """
    if job.spec.framework_type != Framework.AXOLOTL or job.spec.prompt:
        return
    has = _columns(job, view)
    read = _read(first(content(job, "axolotl_config", view)), formats(view))
    missing = [column for column in read if column not in has]
    if has and missing:
        type = first(content(job, "axolotl_config", view))["type"]
        what = f"{missing[0]!r}, which is not a column of Dataset/{job.spec.dataset}"
        near = nearest(missing[0], has)
        hint = f"it has {', '.join(sorted(has))}; rename a column, choose another type, or name a prompt"
        did = f"did you mean the column {near!r}? " if near else ""
        yield Breach("spec.axolotl_config", f"the data set type {type!r} reads {what}", did + hint)


@rule("FT-061", FineTuningJob, severity=Severity.WARNING)
def axolotl_datasets_not_read(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The Axolotl configuration describes more than one data set.

    The rows are those of the job's ``dataset``; the first description says how they are read, the others nothing.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:  # <-
            datasets:
              - type: alpaca
              - type: completion
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            datasets:
              - type: alpaca
    """
    datasets = content(job, "axolotl_config", view).get("datasets")
    if job.spec.framework_type == Framework.AXOLOTL and isinstance(datasets, list) and len(datasets) > 1:
        message = f"{len(datasets)} data sets are described, and the job has one"
        yield Breach("spec.axolotl_config", message, "keep the first, and put all rows into the job's dataset")


def _read(dataset: Mapping[str, Any], formats: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Columns that a row must have."""
    type = dataset.get("type")
    if not isinstance(type, str):
        return []
    if type in BY_FIELD:
        setting, otherwise = BY_FIELD[type]
        return [str(dataset.get(setting) or otherwise)]
    columns = formats.get(type, {})
    return [name for name, what in columns.items() if not str(what).startswith(OPTIONAL)]


def _columns(job: FineTuningJob, view: View) -> tuple[str, ...]:
    """Of the job's data set, as far as they are known offline."""
    ref = view.graph.target(job.ref, "spec", "dataset")
    facts, dataset = view.facts(ref, DatasetFacts), view.get(ref, Dataset)
    return (facts.features if facts else ()) or (dataset.spec.features if dataset else ()) or ()
