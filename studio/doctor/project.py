"""Checks of the project: its files, its state and its history."""

from __future__ import annotations

from studio.doctor.checkup import Checkup, Surroundings, Verdict
from studio.load.commit import commit

VALIDATE = "'studio validate' shows what and where"


def project(around: Surroundings) -> Checkup:
    loaded = around.loaded
    if loaded is None:
        return Checkup(Verdict.WARNING, f"no studio.yaml in {around.folder} or above it",
                       "'studio init' starts a project; --project FOLDER names one")  # fmt: skip
    found = f"{loaded.root}: {len(loaded.manifests)} resources, {len(around.asked())} of them jobs"
    if loaded.damaged:
        return Checkup(Verdict.MISSING, f"{found}; studio.yaml has errors", VALIDATE)
    if loaded.problems:
        return Checkup(Verdict.WARNING, f"{found}; {len(loaded.problems)} problems in the files", VALIDATE)
    return Checkup(Verdict.OK, found)


def state(around: Surroundings) -> Checkup | None:
    """Whether the state can be read, in which schema it is, and who holds its lock."""
    from studio.state import engine
    from studio.state.faults import place
    from studio.state.sql import SqlState

    if around.loaded is None:
        return None
    located = engine.locate(around.state_url(), around.loaded.root)
    where = place(located)
    file = engine.sqlite_file(located)
    if file is not None and not file.exists():
        return Checkup(Verdict.OK, f"{where}: none yet, the first apply creates it")
    opened = engine.connect(located, read_only=True)
    try:
        schema = engine.readable(opened)
        if schema is None:
            return Checkup(Verdict.OK, f"{where}: empty, the first apply fills it")
        lease = SqlState(opened, around.loaded.environment, revision=schema).lease()
    finally:
        opened.dispose()
    forward = "" if schema == engine.HEAD else f", which the next apply brings forward to {engine.HEAD}"
    found = f"{where}: schema {schema}{forward}"
    if lease:
        wait = f"wait for it; a killed one's lock expires in {lease.left:.0f} s"
        return Checkup(Verdict.WARNING, f"{found}; locked by {lease.holder}", wait)
    return Checkup(Verdict.OK, f"{found}, not locked")


def git(around: Surroundings) -> Checkup | None:
    """The commit that records will name."""
    if around.loaded is None:
        return None
    found = commit(around.loaded.root, around.environ)
    if not found:
        return Checkup(Verdict.WARNING, "no commit", "commit the project, so that records say what was applied")
    if found.endswith("-dirty"):
        return Checkup(Verdict.WARNING, f"{found.removesuffix('-dirty')}, with changes that are not committed",
                       "commit them, so that records say what was applied")  # fmt: skip
    return Checkup(Verdict.OK, found)
