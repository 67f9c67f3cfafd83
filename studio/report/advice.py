"""Commands to type next, exactly as they must be typed where the present one was."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from studio.load.project import DEFAULT_ENVIRONMENT

DECIDING = ("plan", "apply")
"""Commands that look at what manifests say, and so take the values of variables."""


@dataclass(frozen=True, slots=True)
class Here:
    """The project, environment and variables that the present command was given."""

    folder: str = "."
    environment: str = DEFAULT_ENVIRONMENT
    variables: tuple[tuple[str, str], ...] = ()
    verb: str = "apply"
    """The command that goes on with what the present one began."""

    def command(self, *words: str) -> str:
        """``studio`` with these words, in the same project and environment."""
        place = [] if self.folder == "." else ["-C", self.folder]
        place += [] if self.environment == DEFAULT_ENVIRONMENT else ["--env", self.environment]
        if words[0] in DECIDING:
            place += [part for name, value in self.variables for part in ("--var", f"{name}={value}")]
        return shlex.join(["studio", *words, *place])
