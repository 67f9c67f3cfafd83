"""DS: the files behind data sets."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.enumerations import members
from studio.load.observation import Defect
from studio.resources.dataset import EXTENSIONS, Dataset, DatasetType
from studio.rules.base import Breach, View, defects, rule


@rule("DS-003", Dataset)
def missing_file(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The file or folder is not given, does not exist, or has another extension than the type demands.

    The extension decides which reader is used; a JSON file under the name of a CSV gives columns of brackets.

    Bad:
        kind: Dataset
        spec:
          type: project_csv
          location: data/tickets.jsonl  # <-
    Good:
        kind: Dataset
        spec:
          type: project_jsonl
          location: data/tickets.jsonl
    """
    spec = dataset.spec
    if spec.type in members(DatasetType) and spec.type != DatasetType.HUGGINGFACE and not spec.location:
        ending = EXTENSIONS.get(DatasetType(spec.type))
        hint = f"name a file that ends in {ending}" if ending else "name a folder"
        yield Breach("spec.location", f"location is missing; the type {spec.type} needs one", hint)
    yield from defects(view, dataset.ref, Defect.MISSING, Defect.EXTENSION)


@rule("DS-004", Dataset)
def unreadable_file(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The file is there and cannot be read.

    Usually its rights do not allow it; the job would find out only after it was placed.

    Bad:
        kind: Dataset
        spec:
          location: data/locked.csv  # <-
    Good:
        kind: Dataset
        spec:
          location: data/tickets.csv
    """
    yield from defects(view, dataset.ref, Defect.UNREADABLE)


@rule("DS-005", Dataset)
def empty_file(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The file holds no rows.

    Usually an export that went wrong. There is nothing to learn from it.

    Bad:
        kind: Dataset
        spec:
          location: data/empty.csv  # <-
    Good:
        kind: Dataset
        spec:
          location: data/tickets.csv
    """
    yield from defects(view, dataset.ref, Defect.EMPTY)


@rule("DS-006", Dataset)
def ragged_rows(dataset: Dataset, view: View) -> Iterator[Breach]:
    """A row has more or fewer cells than the header, or other keys than the first row.

    Some readers drop such rows, some shift their cells into the wrong columns, and none of them says so.

    Bad:
        kind: Dataset
        spec:
          location: data/ragged.csv  # <-
    Good:
        kind: Dataset
        spec:
          location: data/tickets.csv
    """
    yield from defects(view, dataset.ref, Defect.RAGGED)


@rule("DS-007", Dataset)
def not_utf8(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The file is not UTF-8 text, or holds half of a surrogate pair.

    Read with a guessed encoding, names and umlauts would be trained on as garbage. JSON can escape one half of a
    surrogate pair (``\\ud83d`` alone), which is no character: no tokenizer takes it.

    Bad:
        kind: Dataset
        spec:
          location: data/latin1.csv  # <-
    Good:
        kind: Dataset
        spec:
          location: data/bom.csv
    """
    yield from defects(view, dataset.ref, Defect.ENCODING)


@rule("DS-008", Dataset)
def malformed_file(dataset: Dataset, view: View) -> Iterator[Breach]:
    """The file is not valid CSV, JSON or JSON lines.

    Bad:
        kind: Dataset
        spec:
          type: project_json
          location: data/broken.json  # <-
    Good:
        kind: Dataset
        spec:
          type: project_json
          location: data/tickets.json
    """
    yield from defects(view, dataset.ref, Defect.SYNTAX)
