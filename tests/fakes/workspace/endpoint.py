"""What runs behind a deployment: a process that serves the function of the model's file, and how it is called."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from tests.fakes.http import Answer
from tests.fakes.workspace.facts import Record
from tests.fakes.workspace.refusal import refusal


@dataclass(slots=True, eq=False)
class Deployment:
    """A deployment: what the API shows of it, the process behind it if there is one, and what that prints."""

    record: Record
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def id(self) -> str:
        return str(self.record["id"])

    @property
    def status(self) -> str:
        return str(self.record["status"])

    @property
    def _address(self) -> Path:
        """The file in which the process says where it listens."""
        return self.log.with_suffix(".address")

    def enter(self, status: str) -> None:
        self.record["status"] = status

    def outcome(self, otherwise: str) -> str:
        """What a deployment becomes: as its process decides, or the other if it has none."""
        if self.process is None:
            return otherwise
        if self._address.exists():
            return "deployed"
        return "deploying" if self.process.poll() is None else "failed"

    def start(self, folder: Path, file: str, function: str, variables: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "tests.fakes.workspace.replica", file, function, str(self._address)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=dict(variables), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def close(self) -> None:
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None
        self._address.unlink(missing_ok=True)

    def call(self, body: bytes) -> Answer:
        """What the function answers; 503 while nothing listens."""
        if self.status != "deployed" or self.process is None:
            return refusal(503, "the model has no replica that runs")
        request = Request(self._address.read_text(), body, {"Content-Type": "application/json"})
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
                return Answer(answer.status, {"Content-Type": "application/json"}, answer.read())
        except HTTPError as error:
            with error:
                return Answer(error.code, {"Content-Type": "application/json"}, error.read())
        except OSError:
            return refusal(503, "the replica does not answer")
