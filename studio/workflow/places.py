"""Where an environment's state lives and where its jobs run, and the clock and ids that both are given."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from studio.backends import BACKENDS
from studio.backends.base import Backend, Site
from studio.core.errors import StudioError, UsageError
from studio.core.fingerprints import digest
from studio.core.suggest import did_you_mean
from studio.inspection import Unasked, Witness
from studio.load import commit, destinations, state_address, workspaces
from studio.load.artifacts import Reach
from studio.load.project import Loaded
from studio.load.settings import SecretName
from studio.state.base import StateReader, StateStore

CML = "cml"
"""The type of backend that is asked over the network, with a key."""
pause = time.sleep
"""Between two looks at running jobs; seconds."""
clock = time.time
"""Seconds since the epoch."""
GLANCE_SECONDS = 10.0
"""What a command that only shows things waits for a workspace."""


def open_state(loaded: Loaded) -> StateReader:
    """The project's state, for reading."""
    demand_whole(loaded)
    from studio.state.sql import open_reader

    return open_reader(state_url(loaded), loaded.root, loaded.environment)


def demand_whole(loaded: Loaded) -> None:
    """Raise StudioError when studio.yaml does not reliably say where state is."""
    if loaded.damaged:
        raise StudioError("studio.yaml has errors", "'studio validate' shows them")


@contextmanager
def locked_state(loaded: Loaded, command: str) -> Iterator[StateStore]:
    """The project's state for writing, created and migrated where needed, under the environment's lock.

    ``command`` is what others are told that holds it. Raises StateLockedError.
    """
    from studio.state.lease import held
    from studio.state.sql import open_engine

    demand_whole(loaded)
    seconds = lease_seconds(os.environ)
    engine = open_engine(state_url(loaded), loaded.root)
    try:
        with held(engine, loaded.environment, command, commit.actor(os.environ), seconds) as state:
            yield state
    finally:
        engine.dispose()


def lease_seconds(environ: Mapping[str, str]) -> float:
    """How long a lock outlives its holder: STUDIO_LEASE_SECONDS, else a minute."""
    from studio.state.lease import LEASE_SECONDS

    given = environ.get("STUDIO_LEASE_SECONDS", "")
    if not given:
        return LEASE_SECONDS
    if given.isascii() and given.isdigit() and 2 <= int(given) <= 3600:
        return float(given)
    raise UsageError(f"STUDIO_LEASE_SECONDS is {given!r}", "write whole seconds from 2 to 3600, or unset it")


def state_url(loaded: Loaded) -> str:
    """Where state lives; a secret URL comes from the variable that studio.yaml names.

    Raises StudioError for a host on the network that studio.yaml alone names.
    """
    state = loaded.settings.spec.state
    if not isinstance(state, SecretName):
        state_address.demand_known(state, loaded.root, os.environ)
        return state
    value = os.environ.get(state.env)
    if not value:
        raise StudioError(
            f"the environment variable {state.env} is not set", "studio.yaml says it holds the state's URL"
        )
    return value


def server(loaded: Loaded, environ: Mapping[str, str]) -> str | None:
    """Which MLflow server jobs log to, hashed: "" where a disk does, None where its variable is not set here."""
    return destinations.server(loaded.settings.spec.mlflow, loaded.root, environ)


def backend(loaded: Loaded, environ: Mapping[str, str], patience: float | None = None) -> Backend:
    """Where jobs run. Raises StudioError for whatever is missing to run them there."""
    settings = loaded.settings.spec.backend
    if settings.type not in BACKENDS:
        raise StudioError(f"the backend type {settings.type!r} is unknown", did_you_mean(settings.type, BACKENDS))
    site = Site(loaded.root, environ, patience=patience)
    if settings.type == CML:
        found = workspaces.access(settings, environ)
        site = replace(site, url=found.url, project_id=found.project_id, key=found.key, key_variable=found.key_variable)
    return BACKENDS[settings.type](site)


def witness(loaded: Loaded, environ: Mapping[str, str]) -> Witness:
    """Who says where jobs stand; where something is missing to ask, that is what is said of jobs under way."""
    try:
        return backend(loaded, environ, GLANCE_SECONDS)
    except StudioError as error:
        if loaded.settings.spec.backend.type not in BACKENDS:
            raise
        return Unasked(workspace(loaded, environ), error)


def workspace(loaded: Loaded, environ: Mapping[str, str]) -> str:
    """What the workspace is called where jobs run; "" for this machine, and while it is not known here."""
    settings = loaded.settings.spec.backend
    return workspaces.name(settings, environ) if settings.type == CML else ""


def reach(loaded: Loaded, environ: Mapping[str, str]) -> Reach:
    """What the environment's jobs can get at. Asks nobody."""
    settings = loaded.settings.spec.backend
    elsewhere = settings.type == CML and not workspaces.is_inside(settings, environ)
    place = workspace(loaded, environ) if elsewhere else ""
    return Reach(loaded.root, server(loaded, environ), elsewhere, place)


def registry(loaded: Loaded, environ: Mapping[str, str]) -> str | None:
    """Which registry exports go to, hashed: "" for the project's own, None when its address is not known here."""
    identity = destinations.registry(loaded.settings.spec.mlflow, loaded.root, environ)
    return digest(identity) if identity else identity


def now() -> str:
    """ISO 8601 in UTC, to the millisecond: two operations of one second have an order."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def new_id() -> str:
    return str(uuid.uuid4())
