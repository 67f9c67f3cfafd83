"""Looking at what manifests point to: facts, or why there are none. Reads only, and only inside the project."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from studio.core.suggest import nearest
from studio.load import files
from studio.load.witness import note
from studio.resources.adapter import AdapterFacts
from studio.resources.dataset import DatasetFacts
from studio.resources.evaluation_job import TaskFacts
from studio.resources.fine_tuning_job import JobFacts
from studio.resources.model import ModelFacts
from studio.resources.prompt import PromptFacts


class Defect(StrEnum):
    """What is wrong with an input; each is reported by one rule."""

    MISSING = "missing"
    OUTSIDE = "outside"
    EXTENSION = "extension"
    EMPTY = "empty"
    ENCODING = "encoding"
    SEPARATOR = "separator"
    SYNTAX = "syntax"
    RAGGED = "ragged"
    INCOMPLETE = "incomplete"
    PICKLE = "pickle"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Unusable:
    """An input that cannot be used: which defect, in words, and what to do next."""

    defect: Defect
    message: str
    hint: str


Facts = DatasetFacts | ModelFacts | AdapterFacts | PromptFacts | JobFacts | TaskFacts
Observation = Facts | Unusable | None
"""None: nothing can be known without the network."""


def folder_files(folder: Path) -> dict[str, Path]:
    """Relative name to path of the regular files below ``folder``, hidden ones left out, sorted. Raises OSError
    when a folder in it cannot be listed: a digest of the rest would be one of something else."""
    found = {name: folder / name for name in sorted(files.below(folder, ".", _refused))}
    for path in found.values():
        note(str(path))
    return {name: path for name, path in found.items() if path.is_file()}


def _refused(_: str, error: OSError) -> None:
    raise error


def leaving(location: str, content: dict[str, Path], root: Path) -> Unusable | None:
    """Why a folder is refused in which a link leads out of the project; nothing outside is read."""
    for name, path in content.items():
        if path.is_symlink() and files.inside(root, str(path)) is None:
            hint = "copy the file in place of the link, or use a hub name"
            return Unusable(Defect.OUTSIDE, f"{location}/{name} is a link that leaves the project", hint)
    return None


def missing(root: Path, location: str, kind: str, *, folder: bool = False) -> Unusable:
    return Unusable(Defect.MISSING, f"{kind} {location!r} does not exist", _instead(root, location, folder))


def _instead(root: Path, location: str, folder: bool) -> str:
    """What to do about a location where nothing is."""
    if "://" in location:
        return "locations are paths in the project: download it, and name the copy"
    if location.startswith("~"):
        return "locations are relative to the project, ~ means nothing in them: copy it into the project"
    if "\\" in location:
        return f"write {location.replace(chr(92), '/')}: folders are separated by /"
    parent, _, name = location.rstrip("/").rpartition("/")
    stem, dot, ending = name.rpartition(".") if "." in name and not folder else (name, "", "")
    names = files.names_in(root, parent or ".", folders=folder)
    stems = {each.removesuffix(dot + ending): each for each in names}  # what every name ends in makes none similar
    if near := stems.get(nearest(stem, stems) or ""):
        return f"did you mean {'/'.join(filter(None, (parent, near)))!r}?"
    return "correct the path; it is relative to the project"


def outside(location: str) -> Unusable:
    return Unusable(Defect.OUTSIDE, f"{location!r} leaves the project", "copy it into the project, or use a hub name")


def unreadable(location: str, error: OSError) -> Unusable:
    return Unusable(
        Defect.UNREADABLE, f"{location!r} cannot be read: {error.strerror}", "check the file and its rights"
    )
