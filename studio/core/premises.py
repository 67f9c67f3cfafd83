"""What is needed to find a model's files, whatever for: a job spec says it, and so does a serving spec."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from studio.core.jobspec import Tracking


class Premises(Protocol):
    """The project's folder, its MLflow, and the names of the variables that hold secrets."""

    @property
    def project_dir(self) -> str: ...

    @property
    def tracking(self) -> Tracking: ...

    @property
    def secrets(self) -> dict[str, str]: ...

    def path(self, location: str) -> Path:
        """A location as an absolute path."""
