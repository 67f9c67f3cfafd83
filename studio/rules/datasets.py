"""DS: data sets (guide, Dataset Import Validation)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from studio.core.enumerations import members
from studio.core.findings import Severity, Source
from studio.core.suggest import did_you_mean
from studio.resources.dataset import Dataset, DatasetFacts, DatasetType
from studio.rules.base import Breach, View, rule


@rule("DS-001", Dataset)
def unknown_type(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The type of the data set is missing or unknown.

    It says where the rows come from, and how to read them.

    Bad:
        kind: Dataset
        spec:
          type: csv  # <-
    Good:
        kind: Dataset
        spec:
          type: project_csv
    """
    found = dataset.spec.type
    if found not in members(DatasetType):
        message = f"type is {found!r}; it must be one of {', '.join(DatasetType)}" if found else "type is missing"
        yield Breach("spec.type", message, did_you_mean(found, DatasetType))


@rule("DS-009", Dataset)
def wrong_features(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The declared features are not the columns of the file.

    Features are asserted against the data, so that a renamed column is found in review and not in training.

    Bad:
        kind: Dataset
        spec:
          features: [text, label]  # <-
    Good:
        kind: Dataset
        spec:
          features: [text, queue]
    """
    declared, facts = dataset.spec.features, view.facts(dataset.ref, DatasetFacts)
    if not declared or facts is None:
        return
    absent = [name for name in declared if name not in facts.features]
    extra = [name for name in facts.features if name not in declared]
    if absent:
        message = f"{dataset.spec.location!r} has no column {absent[0]!r}"
        yield Breach("spec.features", message, did_you_mean(absent[0], facts.features))
    elif extra:
        message = f"{dataset.spec.location!r} has the column {extra[0]!r}, which features does not list"
        yield Breach("spec.features", message, f"write features: [{', '.join(facts.features)}], or remove it")


@rule("DS-012")
def same_hub_data_twice(view: View) -> Iterator[Breach]:
    """The same data set of the hub is registered twice.

    Two names for the same rows hide that an adapter was evaluated on what it was trained on. Another subset or
    revision is another data set.

    Bad:
        kind: Dataset
        metadata:
          name: tickets-again
        spec:
          type: huggingface
          huggingface_name: acme/tickets  # <-
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    Good:
        kind: Dataset
        metadata:
          name: tickets-again
        spec:
          type: huggingface
          huggingface_name: acme/tickets
          revision: 0123456789abcdef0123456789abcdef01234567
    """
    first: dict[tuple[str, str, str], Dataset] = {}
    for dataset, source in view.each(Dataset):
        spec = dataset.spec
        name = spec.huggingface_name.strip()
        if spec.type == DatasetType.HUGGINGFACE and name:
            before = first.setdefault((name, spec.revision, spec.subset), dataset)
            yield from _twice(before, dataset, source, "huggingface_name", name)


@rule("DS-013", severity=Severity.WARNING)
def same_file_twice(view: View) -> Iterator[Breach]:
    """The same file or folder is registered twice.

    Both names work, and both mean the same rows; a change of one is a change of the other.

    Bad:
        kind: Dataset
        metadata:
          name: tickets-again
        spec:
          type: project_csv
          location: ./data/tickets.csv  # <-
    Good:
        kind: Dataset
        metadata:
          name: tickets-again
        spec:
          type: project_jsonl
          location: data/tickets.jsonl
    """
    first: dict[str, Dataset] = {}
    for dataset, source in view.each(Dataset):
        location = dataset.spec.location
        if location and dataset.spec.type in members(DatasetType) and dataset.spec.type != DatasetType.HUGGINGFACE:
            before = first.setdefault(posixpath.normpath(location), dataset)
            yield from _twice(before, dataset, source, "location", location)


def _twice(before: Dataset, dataset: Dataset, source: Source, field: str, value: str) -> Iterator[Breach]:
    if before is not dataset:
        hint = f"use {before.ref} in its place, or remove one of them"
        yield Breach(f"spec.{field}", f"{value!r} is already registered as {before.ref}", hint, dataset.ref, source)
