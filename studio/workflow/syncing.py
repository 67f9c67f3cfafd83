"""Sync: a branch is followed, and each of its commits is made so, as apply would, within the safety limits.

A round looks at the branch, puts the newest commit into the work tree, plans, and applies what is pending. What a round
knows is in state, in the clone, and in a status file that is written whole: it may be killed at any moment.
"""

from __future__ import annotations

import fcntl
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from studio.apply.manner import Manner
from studio.apply.outcome import Watcher
from studio.checking import Checked
from studio.core.atomic import write_atomically
from studio.core.errors import StateLockedError, StudioError, UsageError
from studio.core.findings import EVERYTHING, OFFLINE, Finding, Phase, Severity
from studio.load.clone import Clone, GitError
from studio.plan.selection import Selection, Unmanaged
from studio.pursuit import Ending, Pursuit, Round, is_damaged, read, written
from studio.report.remarks import limit_words, names
from studio.workflow import applying, places, planning
from studio.workflow.applying import Applied
from studio.workflow.planning import Planned

STATUS, LOCK = ".studio/sync.json", ".studio/sync.lock"
SHOWN = 3
"""Findings, failures or files named in a line."""


@dataclass(frozen=True, slots=True)
class Course:
    """What is followed, and how."""

    root: Path
    environment: str
    remote: str
    ref: str
    interval: float
    parallelism: int = 4
    prune: bool = False
    once: bool = False
    online: bool = False
    """Ask the hub and the registry before something is applied."""
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Sync:
    """Rounds, one after the other. ``stops`` says whether to end; jobs that run go on."""

    course: Course
    clone: Clone
    watcher: Watcher
    stops: Callable[[], bool]
    clock: Callable[[], float]
    _looked: float = 0.0
    _began: bool = False
    """Whether the command line has proven right for some commit."""

    def round(self) -> Round:
        """Look at the branch once, and do what is to be done now. Raises nothing that a later round may mend, and
        UsageError when the command line does not fit the very first commit."""
        damaged = self._is_damaged()
        done = self._round()
        if not damaged or self._is_damaged():
            return done
        return replace(done, message="; ".join(filter(None, (done.message, f"{STATUS} was damaged and is begun anew"))))

    def _round(self) -> Round:
        try:
            newest = self._newest()
        except GitError as error:
            return Round(places.now(), "", Ending.UNREACHABLE, error.message)
        pursuit = replace(self._past(), seen=newest)
        target = pursuit.target(self.clock())
        if not target:
            return self._waiting(pursuit)
        done = self._attempt(target, pursuit)
        pursuit = self._noted(pursuit, done)
        back = pursuit.target(self.clock()) if pursuit.rejected and target == newest else ""
        if back:  # the clone shows what is in force, and jobs of the good commit are looked after
            done = self._attempt(back, pursuit)
            pursuit = self._noted(pursuit, done)
        if done.commit == newest:
            return done
        why = _why(pursuit, self.clock(), whole=target == newest)
        return replace(done, newest=newest, rejected=why)

    def _newest(self) -> str:
        self._looked = self.clock()
        return self.clone.fetch(self.course.remote, self.course.ref)

    def _attempt(self, commit: str, pursuit: Pursuit) -> Round:
        try:
            ending, message = self._make(commit, pursuit)
            self._began = True
        except StateLockedError as error:
            ending, message = Ending.LOCKED, error.message
        except UsageError as error:
            if not self._began:
                raise
            ending, message = Ending.MISUSED, " ".join(filter(None, (error.message, error.hint)))
        except StudioError as error:
            ending, message = Ending.BROKEN, " ".join(filter(None, (error.message, error.hint)))
        except OSError as error:  # such as a full disk
            ending, message = Ending.BROKEN, f"{error.filename or 'the machine'}: {error.strerror or error}"
        return Round(places.now(), commit, ending, message)

    def _make(self, commit: str, pursuit: Pursuit) -> tuple[Ending, str]:
        """Put a commit into the work tree and make it so."""
        edited = self.clone.changes()
        if edited:
            return Ending.EDITED, f"{names(edited, SHOWN)}: commit it, or take it back with git"
        head = self.clone.head()
        if head != commit:
            own = [each[:12] for each in self.clone.own()] if head else []
            if own:
                return (
                    Ending.AHEAD,
                    f"{names(own, SHOWN)}: push it, or leave it with 'git switch --detach {commit[:12]}'",
                )
            self.clone.checkout(commit)
        self.clone.remember(commit)
        planned = self._plan(OFFLINE)
        if isinstance(planned, Planned) and not planned.plan.pending and not planned.plan.left:
            return Ending.CURRENT, ""
        if isinstance(planned, Planned) and self.course.online:  # asked only when there is something to do
            planned = self._plan(EVERYTHING)
        if isinstance(planned, Checked):
            return Ending.ERRORS, _errors(planned.errors)
        if planned.plan.safety.exceeded:
            return Ending.REFUSED, f"{limit_words(planned.plan)}: 'studio apply --force' does it by hand"
        manner = Manner(detach=self.course.once, command="sync", leaves=lambda: self._leaves(pursuit.seen))
        return _ended(applying.apply(planned, self.watcher, self.course.parallelism, manner=manner))

    def _plan(self, phases: tuple[Phase, ...]) -> Planned | Checked:
        course = self.course
        selection = Selection(unmanaged=Unmanaged.DELETE if course.prune else Unmanaged.KEEP)
        return planning.plan(course.root, course.environment, phases, given=course.given, selection=selection)

    def _leaves(self, seen: str) -> bool:
        """Whether to leave jobs running: to end, or because the branch has moved on, asked once an interval."""
        if self.stops():
            return True
        if self.clock() - self._looked < self.course.interval:
            return False
        try:
            return self._newest() != seen
        except GitError:
            return False

    def _waiting(self, pursuit: Pursuit) -> Round:
        why = _why(pursuit, self.clock(), whole=False)
        return Round(places.now(), pursuit.seen, Ending.WAITING, why)

    def _is_damaged(self) -> bool:
        return is_damaged(_text(self.course.root / STATUS), self.course.environment)

    def _past(self) -> Pursuit:
        course = self.course
        return read(_text(course.root / STATUS), Pursuit(course.environment, course.remote, course.ref))

    def _noted(self, pursuit: Pursuit, done: Round) -> Pursuit:
        pursuit = pursuit.after(done, self.clock(), self.course.interval)
        file = self.course.root / STATUS
        write_atomically(file, written(_text(file), pursuit).encode())
        return pursuit


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """One sync in a clone: two would pull the work tree from under each other."""
    file = root / LOCK
    file.parent.mkdir(exist_ok=True)
    with file.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateLockedError(
                "another 'studio sync' runs in this clone", "end it, or use another clone"
            ) from error
        yield


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return json.dumps(None)
    except UnicodeDecodeError:
        return ""


