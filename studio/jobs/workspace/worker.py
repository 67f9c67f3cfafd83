"""What a job of a workspace runs: receives a spec, claims the attempt, performs the job in a process of its own, and
tells how far it is.

``cml/run_job.py`` of a project calls ``run``. Nothing here imports torch: that is for the process that does the work.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from studio.core import beacons
from studio.core.atomic import write_atomically
from studio.core.beacons import Beacon
from studio.core.errors import JobError, StudioError
from studio.core.event import Event
from studio.core.jobresult import Failure, JobResult
from studio.core.jobspec import EVENTS_FILE, LOG_FILE, RUNS_FOLDER, SPEC_FILE, JobSpec
from studio.jobs import events, ranks, run_folder
from studio.jobs.result import read_result, told, write_result
from studio.jobs.workspace import attending, claims, delivery, member, teams
from studio.jobs.workspace.attending import Process, Stop
from studio.jobs.workspace.delivery import UnreadableError
from studio.jobs.workspace.teams import Team

OK, FAILED, REFUSED = 0, 1, 64
BEACON_SECONDS = 2.0
"""Between two beacons of a job; each is a file that is written whole on a shared disk."""
STALE_SECONDS = 30 * 24 * 3600.0
"""Beacons so old are nobody's news: whoever still asks finds the result without them. A listing should stay short."""
ENGINE_VARIABLE = "CDSW_ENGINE_ID"
"""Which engine this is; a restarted one keeps its id."""


def run() -> None:
    """Perform the job that the environment describes; raises SystemExit for every end but a good one.

    An engine that runs scripts as a notebook runs cells takes any SystemExit for a failure, also one with 0.
    """
    with attending.stopping() as stop:
        code = (perform if ranks.is_main() else member.perform)(os.environ, Path.cwd(), stop)
    if code:
        raise SystemExit(code if code > 0 else 128 - code)


def perform(environ: Mapping[str, str], folder: Path, stop: Stop) -> int:
    """The job's exit code, or minus the signal that killed it; REFUSED where it was never begun."""
    beacon = None
    try:
        spec = delivery.received(environ, folder)
        beacon = beacons.of(spec)
        claim = claims.take(spec.folder, spec.attempt, environ.get(ENGINE_VARIABLE) or socket.gethostname())
        if claim is None:
            delivery.say(f"attempt {spec.attempt} of {spec.key} was delivered before: there is nothing to do")
            return OK
        return _Run(spec, environ, stop, claim.lock).whole()
    except (StudioError, OSError) as error:
        words = f"refused: {error}\n{getattr(error, 'hint', '')}".rstrip()
        delivery.say(words)
        beacon = error.beacon if isinstance(error, UnreadableError) else beacon
        if beacon and (root := delivery.project(folder)):
            _leave_words(root, beacon, words)
        return REFUSED


def _leave_words(root: Path, beacon: Beacon, words: str) -> None:
    """For whoever waits for a job that was never begun; not where another engine performs it."""
    own = root / RUNS_FOLDER / beacon.key / (f"part-{beacon.part}" if beacon.part else "")
    if claims.is_taken(own, beacon.attempt):
        return
    try:
        own.mkdir(parents=True, exist_ok=True)
        with (own / LOG_FILE).open("a") as log:
            log.write(f"{words}\n")
        (root / beacons.FOLDER).mkdir(parents=True, exist_ok=True)
        write_atomically(root / beacon.end.path, beacons.told_end(beacons.Ended(code=REFUSED, time=time.time())))
    except OSError as error:
        delivery.say(f"these words could not be left in {own}: {error}")


@dataclass(slots=True)
class _Run:
    """One attempt, from its claim to its last beacon."""

    spec: JobSpec
    environ: Mapping[str, str]
    stop: Stop
    lock: int | None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    told: Event | None = None
    told_at: float = 0.0

    def whole(self) -> int:
        """Perform the job, unless this engine did so before it was started again; then say that it has ended."""
        result = self._result()
        code = REFUSED
        try:
            if result is None:
                self._sweep()
                self._tell(Event(time=self.began.timestamp(), phase="start", message="the engine has started"))
                code = self._perform()
            else:
                code = FAILED if result.failure else OK
        finally:
            self._tell_end(code)
        return code

    def _perform(self) -> int:
        file = self.spec.folder / SPEC_FILE
        run_folder.write(file, self.spec.model_dump_json(indent=1))
        try:
            team = teams.gather(self.spec, file, self.environ)
        except JobError as error:
            self._fail(error.message, error.hint)
            return FAILED
        try:
            return self._with(team)
        finally:
            team.dismiss()

    def _with(self, team: Team) -> int:
        """Attend the first process, and stop it for whatever happens to the others."""
        ending, trouble = Stop(), ""

        def tick() -> None:
            nonlocal trouble
            self._tell_progress()
            trouble = trouble or team.trouble()
            if (trouble or self.stop.asked) and not ending.asked:
                ending.ask()

        environ = {**self.environ, **team.variables}
        process = Process(team.command, self.spec, environ, self.spec.folder / LOG_FILE, self.lock)
        code = attending.attend(process, ending, tick)
        self._tell_progress(at_once=True)
        if self.stop.asked:
            return code
        blamed = team.settle(code, stopped=ending.asked)
        result = self._result()
        if result and not result.failure:
            return OK
        if blamed or (trouble and result is None):
            self._fail(blamed or trouble)
        return code or FAILED

    def _fail(self, message: str, hint: str = "apply again to resume it") -> None:
        """Leave a result for a job that could not leave its own."""
        seconds = (datetime.now(UTC) - self.began).total_seconds()
        result = told(self.spec, Failure(message=message, hint=hint), self.began, seconds)
        delivery.say(f"failed: {message}\n{hint}")
        write_result(self.spec.folder, result)

    def _result(self) -> JobResult | None:
        """What this attempt has left; None also for what cannot be read, which the job will write anew."""
        try:
            result = read_result(self.spec.folder)
        except ValidationError:
            return None
        return result if result and result.attempt == self.spec.attempt else None

    def _tell_progress(self, at_once: bool = False) -> None:
        """The job's latest event, for whoever watches from afar."""
        now = time.monotonic()
        if now - self.told_at < BEACON_SECONDS and not at_once:
            return
        event = events.last(self.spec.folder / EVENTS_FILE)
        if event and event != self.told and event.time >= self.began.timestamp():
            self._tell(event)
            self.told_at = now

    def _tell(self, event: Event) -> None:
        """A beacon that cannot be left is not worth a job: its result is found without one, only later."""
        self.told = event
        self._leave(beacons.of(self.spec), beacons.told(event))

    def _tell_end(self, code: int) -> None:
        ended = beacons.Ended(code=code, cancelled=self.stop.asked, time=time.time())
        self._leave(beacons.of(self.spec).end, beacons.told_end(ended))

    def _sweep(self) -> None:
        """Take away what jobs of long ago told."""
        before = time.time() - STALE_SECONDS
        for file in self.spec.path(beacons.FOLDER).glob("*@*"):
            with contextlib.suppress(OSError):  # another job was faster
                if beacons.parse(file.name) and file.stat().st_mtime < before:
                    file.unlink()

    def _leave(self, beacon: Beacon, content: bytes) -> None:
        path = self.spec.path(beacon.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        except OSError as error:
            delivery.say(f"{beacon.path} cannot be written: {error}")
