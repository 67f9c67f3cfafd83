"""What an engine of a workspace was given: the spec of a job, and arguments that must speak of the same job."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from studio import __version__
from studio.core import envelope
from studio.core.errors import JobError
from studio.core.jobspec import JobSpec
from studio.core.secrets import HIDDEN, names_secret, redact

SETTINGS = "studio.yaml"
ARGUMENTS_VARIABLE = "JOB_ARGUMENTS"


def received(environ: Mapping[str, str], folder: Path) -> JobSpec:
    """The spec, in the project that ``folder`` belongs to. Raises JobError when it is not this job's, or unreadable."""
    try:
        arguments = shlex.split(environ.get(ARGUMENTS_VARIABLE, ""))
    except ValueError as error:
        raise JobError(f"{ARGUMENTS_VARIABLE} cannot be read: {error}", "apply again") from error
    say(f"studio {__version__}, {ARGUMENTS_VARIABLE}: {shown(arguments) or 'none'}")
    spec = envelope.unpack(environ)
    _demand_same(spec, arguments)
    root = next((each for each in (folder, *folder.parents) if (each / SETTINGS).is_file()), None)
    if root is None:
        raise JobError(
            f"there is no {SETTINGS} in {folder} or above it: this is not the project that the job belongs to",
            "clone the project's repository into the workspace's project",
        )
    return spec.model_copy(update={"project_dir": str(root)})


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


def _demand_same(spec: JobSpec, arguments: list[str]) -> None:
    """The arguments are what a workspace shows of a run: they must not speak of another job than the one that runs."""
    given = dict(zip(arguments[::2], arguments[1::2], strict=False))
    for key, value in {"--parent_job_id": spec.key, "--attempt": spec.attempt, "--part": spec.part}.items():
        if given.get(key, "0" if key == "--part" else "") != str(value):
            raise JobError(
                f"{ARGUMENTS_VARIABLE} says {key} {given.get(key, '(nothing)')}, the job that was sent is {value}",
                "apply again; runs are started by studio apply, not by hand",
            )
