"""Checkpoints of a training run: which are whole, and what of them must not stay.

A killed worker leaves a folder half written. A checkpoint counts only when its manifest, written last, names every
file with its size.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from studio.core.atomic import write_atomically
from studio.jobs import ranks
from studio.jobs.model.adapters import PICKLED_ARGUMENTS

PREFIX = "checkpoint-"
MANIFEST = "studio.complete.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint: its folder, its optimizer step and the seconds trained up to it."""

    folder: Path
    step: int
    seconds: float


def seal(folder: Path, seconds: float) -> None:
    """Drop the pickled arguments and write the manifest: from now on the checkpoint counts."""
    (folder / PICKLED_ARGUMENTS).unlink(missing_ok=True)
    content = {"seconds": seconds, "files": _sizes(folder)}
    write_atomically(folder / MANIFEST, json.dumps(content, sort_keys=True).encode())


def latest(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint in ``folder``; broken ones are removed, so that nothing picks them up later."""
    whole = []
    for candidate in sorted(folder.glob(f"{PREFIX}*")):
        checkpoint = _read(candidate)
        if checkpoint:
            whole.append(checkpoint)
        elif ranks.is_main():
            shutil.rmtree(candidate)
    return max(whole, key=lambda checkpoint: checkpoint.step, default=None)


def drop_after(folder: Path, step: int) -> int | None:
    """Remove what was saved after ``step``, when training had gone wrong; the step of the newest one that stays."""
    for candidate in sorted(folder.glob(f"{PREFIX}*")):
        checkpoint = _read(candidate)
        if checkpoint is None or checkpoint.step > step:
            shutil.rmtree(candidate)
    left = latest(folder)
    return left.step if left else None


def _read(folder: Path) -> Checkpoint | None:
    manifest = folder / MANIFEST
    number = folder.name.removeprefix(PREFIX)
    if not manifest.exists() or not number.isdigit():
        return None
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        if not content["files"].items() <= _sizes(folder).items():  # other ranks may add files after the manifest
            return None
    except FileNotFoundError:  # broken, and being removed by the first rank
        return None
    return Checkpoint(folder, int(number), float(content["seconds"]))


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(folder)): path.stat().st_size for path in files}
