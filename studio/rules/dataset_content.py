"""DS: what the rows of a file hold."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.load.observation import Defect
from studio.resources.dataset import Dataset
from studio.rules import measures
from studio.rules.base import Breach, View, defects, rule

REPEATED = 0.1
"""Share of repeated rows from which on they are reported."""


@rule("DS-016", Dataset)
def other_separator(dataset: Dataset, view: View) -> Iterator[Breach]:
    """A CSV file seems to be separated by semicolons, tabs or vertical bars.

    Spreadsheets of some countries separate cells by semicolons. Read with commas, such a file is one column of
    everything, or no CSV at all when its cells are in quotes.

    Bad:
        kind: Dataset
        metadata: {name: exported}
        spec:
          location: data/semicolons.csv  # <-
    Good:
        kind: Dataset
        metadata: {name: exported}
        spec:
          location: data/tickets.csv
    """
    yield from defects(view, dataset.ref, Defect.SEPARATOR)


@rule("DS-017", Dataset, severity=Severity.WARNING)
def repeated_rows(dataset: Dataset, view: View) -> Iterator[Breach]:
    """A tenth or more of the rows are repetitions of others.

    A row that is there twice is trained on and then evaluated on: the held-out rows no longer tell what was learnt.

    Bad:
        kind: Dataset
        metadata: {name: doubled}
        spec:
          location: data/doubled.csv  # <-
    Good:
        kind: Dataset
        metadata: {name: doubled}
        spec:
          location: data/tickets.csv
    """
    known = measures.profile(view, dataset.ref)
    if known and known.repeated >= REPEATED * known.hashed and known.repeated:
        share = f"{known.repeated / known.hashed:.0%}"
        message = f"{known.repeated:,} of {known.hashed:,} rows ({share}) are repetitions of others"
        yield Breach("spec.location", message, "remove them: held-out rows must be new to the model")


@rule("DS-018", Dataset, severity=Severity.WARNING)
def empty_column(dataset: Dataset, view: View) -> Iterator[Breach]:
    """A column is empty in every row.

    Usually an export that lost it. A template that uses it would show nothing.

    Bad:
        kind: Dataset
        metadata: {name: hollow}
        spec:
          location: data/hollow.csv  # <-
    Good:
        kind: Dataset
        metadata: {name: hollow}
        spec:
          location: data/tickets.csv
    """
    known = measures.profile(view, dataset.ref)
    if known is None:
        return
    for name, column in sorted(known.columns.items()):
        if column.empty == known.measured:
            message = f"the column {name!r} is empty in all {known.measured:,} rows that were looked at"
            yield Breach("spec.location", message, "export it again, or remove the column")
