"""The workers of a distributed run in a workspace: an engine for each rank beyond the first, launched by the first
(guide, Fine-Tuning Job Lifecycle: dist_num, dist_cpu, dist_mem, dist_gpu).

They find each other by torch's own rendezvous: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT in the
environment of each. One process an engine, as there is one process a worker on a single machine: what dist_gpu says is
where a job runs, and must not change its effective batch.
"""

from __future__ import annotations

import importlib
import inspect
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from studio.core.envelope import SPEC_VARIABLE
from studio.core.errors import JobError
from studio.core.jobresult import JobResult
from studio.core.jobspec import JobSpec, Resources
from studio.jobs import launching
from studio.jobs.hiding import hiding
from studio.jobs.result import of_rank, read_result
from studio.jobs.workspace.delivery import ARGUMENTS_VARIABLE, say
from studio.jobs.workspace.lifeline import Exchange

MODULES = ("cml.workers_v1", "cdsw")
"""Where a workspace has the functions that launch engines; the second on older ones."""
CODE = "from studio.jobs.workspace import worker\nworker.run()\n"
LOOK_SECONDS = 10.0
"""Between two looks at the engines that have not called in yet."""
START_SECONDS = 1200.0
"""How long an engine may take to get room and start; torch waits half an hour for its peers."""
SETTLE_SECONDS = 20.0
"""How long the others may take to end after the first process has."""
OVER = frozenset({"failed", "stopped", "succeeded", "timedout"})
"""States of a worker that has ended."""


class Engines(Protocol):
    """What the module of a workspace offers; a worker is a dict with ``id`` and ``status``."""

    def launch_workers(self, n: int, cpu: float, memory: float, **named: Any) -> list[dict[str, Any]]: ...

    def list_workers(self) -> list[dict[str, Any]]: ...

    def stop_workers(self, *ids: str) -> Any: ...


def engines() -> Engines | None:
    """The workspace's module; None outside an engine."""
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


@dataclass(slots=True)
class Crew:
    """The team of a run: rank 0 here, the others in engines of their own."""

    spec: JobSpec
    command: list[str]
    variables: dict[str, str]
    engines: Engines
    exchange: Exchange
    clock: Callable[[], float] = time.monotonic
    ids: dict[int, str] = field(default_factory=dict)
    _began: float = 0.0
    _looked: float = 0.0

    def launch(self, environ: Mapping[str, str]) -> None:
        """Launch an engine for each rank. Raises JobError when the workspace does not."""
        self._began = self._looked = self.clock()
        asked, hide = _asked(self.spec.resources, self.engines), hiding(self.spec, environ)
        for rank in range(1, self.spec.resources.workers):
            say(f"launching worker {rank} of {len(self)}: {asked['cpu']} CPU, {asked['memory']} GB, "
                f"{asked['nvidia_gpu']} GPU")  # fmt: skip
            env = {**_carried(self.spec, environ), **self.variables, **self.exchange.variables, "RANK": str(rank)}
            try:
                (launched,) = self.engines.launch_workers(n=1, code=CODE, env=env, **asked)
            except Exception as error:  # whatever the workspace's own module raises
                raise self._not_launched(rank, hide(f"{type(error).__name__}: {error}")) from error
            if not launched.get("id"):
                raise self._not_launched(rank, hide(str(launched.get("message") or "no engine was created")))
            self.ids[rank] = str(launched["id"])

    def __len__(self) -> int:
        """Workers beyond the first."""
        return self.spec.resources.workers - 1

    def trouble(self) -> str:
        self.exchange.hear()
        for rank in self.ids:
            if self._is_dead(rank):
                return self._blamed(rank)
        return self._absence()

    def settle(self, code: int, stopped: bool) -> str:
        deadline = self.clock() + SETTLE_SECONDS
        while self._running() and self.clock() < deadline:
            time.sleep(0.1)
            self.exchange.hear()
        first = self._result(0)
        if code == 0 or (first is None and not stopped) or (first and first.failure and not first.failure.bug):
            return ""  # it ended well, was killed by itself, or says why in words that somebody can act on
        for rank in self.ids:
            told = self._result(rank)
            by_itself = told and told.failure and (not told.failure.bug or _earlier(told, first))
            if by_itself or (told is None and self._is_dead(rank)):
                return self._blamed(rank)
        return ""

    def _is_dead(self, rank: int) -> bool:
        """Whether a rank that has called in ended, and not well."""
        return rank in self.exchange.lost or self.exchange.ended.get(rank, 0) != 0

    def dismiss(self) -> None:
        running = [id for rank, id in self.ids.items() if rank not in self.exchange.ended]
        self.exchange.close()
        if not running:
            return
        try:
            self.engines.stop_workers(*running)
        except Exception as error:  # they end by themselves once the line is cut
            say(f"the workers could not be stopped: {type(error).__name__}: {error}")

    def _running(self) -> list[int]:
        return [rank for rank in self.exchange.joined if not {rank} & {*self.exchange.ended, *self.exchange.lost}]

    def _absence(self) -> str:
        """Why an engine that has not called in will not do so any more."""
        absent = {rank: id for rank, id in self.ids.items() if rank not in self.exchange.joined}
        now = self.clock()
        if not absent or now - self._looked < LOOK_SECONDS:
            return ""
        self._looked = now
        try:
            states = {str(each.get("id")): str(each.get("status")) for each in self.engines.list_workers()}
        except Exception as error:  # asked again later; the deadline holds in any case
            say(f"the workers cannot be listed: {type(error).__name__}: {error}")
            states = {}
        self.exchange.hear()
        for rank, id in absent.items():
            if states.get(id) in OVER and rank not in self.exchange.joined:
                return f"{self._named(rank)} is {states[id]}, and never called in; see its output in the workspace"
            if now - self._began > START_SECONDS:
                return f"{self._named(rank)} did not start within {START_SECONDS / 60:.0f} minutes; is there room?"
        return ""

    def _blamed(self, rank: int) -> str:
        told = self._result(rank)
        if told and told.failure:
            return f"{self._named(rank)} failed: {told.failure.message}"
        if rank in self.exchange.lost:
            return f"{self._named(rank)} was killed (out of memory?)"
        return f"{self._named(rank)} ended with exit code {self.exchange.ended[rank]}; its log is log-{rank}.txt"

    def _named(self, rank: int) -> str:
        return f"worker {rank} of {len(self)} (engine {self.ids[rank]})"

    def _result(self, rank: int) -> JobResult | None:
        """What a rank left in this attempt; those beyond the first leave something only when they fail."""
        try:
            found = read_result(self.spec.folder, of_rank(rank)) if rank else read_result(self.spec.folder)
        except ValidationError:
            return None
        return found if found and found.attempt == self.spec.attempt else None

    def _not_launched(self, rank: int, why: str) -> JobError:
        return JobError(
            f"the workspace did not launch worker {rank} of {len(self)}: {why}",
            "lower num_workers, dist_cpu, dist_mem or dist_gpu, or ask for a larger quota",
        )


