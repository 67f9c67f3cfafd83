"""What an engine of a workspace was given: the spec of a job, and arguments that must speak of the same job."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from studio import __version__
from studio.core import beacons, envelope
from studio.core.beacons import Beacon
from studio.core.errors import JobError
from studio.core.jobspec import JobSpec
from studio.core.secrets import HIDDEN, names_secret, redact

SETTINGS = "studio.yaml"
ARGUMENTS_VARIABLE = "JOB_ARGUMENTS"
KEY, ATTEMPT, PART = "--job_key", "--attempt", "--part"


class UnreadableError(JobError):
    """What was sent is no spec that this studio can run. ``beacon`` is which attempt the arguments say it is of."""

    def __init__(self, cause: JobError, beacon: Beacon | None) -> None:
        super().__init__(cause.message, cause.hint)
        self.beacon = beacon


def received(environ: Mapping[str, str], folder: Path) -> JobSpec:
    """The spec, in the project that ``folder`` belongs to. Raises JobError when it is not this job's, or unreadable."""
    try:
        arguments = shlex.split(environ.get(ARGUMENTS_VARIABLE, ""))
    except ValueError as error:
        raise JobError(f"{ARGUMENTS_VARIABLE} cannot be read: {error}", "apply again") from error
    say(f"studio {__version__}, {ARGUMENTS_VARIABLE}: {shown(arguments) or 'none'}")
    given = dict(zip(arguments[::2], arguments[1::2], strict=False))
    try:
        spec = envelope.unpack(environ)
    except JobError as error:
        started_by_hand = envelope.SPEC_VARIABLE not in environ
        raise UnreadableError(error, None if started_by_hand else _beacon(given)) from error
    _demand_same(spec, given)
    root = project(folder)
    if root is None:
        raise JobError(
            f"there is no {SETTINGS} in {folder} or above it: this is not the project that the job belongs to",
            "clone the project's repository into the workspace's project",
        )
    return spec.model_copy(update={"project_dir": str(root)})


def project(folder: Path) -> Path | None:
    """The project that a folder is in; None when it is in none."""
    return next((each for each in (folder, *folder.parents) if (each / SETTINGS).is_file()), None)


def shown(arguments: list[str]) -> str:
    """A command line for the record: nothing that looks like a secret, nor what follows a key that names one."""
    before = ["", *arguments]
    return shlex.join(
        HIDDEN if names_secret(key.removeprefix("--")) and key.startswith("--") else redact(value)
        for key, value in zip(before, arguments, strict=False)
    )


def say(text: str) -> None:
    """A line on the console of the engine."""
    print(text, flush=True)


def _demand_same(spec: JobSpec, given: Mapping[str, str]) -> None:
    """The arguments are what a workspace shows of a run: they must not speak of another job than the one that runs."""
    for key, value in {KEY: spec.key, ATTEMPT: spec.attempt, PART: spec.part}.items():
        if given.get(key, "0" if key == PART else "") != str(value):
            raise JobError(
                f"{ARGUMENTS_VARIABLE} says {key} {given.get(key, '(nothing)')}, the job that was sent is {value}",
                "apply again; runs are started by studio apply, not by hand",
            )


def _beacon(given: Mapping[str, str]) -> Beacon | None:
    part = f".part-{given[PART]}" if PART in given else ""
    return beacons.parse(f"{given.get(KEY)}@{given.get(ATTEMPT)}{part}")
