"""A CML workspace on a local socket: paths, fields, paging and errors of its API, version 2; runs that really run.

    with workspace(tmp_path / "project") as cml:
        job = cml.client.create_job(cmlapi.CreateJobRequest(name="a", script="a.py", kernel="python3"), cml.project_id)
        run = cml.client.create_job_run({}, cml.project_id, job.id)  # executes a.py in the folder
        assert cml.ended(run.id) == "ENGINE_SUCCEEDED"
        assert cml.count("create_job_run") == 1

``url`` and ``key`` open it, ``environ()`` is what a process needs to work with it, ``client`` is cmlapi's own client
(the stand-in of ``tests/fakes/client`` where cmlapi is not installed), ``calls`` is all that was asked, and ``faults``
(``workspace/faults.py``) is what goes wrong.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fakes import cml_client
from tests.fakes.http import Answer, Request, as_json, serving
from tests.fakes.workspace import facts, jobs
from tests.fakes.workspace.experiments import LABELS
from tests.fakes.workspace.facts import Record
from tests.fakes.workspace.faults import Faults
from tests.fakes.workspace.methods import HANDLERS
from tests.fakes.workspace.refusal import Refusal, refusal
from tests.fakes.workspace.running import ENDED, Run, Runner, StandIn
from tests.fakes.workspace.state import Asked, Settings, State
from tests.fakes.workspace.traffic import Call

ROOT = Path(__file__).parents[2]
KEY = "key-of-the-tests"
MODEL_CALL = "model"
"""The path of deployed models, and what their calls are recorded as."""
IMAGE = re.compile("PATH|LANG|LC_.*|TMPDIR|XDG_CACHE_HOME|COV.*|HF_.*|TOKENIZERS_.*|OMP_.*|MKL_.*|CUDA_.*|NVIDIA_.*")
"""Variables of this process that count as the runtime's image: workloads see them, and nothing else of it."""


