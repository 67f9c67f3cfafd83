"""The serving spec: what answers requests, fully resolved, as a job spec is for a job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from studio.core.conversations import Turn
from studio.core.jobspec import AdapterInput, ModelInput, Resources, Tracking
from studio.core.record import Record


class RegisteredVersion(Record):
    """A version in MLflow's registry; its files say which base model they need, if any."""

    model_name: str
    model_version: str


class ServingSpec(Record):
    """A base model, alone or with an adapter, or a registered version."""

    name: str
    """What requests call it."""
    title: str
    """What people call it, such as ``FineTuningJob/router``."""
    model: ModelInput | None = None
    adapter: AdapterInput | None = None
    version: RegisteredVersion | None = None
    generation: dict[str, Any] | None = None
    """None: as a version was registered with, else the defaults."""
    allow_remote_code: tuple[str, ...] = ()
    """Hub names whose own code may run, where a version names its base model."""
    project_dir: str = ""
    tracking: Tracking = Tracking(tracking_uri="", experiment="")
    resources: Resources = Resources()
    secrets: dict[str, str] = Field(default_factory=dict)
    """Purpose to environment variable name; never a value."""

    def path(self, location: str) -> Path:
        """A location of this spec as an absolute path."""
        return Path(self.project_dir, location)


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, where it is from, and what the row it was made from has for an answer.

    ``turns`` are there where the job was trained on conversations; ``prompt`` then shows them.
    """

    prompt: str
    origin: str = ""
    expected: str | None = None
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """Who is asked. ``beside`` is the base as a model of its own; None where the subject's own base answers."""

    subject: ServingSpec
    beside: ServingSpec | None
    made: str
    base: str
    """What the two are called."""
