"""Commands to type next, exactly as they must be typed where the present one was."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from studio.load.project import DEFAULT_ENVIRONMENT


@dataclass(frozen=True, slots=True)
class Here:
    """The project and environment that the present command was given."""

    folder: str = "."
    environment: str = DEFAULT_ENVIRONMENT

    def command(self, *words: str) -> str:
        """``studio`` with these words, in the same project and environment."""
        place = [] if self.folder == "." else ["-C", self.folder]
        place += [] if self.environment == DEFAULT_ENVIRONMENT else ["--env", self.environment]
        return shlex.join(["studio", *words, *place])
