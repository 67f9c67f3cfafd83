"""Who performs a job together: the table of launchers, and what is asked of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from studio.core.jobspec import JobSpec, TrainingWork
from studio.jobs import launching
from studio.jobs.workspace import crew


class Team(Protocol):
    """The processes of one attempt. The first of them is started and attended by whoever asks for the team."""

    @property
    def command(self) -> list[str]:
        """Command line of the first process."""

    @property
    def variables(self) -> Mapping[str, str]:
        """What the first process must find in its environment."""

    def trouble(self) -> str:
        """Why the others cannot go on, in words; "" as long as they can. Asked all the while."""

    def settle(self, code: int, stopped: bool) -> str:
        """Wait for the others after the first process has ended, by itself or because it was ``stopped``; who made it
        fail, in words, "" when nobody did."""

    def dismiss(self) -> None:
        """End what still runs. Called last, in any case, and more than once."""


@dataclass(frozen=True, slots=True)
class Here:
    """All processes on this machine: torch's launcher looks after them."""

    command: list[str]
    variables: Mapping[str, str] = field(default_factory=dict)

    def trouble(self) -> str:
        return ""

    def settle(self, code: int, stopped: bool) -> str:
        return ""

    def dismiss(self) -> None:
        return


def _here(spec: JobSpec, file: Path, environ: Mapping[str, str]) -> Team:
    return Here(launching.command(_processes(spec), file))


def _processes(spec: JobSpec) -> int:
    framework = spec.work.framework if isinstance(spec.work, TrainingWork) else ""
    return launching.launched(spec.resources.workers, framework)


Launcher = Callable[[JobSpec, Path, Mapping[str, str]], Team]
LAUNCHERS: dict[str, Launcher] = {"here": _here, "workspace": crew.muster}


def gather(spec: JobSpec, file: Path, environ: Mapping[str, str]) -> Team:
    """The team for a job whose spec is in ``file``. Raises JobError when it cannot be brought together."""
    several = _processes(spec) > 1 and crew.engines() is not None
    return LAUNCHERS["workspace" if several else "here"](spec, file, environ)
