"""A training script as a program beside the job: what it may see, and whether it still does something."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studio.core.errors import JobError
from studio.core.jobspec import JobSpec
from studio.jobs import child, offspring
from studio.jobs.hiding import Hide
from studio.jobs.inputs.hub import TOKEN_PURPOSE
from studio.script import VARIABLE

LOOK_SECONDS, IDLE_SECONDS, LEAST_BUSY = 30.0, 1800.0, 1.0
"""How often it is looked whether anything computes; a script that tells nothing and computes less than a second of
processor time in half an hour hangs."""
LOG_HINT = "the log has what it printed; whatever it imports must be installed where jobs run"


@dataclass(frozen=True, slots=True)
class Script:
    """What to run: the file, the JSON file with the job, and the folder to run in."""

    name: str
    file: Path
    job: Path
    place: Path
    environ: Mapping[str, str]
    hide: Hide


@dataclass(slots=True)
class Pulse:
    """Whether the script still does something; ``told`` is called when it has said something."""

    last: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)
    busy: float = 0.0

    def told(self) -> None:
        self.last = time.monotonic()

    def look(self) -> None:
        """Raises JobError for a script that has long done nothing, and nothing that it started either."""
        now = time.monotonic()
        if now - self.looked < LOOK_SECONDS:
            return
        self.looked = now
        busy = offspring.seconds(offspring.below())
        if abs(busy - self.busy) > LEAST_BUSY:
            self.busy, self.last = busy, now
        elif now - self.last > IDLE_SECONDS and busy:
            raise JobError(
                f"the script has done nothing for {IDLE_SECONDS / 60:.0f} minutes: no event, no processor time",
                "it waits for something that does not come; one that works elsewhere writes an event now and then",
            )


def run(script: Script, tick: Callable[[Pulse], None]) -> None:
    """Run it to its end, calling ``tick`` all the while. Raises JobError when it does not end well."""
    pulse = Pulse()

    def look() -> None:
        tick(pulse)
        pulse.look()

    line = [sys.executable, str(script.file), str(script.job)]
    more = {VARIABLE: str(script.job), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    code, spoken = child.run(line, {**script.environ, **more}, script.place, look, script.hide)
    if code:
        words = spoken.words()
        raise JobError(f"the script {script.name} {child.ended(code)}{f': {words}' if words else ''}", LOG_HINT)


def environment(spec: JobSpec) -> dict[str, str]:
    """The job's own without its secrets, but for those that its spec names, and with the script's folder among the
    places where it finds modules, as always in Python. The hub's token has the name that libraries look for, too."""
    given = {name: os.environ[name] for name in spec.secrets.values() if name in os.environ}
    token = given.get(spec.secrets.get(TOKEN_PURPOSE, ""))
    kept = {name: value for name, value in child.without_secrets(spec).items() if name != "PYTHONSAFEPATH"}
    return {**kept, **({"HF_TOKEN": token} if token else {}), **given}