def _why(pursuit: Pursuit, now: float, *, whole: bool) -> str:
    """What became of the newest commit: in full once, then only when it is tried again."""
    last = pursuit.tries[pursuit.seen]
    again = f"tried again in {max(0, round(last.next_try - now))} s"
    return f"{last.ending.value}: {last.message}; {again}" if whole else f"{last.ending.value}; {again}"


def _errors(findings: list[Finding]) -> str:
    errors = [each for each in findings if each.severity is Severity.ERROR]
    told = [f"{each.position or each.resource or 'studio.yaml'} {each.rule} {each.message}" for each in errors]
    count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
    return f"{count}: {'; '.join(told[:SHOWN])}" + (" …" if len(told) > SHOWN else "")


def _ended(applied: Applied) -> tuple[Ending, str]:
    pending = {action.ref for action in applied.plan.pending}
    counted = Counter(each.ending.value for ref, each in applied.outcomes.items() if ref in pending)
    told = [f"{count} {words}" for words, count in sorted(counted.items())]
    told += [
        f"{len(refs)} {words}" for refs, words in ((applied.running, "running"), (applied.waiting, "waiting")) if refs
    ]
    failed = [f"{each.action.ref}: {each.message}" for each in applied.failed if each.action.ref in pending]
    message = ", ".join(told) + (f" ({names(failed, SHOWN)})" if failed else "")
    if failed:
        return Ending.FAILED, message
    return (Ending.RUNNING if applied.running or applied.waiting else Ending.APPLIED), message
