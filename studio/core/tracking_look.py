"""What is asked of MLflow without changing it, and what it answers: JSON between two processes."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from studio.core.jobresult import Failure
from studio.core.jobspec import Tracking
from studio.core.record import Record

KEY_TAG = "studio.key"
FINGERPRINT_TAG = "studio.fingerprint"
"""Tags in which runs and registered versions say which job made them, of what."""
COMBINATION_TAG = "studio.combination"
"""Which combination of an evaluation a run is of, from 1 on."""


class RunLook(StrEnum):
    """What became of an MLflow run."""

    THERE = "there"
    DELETED = "deleted"
    MISSING = "missing"


class FilesLook(StrEnum):
    """Whether a version's files are where the registry says."""

    THERE = "there"
    GONE = "gone"
    MOVED = "moved"
    """They are in the project, which was moved; the registry still says where it was."""
    ELSEWHERE = "elsewhere"
    """On another machine, where nobody looks."""


class VersionName(Record):
    """A version of a registered model."""

    name: str
    version: str


class VersionLook(Record):
    """A registered version as it is now."""

    description: str = ""
    source: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    stage: str = ""
    files: FilesLook = FilesLook.ELSEWHERE


class LookRequest(Record):
    """Which runs and versions to look at, and where; a secret address is the name of a variable."""

    tracking: Tracking
    project_dir: str
    runs: tuple[str, ...] = ()
    versions: tuple[VersionName, ...] = ()


class LookAnswer(Record):
    """Runs by id; versions in the order of the request, None for one that is not there; or why nobody could look."""

    fault: Failure | None = None
    runs: dict[str, RunLook] = Field(default_factory=dict)
    versions: tuple[VersionLook | None, ...] = ()