def muster(spec: JobSpec, file: Path, environ: Mapping[str, str]) -> Crew:
    """Launch the workers of a run; raises JobError, and leaves none behind, when they cannot be launched."""
    found = engines()
    if found is None:
        raise JobError("this engine cannot launch others: it has neither cml.workers_v1 nor cdsw")
    host = environ.get("CDSW_IP_ADDRESS") or socket.gethostbyname(socket.gethostname())
    crew = Crew(spec, launching.alone(file), _rendezvous(spec.resources.workers, host), found, Exchange(host))
    try:
        crew.launch(environ)
    except JobError:
        crew.dismiss()
        raise
    return crew


def _rendezvous(workers: int, host: str) -> dict[str, str]:
    """What torch reads (``env://``); the port is one that is free here now."""
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    return {
        "RANK": "0",
        "WORLD_SIZE": str(workers),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": host,
        "MASTER_PORT": str(port),
    }


def _asked(resources: Resources, engines: Engines) -> dict[str, Any]:
    """Of each engine: what dist_* say, else the same as for the first process. Raises JobError for a mixture."""
    gpu = resources.gpu if resources.dist_gpu is None else resources.dist_gpu
    if bool(gpu) != bool(resources.gpu):
        raise JobError(
            f"num_gpu is {resources.gpu} and dist_gpu is {gpu}: all workers compute on GPUs, or none does",
            "give both num_gpu and dist_gpu, or neither",
        )
    if max(gpu, resources.gpu) > 1:
        say(f"each worker computes on one GPU; the others of {max(gpu, resources.gpu)} stay idle: raise num_workers")
    asked = {
        "cpu": resources.dist_cpu or resources.cpu,
        "memory": resources.dist_memory or resources.memory,
        "nvidia_gpu": gpu,
    }
    if (
        resources.gpu_label is not None
        and "accelerator_label_id" in inspect.signature(engines.launch_workers).parameters
    ):
        asked["accelerator_label_id"] = resources.gpu_label
    return asked


def _carried(spec: JobSpec, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that were sent with the run: an engine has those of the project, not those of another engine's run."""
    names = (SPEC_VARIABLE, ARGUMENTS_VARIABLE, *spec.secrets.values())
    return {name: environ[name] for name in names if name in environ}


def _earlier(one: JobResult, other: JobResult | None) -> bool:
    return other is None or datetime.fromisoformat(one.finished_at) < datetime.fromisoformat(other.finished_at)
