"""Which delivery of a run performs it: a workspace may start the same run twice, and the job must run once.

A claim is a file of the attempt that exactly one engine can make, and a lock that lasts as long as the process that
holds it. An engine that was restarted finds its own claim without a lock, and goes on.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.core.errors import JobError
from studio.jobs import run_folder

HANDOVER_SECONDS = 90.0
"""How long an earlier attempt may still hold the lock: it was asked to stop, and may take its time."""
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
"""What file systems say that know no locks; there the file alone decides."""
_NAME = re.compile(r"claim-([1-9][0-9]{0,5})\.json")


@dataclass(frozen=True, slots=True)
class Claim:
    """``lock`` is the lock's descriptor, for the job to inherit; None on a disk without locks."""

    engine: str
    lock: int | None


def take(folder: Path, attempt: int, engine: str, clock: Callable[[], float] = time.monotonic) -> Claim | None:
    """Claim an attempt for this engine; None when another delivery has it, or a later attempt has begun.

    Raises JobError when an earlier attempt goes on and on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if _passed(folder, attempt) or _other(folder, attempt, engine):
        return None
    lock = _lock(folder, attempt, clock)
    if lock == _HELD:
        return None
    if not _written(folder, attempt, engine):
        if lock is not None:
            os.close(lock)
        return None
    return Claim(engine, lock)


def is_taken(folder: Path, attempt: int) -> bool:
    """Whether an engine has the attempt."""
    return (folder / _name(attempt)).exists()


_HELD = -1
"""In place of a descriptor: the lock is with a process that performs the same attempt."""


def _lock(folder: Path, attempt: int, clock: Callable[[], float]) -> int | None:
    deadline = clock() + HANDOVER_SECONDS
    while True:
        try:
            lock = run_folder.take_lock(folder)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return None
            raise
        if lock is not None:
            return lock
        if is_taken(folder, attempt) or _passed(folder, attempt):
            return _HELD
        if clock() > deadline:
            message = f"an earlier attempt still runs in {folder}, {HANDOVER_SECONDS:.0f} s after this one began"
            raise JobError(message, "stop its run in the workspace, then apply again")
        time.sleep(0.2)


def _passed(folder: Path, attempt: int) -> bool:
    """Whether a later attempt was claimed: this one was delivered too late."""
    found = (_NAME.fullmatch(path.name) for path in folder.glob("claim-*.json"))
    return any(int(each[1]) > attempt for each in found if each)


def _other(folder: Path, attempt: int, engine: str) -> bool:
    """Whether another engine has the attempt."""
    return run_folder.read(folder / _name(attempt)).get("engine", engine) != engine


def _written(folder: Path, attempt: int, engine: str) -> bool:
    """Make the claim's file, whole and only once; whether the attempt is this engine's."""
    draft = folder / f".claim-{os.getpid()}"
    run_folder.write(draft, {"engine": engine, "claimed_at": time.time()})
    try:
        os.link(draft, folder / _name(attempt))
    except FileExistsError:
        return not _other(folder, attempt, engine)
    finally:
        draft.unlink()
    return True


def _name(attempt: int) -> str:
    return f"claim-{attempt}.json"
