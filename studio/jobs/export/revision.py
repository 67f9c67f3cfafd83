"""Revision: what changed about an adapter or a registered version is carried out; nothing is made again.

What is as it should be is left alone, so a revision may run any number of times.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from studio.core.errors import JobError
from studio.core.fingerprints import folder_digest, tree
from studio.core.jobresult import RevisionOutput
from studio.core.jobspec import AdapterInput, CopyRevision, JobSpec, RevisionWork
from studio.jobs.events import EventLog
from studio.jobs.result import Outcome


def run(spec: JobSpec, events: EventLog) -> Outcome:
    """Carry out what changed. Raises JobError when what it is about is not what was recorded."""
    work = spec.work
    if not isinstance(work, RevisionWork):
        raise TypeError(f"revision was given {type(work).__name__}")
    changes = [f"a copy of the adapter in {each.target}" for each in work.copies if _copied(spec, each)]
    if work.versions:
        changes += _revised(spec, work)
    for change in changes:
        events.write("revise", change)
    return Outcome(RevisionOutput(changes=tuple(changes)))


def _copied(spec: JobSpec, wanted: CopyRevision) -> bool:
    source, target = _source(spec, wanted), spec.path(wanted.target)
    files = tree(source)
    if not files:
        raise JobError(f"the adapter {wanted.source} is gone", "'studio apply --refresh' trains it again")
    if folder_digest(files) != wanted.digest:
        hint = "'studio drift' tells more; 'studio apply --refresh' trains it again"
        raise JobError(f"files in {wanted.source} are not those that training wrote", hint)
    there = {name: target / name for name in files if (target / name).is_file()}
    if there.keys() == files.keys() and folder_digest(there) == wanted.digest:
        return False
    _place(files, target)
    return True


def _place(files: Mapping[str, Path], target: Path) -> None:
    """All files at once where nothing is yet, else one by one, each whole: a copy that is cut short is not found."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copying-") as inside:
        whole = Path(inside, target.name)
        for name, path in files.items():
            (whole / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, whole / name)
        try:
            whole.rename(target)
        except OSError:
            if not target.is_dir():
                raise
            for name in files:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (whole / name).replace(target / name)


def _source(spec: JobSpec, wanted: CopyRevision) -> Path:
    """Where the adapter was trained; fetched from the server that keeps it where that was on another disk."""
    trained = spec.path(wanted.source)
    if wanted.kept is None or trained.is_dir():
        return trained
    from studio.jobs.model import adapters

    held = AdapterInput(
        name=wanted.source, type="project", location=wanted.source, digest=wanted.digest, kept=wanted.kept
    )
    return adapters.folder(held, spec)


def _revised(spec: JobSpec, work: RevisionWork) -> list[str]:
    from studio.jobs import tracking, versions

    with tracking.registry(spec) as client:
        return [change for each in work.versions for change in versions.revise(client, each)]
