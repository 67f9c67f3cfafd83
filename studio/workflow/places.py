"""Where an environment's state lives and where its jobs run, and the clock and ids that both are given."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from studio.backends import BACKENDS
from studio.backends.base import Backend
from studio.core.errors import StudioError
from studio.core.fingerprints import digest
from studio.core.suggest import did_you_mean
from studio.load import destinations
from studio.load.project import Loaded
from studio.load.settings import SecretName
from studio.state.base import StateReader

pause = time.sleep
"""Between two looks at running jobs; seconds."""
clock = time.time
"""Seconds since the epoch."""


def open_state(loaded: Loaded) -> StateReader:
    """The project's state, for reading."""
    demand_whole(loaded)
    from studio.state.sql import open_reader

    return open_reader(state_url(loaded), loaded.root, loaded.environment)


def demand_whole(loaded: Loaded) -> None:
    """Raise StudioError when studio.yaml does not reliably say where state is."""
    if loaded.damaged:
        raise StudioError("studio.yaml has errors", "'studio validate' shows them")


def state_url(loaded: Loaded) -> str:
    """Where state lives; a secret URL comes from the variable that studio.yaml names."""
    state = loaded.settings.spec.state
    if not isinstance(state, SecretName):
        return state
    value = os.environ.get(state.env)
    if not value:
        raise StudioError(
            f"the environment variable {state.env} is not set", "studio.yaml says it holds the state's URL"
        )
    return value


def backend(loaded: Loaded, environ: Mapping[str, str]) -> Backend:
    """Where jobs run."""
    type = loaded.settings.spec.backend.type
    if type not in BACKENDS:
        raise StudioError(f"the backend type {type!r} is unknown", did_you_mean(type, BACKENDS))
    return BACKENDS[type](loaded.root, environ)


def registry(loaded: Loaded, environ: Mapping[str, str]) -> str | None:
    """Which registry exports go to, hashed: "" for the project's own, None when its address is not known here."""
    identity = destinations.registry(loaded.settings.spec.mlflow, loaded.root, environ)
    return digest(identity) if identity else identity


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_id() -> str:
    return str(uuid.uuid4())
