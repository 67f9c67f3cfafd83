"""What a workspace holds: projects with their folders, jobs, runs, and everything else that has an id."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TypeVar

from tests.fakes.http import Request
from tests.fakes.workspace.endpoint import Deployment
from tests.fakes.workspace.facts import Record, record
from tests.fakes.workspace.refusal import Refusal
from tests.fakes.workspace.running import Run, Runner

Held = TypeVar("Held")
USER = {"username": "tests", "name": "Tests", "email": "tests@example.com"}
SEEDS = count()
"""No two workspaces give the same ids."""
IDS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Project:
    """A project: what the API shows of it, its folder on this disk, and the environment of its workloads."""

    record: Record
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Settings:
    """How a workspace behaves where workspaces differ.

    ``substring`` makes ``search_filter`` match parts of a text, in either case; without it only the whole matches.
    ``second`` is how long one second of a job's timeout takes here. ``key_in_runs`` puts the API's key into every
    workload, as most workspaces do. ``variables`` are what the runtime's image sets.
    ``hides_dots`` leaves names that begin with a dot out of listings of files.
    ``no_registry`` is the HTTP status with which a workspace without a registry of models refuses; 0 when it has one.
    ``endpoints`` starts a process for each deployment, which decides how it ends; else ``deployments`` is the status
    that deployments come to, as ``builds`` is that of builds.
    """

    key: str
    variables: Mapping[str, str]
    substring: bool = False
    second: float = 1
    key_in_runs: bool = False
    no_registry: int = 0
    hides_dots: bool = False
    endpoints: bool = False
    builds: str = "built"
    deployments: str = "deployed"


@dataclass(slots=True)
class State:
    """All tables are ordered by creation."""

    settings: Settings
    clock: Callable[[], datetime]
    runner: Runner
    scratch: Path
    url: str = ""
    projects: dict[str, Project] = field(default_factory=dict)
    jobs: dict[str, Record] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    models: dict[str, Record] = field(default_factory=dict)
    builds: dict[str, Record] = field(default_factory=dict)
    automatic: dict[str, Record] = field(default_factory=dict)
    """How builds deploy themselves when they are built, by the id of the build."""
    deployments: dict[str, Deployment] = field(default_factory=dict)
    registered: dict[str, Record] = field(default_factory=dict)
    experiments: dict[str, Record] = field(default_factory=dict)
    experiment_runs: dict[str, Record] = field(default_factory=dict)
    labels: list[Record] = field(default_factory=list)
    _random: random.Random = field(default_factory=lambda: random.Random(next(SEEDS)))

    def new_id(self) -> str:
        """Four groups of four, as the API's ids look."""
        return "-".join("".join(self._random.choices(IDS, k=4)) for _ in range(4))

    def now(self) -> str:
        return self.clock().isoformat().replace("+00:00", "Z")

    def project(self, ids: Mapping[str, str]) -> Project:
        return got(self.projects, ids["project_id"], "project")

    def deployed(self, model: Record) -> Deployment | None:
        """The deployment of a model that answers calls."""
        found = (each for each in self.deployments.values() if each.record["model_id"] == model["id"])
        return next((each for each in found if each.status == "deployed"), None)

    def close(self) -> None:
        """End what runs and what serves models."""
        self.runner.close()
        for each in self.deployments.values():
            each.close()

    def add_project(self, folder: Path, name: str, environment: Mapping[str, str]) -> Project:
        id, now = self.new_id(), self.now()
        shown = record(
            "Project", id=id, name=name, owner=USER, creator=USER, visibility="private", creation_status="success",
            default_engine_type="ml_runtime", created_at=now, updated_at=now, environment="{}",
            permissions=record("ProjectPermissions", read=True, write=True, admin=True, operator=True),
        )  # fmt: skip
        self.projects[id] = Project(shown, folder, dict(environment))
        return self.projects[id]


def got(table: Mapping[str, Held], id: str, noun: str) -> Held:
    """What a table holds under an id."""
    if id not in table:
        raise Refusal(404, f"{noun} {id} was not found")
    return table[id]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its method sees it: the ids of its path, its query and its JSON body."""

    request: Request
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Record