@dataclass(slots=True)
class Workspace:
    """A running workspace, for who tests against it. ``first`` are answers that it gives before any other."""

    state: State
    exits: ExitStack
    keys: set[str]
    calls: list[Call] = field(default_factory=list)
    first: deque[Answer] = field(default_factory=deque)
    faults: Faults = field(default_factory=Faults)
    _client: Any = None

    @property
    def url(self) -> str:
        return self.state.url

    @property
    def key(self) -> str:
        return self.state.settings.key

    @property
    def project_id(self) -> str:
        return next(iter(self.state.projects))

    @property
    def registered(self) -> dict[str, Record]:
        """The models of the registry, by id."""
        return self.state.registered

    @property
    def requests(self) -> list[str]:
        """Verb and target of all that was asked."""
        return [call.line for call in self.calls]

    def count(self, method: str) -> int:
        """How often a method was asked."""
        return sum(call.method == method for call in self.calls)

    @property
    def client(self) -> Any:
        """The client of the API, made at the first use; then ``import cmlapi`` works until the workspace closes."""
        if self._client is None:
            self.importable()
            import cmlapi

            self._client = cmlapi.default_client(self.url, self.key)
        return self._client

    def importable(self) -> None:
        """Make ``import cmlapi`` work in this process until the workspace closes."""
        self.exits.enter_context(cml_client.importable())

    def environ(self) -> dict[str, str]:
        """What a process outside the workspace needs to work with it."""
        path = os.pathsep.join(filter(None, [str(ROOT), cml_client.path()]))
        return {"STUDIO_CML_URL": self.url, "CDSW_APIV2_KEY": self.key, "PYTHONPATH": path, "NO_PROXY": "127.0.0.1"}

    def run(self, id: str) -> Run:
        return self.state.runs[id]

    def ended(self, id: str, seconds: float = 30) -> str:
        """The status that a run ends with, waited for."""
        run, runner = self.run(id), self.state.runner
        with runner.changed:
            assert runner.changed.wait_for(lambda: run.status in ENDED, seconds), f"{run.record}\n{self.log(id)}"
        return run.status

    def reached(self, id: str, status: str, seconds: float = 30) -> None:
        """Wait until a run has a status."""
        run, runner = self.run(id), self.state.runner
        with runner.changed:
            assert runner.changed.wait_for(lambda: run.status == status, seconds), f"{run.record}\n{self.log(id)}"

    def log(self, id: str) -> str:
        """What a run's process printed. No method of the API gives it."""
        path = self.run(id).log
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def kill(self, id: str) -> None:
        """The machine under a run dies, and the run with it: no signal that could be handled, no last word."""
        self.state.runner.kill(self.run(id))

    def allow(self, limit: int) -> None:
        """Change how many runs may run at once; 0 lets new ones wait."""
        self.state.runner.allow(limit)

    def answer(self, request: Request) -> Answer:
        found = facts.find(request.method, urlsplit(request.target).path)
        call = Call(found[0].name if found else MODEL_CALL if request.path == f"/{MODEL_CALL}" else "", request)
        with self.state.runner.changed:
            self.calls.append(call)
            answer = self.first.popleft() if self.first else None
            fault = None if answer else self.faults.next(call.method)
        if fault:
            call.fault = fault.name
            answer = fault.suffered(lambda: self._answer(request, found))
        answer = answer or self._answer(request, found)
        call.status = 0 if answer.lost else answer.status
        return answer

    def _answer(self, request: Request, found: tuple[facts.Method, dict[str, str]] | None) -> Answer:
        if request.path == f"/{MODEL_CALL}":
            return self._call_model(request)
        if request.bearer not in self.keys:
            return refusal(401, "Unauthenticated: the API key is missing or not valid")
        if found is None:
            return refusal(404, "Not Found")
        try:
            return self._perform(*found, request)
        except Refusal as refused:
            return refusal(refused.status, str(refused))

    def _call_model(self, request: Request) -> Answer:
        """``POST /model``: the access key in the body or the query says which one; most want an API key as well."""
        try:
            body = json.loads(request.body)
        except ValueError as error:
            return refusal(400, str(error))
        key = body.get("accessKey") or request.query.get("accessKey")
        with self.state.runner.changed:
            model = next((each for each in self.state.models.values() if each["access_key"] == key), None)
            if model is None:
                return refusal(401, "the access key is missing or not valid")
            if model["auth_enabled"] and request.bearer not in self.keys:
                return refusal(401, "Unauthenticated: the model wants an API key")
            serving = self.state.deployed(model)
        return serving.call(request.body) if serving else refusal(503, "the model is not deployed")

    def _perform(self, method: facts.Method, ids: Mapping[str, str], request: Request) -> Answer:
        body: Any = {}
        if method.body:
            try:
                body = json.loads(request.body or b"{}")
            except ValueError as error:
                raise Refusal(400, str(error)) from None
            body = {_snake(name): value for name, value in body.items()} if isinstance(body, dict) else body
            if fault := facts.fault(method.body, body):
                raise Refusal(400, fault)
            body = facts.numbers(method.body, body)
        query = {_snake(name): value for name, value in request.query.items()}
        with self.state.runner.changed:
            answer = HANDLERS[method.name](self.state, Asked(request, ids, query, body))
            return answer if isinstance(answer, Answer) else as_json(answer)


def _snake(name: str) -> str:
    """The gateway takes the names of fields in both forms."""
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)


@contextmanager
def workspace(
    folder: Path | None = None, *registered: Record, name: str = "studio", environment: Mapping[str, str] | None = None,
    limit: int = 2, grace: float = 5, stand_in: StandIn | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC), **settings: Any,
) -> Iterator[Workspace]:  # fmt: skip
    """A workspace until the block ends, with one project in a folder and these registered models.

    ``environment`` is the project's; ``limit`` bounds how many runs run at once, ``grace`` is the time in seconds
    between SIGTERM and SIGKILL, and ``stand_in`` takes the place of the processes; for the rest see ``Settings``.
    """
    with ExitStack() as exits:
        scratch = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        image = {variable: value for variable, value in os.environ.items() if IMAGE.fullmatch(variable)}
        made = Settings(**{"key": KEY, "variables": {**image, "PYTHONPATH": str(ROOT)}, **settings})
        state = State(made, clock, Runner(clock, limit, grace, stand_in), scratch)
        state.runner.succeeded = partial(jobs.run_children, state)
        state.labels.extend(LABELS)
        state.registered.update({each["model_id"]: each for each in registered})
        state.add_project(folder or scratch / "project", name, environment or {})
        running = Workspace(state, exits, {made.key})
        if folder is not None:
            running.importable()
        exits.callback(state.close)
        state.url = exits.enter_context(serving(running.answer))
        yield running
