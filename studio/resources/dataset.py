"""Dataset: a reference to rows on the hub or in the project."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Strict

from studio.resources.base import DESCRIPTIVE, OUTCOME, Resource, Spec, field


class DatasetType(StrEnum):
    """Guide, Type Enums."""

    HUGGINGFACE = "huggingface"
    PROJECT = "project"
    PROJECT_CSV = "project_csv"
    PROJECT_JSON = "project_json"
    PROJECT_JSONL = "project_jsonl"


EXTENSIONS = {DatasetType.PROJECT_CSV: ".csv", DatasetType.PROJECT_JSON: ".json", DatasetType.PROJECT_JSONL: ".jsonl"}
"""The file name's ending that a local type demands (guide, Dataset Specification)."""

HUB = [DatasetType.HUGGINGFACE.value]
LOCAL = [type.value for type in DatasetType if type is not DatasetType.HUGGINGFACE]


class DatasetSpec(Spec):
    type: str = field(OUTCOME, "Where the rows come from.", "", enum=[str(t) for t in DatasetType], required=True)
    huggingface_name: str = field(OUTCOME, "Hub identifier, such as owner/name.", "", types=HUB)
    revision: str = field(OUTCOME, "Commit, tag or branch on the hub; pin a commit.", "", types=HUB)
    subset: str = field(OUTCOME, "Configuration of the hub data set.", "", types=HUB)
    location: str = field(
        DESCRIPTIVE, "File or folder, relative to the project; the content decides, not the path.", "", types=LOCAL
    )
    features: Annotated[tuple[str, ...], Strict(False)] = field(
        DESCRIPTIVE, "Column names; asserted against the data when given.", ()
    )


class Dataset(Resource):
    kind: Literal["Dataset"] = "Dataset"
    spec: DatasetSpec


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What was read: column names in order, content digest (or hub commit), and rows where cheap."""

    features: tuple[str, ...]
    digest: str
    rows: int | None = None
