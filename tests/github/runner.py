"""A runner of GitHub's steps: ``run:`` is run for real by bash, ``uses:`` is written down.

Implements what our files need of the documented behaviour: inputs with defaults, ``env``, ``if``, ``id``, outputs,
``continue-on-error``, the files behind GITHUB_OUTPUT, GITHUB_ENV and GITHUB_STEP_SUMMARY, and bash as GitHub calls it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.github.expressions import condition, fill
from tests.projects import ROOT

FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY")
_BLOCK = re.compile(r"([\w-]+)(?:=(.*)|<<(.+)\n((?:.*\n)*?)\3)\n")
PULL_REQUEST = {"pull_request": {"number": 7, "head": {"repo": {"fork": False, "full_name": "owner/desk"}}}}
FORK = {"pull_request": {"number": 7, "head": {"repo": {"fork": True, "full_name": "visitor/desk"}}}}


def read(path: Path) -> dict[str, Any]:
    """An action or a workflow; ``on`` is no boolean."""
    return dict(yaml.load(path.read_text("utf-8"), yaml.BaseLoader))


@dataclass(slots=True)
class Job:
    """A job's workspace, its event, and what became of its steps."""

    workspace: Path
    temp: Path
    event: Mapping[str, Any]
    api: str = "http://127.0.0.1:9"
    environ: Mapping[str, str] = field(default_factory=dict)
    ok: bool = True
    log: str = ""
    summary: str = ""
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, Any] = field(default_factory=dict)
    exported: dict[str, str] = field(default_factory=dict)

    def contexts(self, **more: Any) -> dict[str, Any]:
        github = {"event": self.event, "token": "job-token", "sha": "0" * 40, "workspace": str(self.workspace)}
        return {"github": github, "steps": self.steps, "runner": {"temp": str(self.temp)}, "ok": self.ok, **more}

    def run_action(self, action: Path = ROOT, skip: Sequence[str] = (), **inputs: str) -> None:
        """The composite action in ``action``, with these inputs (``_`` for ``-``)."""
        content = read(action / "action.yml")
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert given.keys() <= content["inputs"].keys()
        defaults = {name: each.get("default", "") for name, each in content["inputs"].items()}
        values = {name: fill(value, self.contexts()) for name, value in {**defaults, **given}.items()}
        python = {"python-path": sys.executable}
        steps = [step for step in content["runs"]["steps"] if step["name"] not in skip]
        self.run_steps(steps, {"inputs": values}, {"GITHUB_ACTION_PATH": str(action)}, {"python": python})
        self.outputs = {name: fill(each["value"], self.contexts()) for name, each in content["outputs"].items()}

    def run_steps(
        self,
        steps: Sequence[Mapping[str, Any]],
        contexts: Mapping[str, Any],
        environ: Mapping[str, str],
        used_outputs: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Steps one after the other; ``used_outputs`` are those of steps that are only written down, by id."""
        for step in steps:
            known = self.contexts(**contexts)
            when = str(step.get("if", "success()"))
            if not condition(when, known) or not (self.ok or re.search(r"\b(always|failure|cancelled)\(", when)):
                continue
            if "uses" in step:
                self.used.append((step["uses"], {key: fill(str(v), known) for key, v in step.get("with", {}).items()}))
                outputs = dict(used_outputs.get(step.get("id", ""), {}))
            else:
                outputs = self._bash(step, {**environ, **self._env(step, known)}, fill(step["run"], known))
            if "id" in step:
                self.steps[step["id"]] = {"outputs": outputs}

    def _env(self, step: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, str]:
        return {name: fill(str(value), known) for name, value in step.get("env", {}).items()}

    def _bash(self, step: Mapping[str, Any], environ: Mapping[str, str], script: str) -> dict[str, str]:
        self.ran.append(step.get("name", ""))
        files = {name: self.temp / f"_{name.lower()}_{len(self.ran)}" for name in FILES}
        for file in files.values():
            file.touch()
        event = self.temp / "event.json"
        event.write_text(json.dumps(self.event))
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.workspace / step.get("working-directory", ""), text=True, timeout=300,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=self._base(event) | dict(environ) | {name: str(file) for name, file in files.items()},
        )  # fmt: skip
        self.log += done.stdout
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text("utf-8")
        self.exported |= assignments(files["GITHUB_ENV"].read_text("utf-8"))
        self.ok = self.ok and (done.returncode == 0 or step.get("continue-on-error") == "true")
        return assignments(files["GITHUB_OUTPUT"].read_text("utf-8"))

    def _base(self, event: Path) -> dict[str, str]:
        """What the machine and the job give every step; proxies must not come between us and the fake."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.api,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "owner/desk",
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            **self.environ,
            **self.exported,
        }


def assignments(text: str) -> dict[str, str]:
    """What a step wrote into GITHUB_OUTPUT or GITHUB_ENV; anything malformed is an error, as on GitHub."""
    found, at = {}, 0
    while at < len(text):
        block = _BLOCK.match(text, at)
        assert block, f"not understood: {text[at:]!r}"
        found[block[1]] = block[2] if block[2] is not None else block[4].removesuffix("\n")
        at = block.end()
    return found
