"""Jobs in a Cloudera ML workspace, behind the client that the workspace offers: nothing else imports ``cmlapi``."""

from __future__ import annotations

import json
import math
import random
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from studio.backends.base import Capacity, EndpointLook, Handle, JobStatus, Log, Site, place
from studio.backends.workspace.bringing import Bringing
from studio.backends.workspace.calls import DEADLINE_SECONDS, Calls, Connection, Fault
from studio.backends.workspace.deploying import Deploying
from studio.backends.workspace.endpoints import ENDPOINT, Endpoints
from studio.backends.workspace.evidence import Evidence
from studio.backends.workspace.files import Files
from studio.backends.workspace.job_runs import JobRuns
from studio.backends.workspace.jobs import Jobs
from studio.backends.workspace.labels import Labels
from studio.backends.workspace.models import Models
from studio.backends.workspace.registering import Registering
from studio.backends.workspace.templates import Templates
from studio.backends.workspace.watching import Watching
from studio.core.endpoint import ENDPOINT_TASKS
from studio.core.errors import StudioError
from studio.core.job_keys import may_be_export
from studio.core.jobspec import JobSpec

CLIENT = "cmlapi"
BOUNDLESS = Capacity(math.inf, sys.maxsize, math.inf)
"""A workspace lets jobs wait until there is room, and does not say how much there is."""


@dataclass(frozen=True, slots=True)
class Time:
    """What takes time, and how it is told: seconds since some moment, since the epoch, and a number from 0 to 1."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wall: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random


REAL = Time()


class Doer(Protocol):
    """Who does some kind of work in the workspace."""

    def submit(self, spec: JobSpec) -> Handle: ...

    def find(self, key: str, attempt: int) -> Handle | None: ...

    def attempts(self, key: str) -> int: ...

    def poll(self, handle: Handle) -> JobStatus: ...

    def cancel(self, handle: Handle) -> None: ...

    def log(self, handle: Handle) -> Log: ...


@dataclass(frozen=True, slots=True)
class CmlBackend:
    """Of one project of a workspace. What ``doers`` does not name, by ``work.task``, is done by jobs."""

    calls: Calls
    runs: JobRuns
    endpoints: Endpoints
    doers: Mapping[str, Doer]
    registering: Registering

    @property
    def name(self) -> str:
        return place(self.calls.url, self.calls.project_id)

    def submit(self, spec: JobSpec) -> Handle:
        return self.doers.get(spec.work.task, self.runs).submit(spec)

    def find(self, key: str, attempt: int) -> Handle | None:
        return next((handle for doer in self._may_do(key) if (handle := doer.find(key, attempt))), None)

    def attempts(self, key: str) -> int:
        return max(doer.attempts(key) for doer in self._may_do(key))

    def poll(self, handle: Handle) -> JobStatus:
        return self._doing(handle).poll(handle)

    def concluded(self, status: JobStatus) -> JobStatus:
        return self.registering.concluded(status)

    def cancel(self, handle: Handle) -> None:
        self._doing(handle).cancel(handle)

    def log(self, handle: Handle) -> Log:
        return self._doing(handle).log(handle)

    def holds(self, location: str) -> bool:
        return self.runs.holds(location)

    def discard(self, folder: str) -> None:
        self.runs.discard(folder)

    def capacity(self) -> Capacity:
        return BOUNDLESS

    def total(self) -> Capacity:
        return BOUNDLESS

    def look(self, model_id: str) -> EndpointLook | None:
        return self.endpoints.look(model_id)

    def _may_do(self, key: str) -> tuple[Doer, ...]:
        """Whose work a key may name: an export is a job, or an endpoint."""
        return (self.runs, self.endpoints) if may_be_export(key) else (self.runs,)

    def _doing(self, handle: Handle) -> Doer:
        return self.endpoints if ENDPOINT in handle.details else self.runs


def backend(site: Site, time: Time = REAL) -> CmlBackend:
    """Nothing is asked before the first job. Raises StudioError where the client is not installed."""
    if find_spec(CLIENT) is None:
        raise StudioError(
            f"{CLIENT}, the client of the CML workspace, is not installed",
            f"pip install {site.url}/api/v2/python.tar.gz",
        )
    calls = Calls(
        site.url, site.project_id, site.key_variable, lambda: connected(site), {site.key},
        time.clock, time.sleep, time.jitter,
        DEADLINE_SECONDS if site.patience is None else site.patience,
    )  # fmt: skip
    templates, files = Templates(calls), Files(calls)
    jobs = Jobs(calls, templates, Labels(calls.apart()), site.environ)
    runs = JobRuns(jobs, Watching(Evidence(calls, files), time.wall))
    where = place(calls.url, calls.project_id)
    endpoints = Endpoints(Deploying(Models(calls), templates, Bringing(files, runs), where), time.wall)
    doers = dict.fromkeys(ENDPOINT_TASKS, endpoints)
    return CmlBackend(calls, runs, endpoints, doers, Registering(calls.apart()))


def connected(site: Site) -> Connection:
    """The client of a workspace; no connection is made yet."""
    import cmlapi
    from cmlapi.rest import ApiException
    from urllib3.exceptions import HTTPError  # what the client is built on

    client = cmlapi.default_client(url=site.url, cml_api_key=site.key)
    with suppress(AttributeError):  # where it keeps its connections may change
        # Whether a call is made again is decided in one place, and redirections are not followed with the key.
        client.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = False
    return Connection(client, (ApiException, HTTPError, OSError), fault)


def fault(error: Exception) -> Fault:
    """What an exception of the client tells: an answer of the API, or that there was none."""
    status = getattr(error, "status", None)
    if not status:
        return Fault(0, f"{type(error).__name__}: {getattr(error, 'reason', None) or error}")
    return Fault(int(status), _message(getattr(error, "body", None)), _seconds(getattr(error, "headers", None)))


def _message(body: object) -> str:
    """The API's own words; a page of a proxy in between has none that help."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    with suppress(ValueError, RecursionError):
        content: Any = json.loads(text)
        if isinstance(content, dict):
            return str(content.get("message") or content.get("error") or "")
    return "" if "<" in text else text


def _seconds(headers: Mapping[str, str] | None) -> float:
    """What Retry-After says; 0 for nothing, and for the date that it may also be."""
    text = str((headers or {}).get("Retry-After") or "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
