"""Models of a workspace, their builds and deployments: looked for before they are made, made once, and taken away.

Nothing of a model that studio did not make is deleted or stopped, unless a deployment of ours takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from studio.backends.workspace import marks
from studio.backends.workspace.calls import Calls, MissingError, identified
from studio.backends.workspace.marks import Mark
from studio.backends.workspace.templates import moment
from studio.core.errors import RefusedError


class Phase(StrEnum):
    """Where a build or a deployment stands. The API's statuses are free text."""

    PENDING = "pending"
    READY = "ready"
    STOPPED = "stopped"
    FAILED = "failed"


_READY = frozenset({"built", "succeeded", "deployed", "running"})
_STOPPED = frozenset({"stopped", "stopping"})
_GONE = frozenset({"deleted", "deleting"})
_FAILED = ("fail", "error", "timed", "crash")
"""Beginnings of words in statuses of what will not come to a good end: ``build failed``, ``timedout``."""


def phase(thing: Any) -> Phase:
    status = str(thing.status or "").lower().replace("_", " ")
    if status in _READY:
        return Phase.READY
    if status in _STOPPED:
        return Phase.STOPPED
    return Phase.FAILED if any(word in status for word in _FAILED) else Phase.PENDING


def is_over(deployment: Any) -> bool:
    """Whether nothing of a deployment runs any more."""
    return str(deployment.status or "").lower() == "stopped" or phase(deployment) is Phase.FAILED


@dataclass(frozen=True, slots=True)
class Models:
    """Every method may raise BackendError."""

    calls: Calls

    def get(self, id: str) -> Any | None:
        """A model; None when it is gone."""
        if not id:
            return None
        with suppress(MissingError):
            model = self.calls.ask(f"look at the model {id}", self.calls.client.get_model, self._project, id)
            return model if _is_there(model) else None
        return None

    def named(self, name: str) -> Any | None:
        """The oldest model of exactly this name."""
        # Whether the filter takes the name as a whole or as a part of one is the workspace's business.
        found = self._models(f"list the models named {name}", search_filter=json.dumps({"name": name}))
        return next((model for model in found if model.name == name), None)

    def all(self) -> list[Any]:
        return self._models("list the models")

    def create(self, name: str, body: Mapping[str, Any]) -> Any:
        asked = {"project_id": self._project, "name": name, **body}
        what = f"create the model {name}"
        try:
            call = self.calls.client.create_model
            made = self.calls.effect(what, lambda: self.named(name), call, asked, self._project)
        except RefusedError:  # of a call that is delivered twice the second one is refused: the name is taken, by us
            if found := self.named(name):
                return found
            raise
        return identified(made, what)

    def update(self, model: Any, body: Mapping[str, Any]) -> None:
        what = f"update the model {model.name}"
        self.calls.ask(what, self.calls.client.update_model, {"id": model.id, **body}, self._project, model.id)

    def delete(self, model: Any) -> None:
        with suppress(MissingError):
            self.calls.ask(f"delete the model {model.name}", self.calls.client.delete_model, self._project, model.id)

    def builds(self, model: str) -> list[Any]:
        """Oldest first; none of a model that is gone."""
        with suppress(MissingError):
            found = self.calls.pages(
                "list the model's builds",
                lambda page: page.model_builds,
                self.calls.client.list_model_builds,
                self._project,
                model,
            )
            return _oldest_first(each for each in found if _is_there(each))
        return []

    def build(self, model: str, id: str) -> Any | None:
        with suppress(MissingError):
            what = "look at the model's build"
            build = self.calls.ask(what, self.calls.client.get_model_build, self._project, model, id)
            return build if _is_there(build) else None
        return None

    def build_by(self, model: str, mark: Mark) -> Any | None:
        return next((each for each in self.builds(model) if mark.made(marks.of_build(each))), None)

    def create_build(self, model: str, mark: Mark, body: Mapping[str, Any]) -> Any:
        """The build of an attempt, of which there is one when this returns."""
        if found := self.build_by(model, mark):
            return found
        what, lost = "build the model", self.calls.lost
        asked = {"project_id": self._project, "model_id": model, "comment": mark.comment, **body}
        made = self.calls.effect(
            what, lambda: self.build_by(model, mark), self.calls.client.create_model_build, asked, self._project, model
        )
        if self.calls.lost == lost:
            return identified(made, what)
        same = [each for each in self.builds(model) if mark.made(marks.of_build(each))]
        for spare in same[1:]:  # a call may be delivered twice
            self.delete_build(model, spare)
        return same[0] if same else identified(made, what)

    def delete_build(self, model: str, build: Any) -> None:
        with suppress(MissingError):
            what = "delete an earlier build of the model"
            self.calls.ask(what, self.calls.client.delete_model_build, self._project, model, build.id)

    def deployments(self, model: str, build: str) -> list[Any]:
        with suppress(MissingError):
            found = self.calls.pages(
                "list the model's deployments",
                lambda page: page.model_deployments,
                self.calls.client.list_model_deployments,
                self._project,
                model,
                build,
            )
            return _oldest_first(found)
        return []

    def deployment_by(self, model: str, build: str, mark: Mark) -> Any | None:
        """The deployment of an attempt; of two the first that was not stopped."""
        same = [each for each in self.deployments(model, build) if mark.made(marks.of_deployment(each))]
        alive = (each for each in same if phase(each) is not Phase.STOPPED)
        return next(alive, same[-1] if same else None)

    def create_deployment(self, model: str, build: str, mark: Mark, body: Mapping[str, Any]) -> Any:
        """The deployment of an attempt. One that is delivered twice takes the place of its twin, which is the same."""
        what, client = "deploy the model", self.calls.client
        asked = {"project_id": self._project, "model_id": model, "build_id": build, **body}
        look: Callable[[], Any] = lambda: self.deployment_by(model, build, mark)  # noqa: E731
        found = look() or self.calls.effect(
            what, look, client.create_model_deployment, asked, self._project, model, build
        )
        return identified(found, what)

    def stop(self, model: str, build: str, deployment: Any) -> None:
        """Ask a deployment to stop; one that is over or gone needs no stopping."""
        if phase(deployment) in (Phase.STOPPED, Phase.FAILED):
            return
        call, what = self.calls.client.stop_model_deployment, "stop the model's deployment"
        with suppress(MissingError):
            self.calls.effect(
                what, lambda: self._stopped(model, build, deployment.id), call,
                self._project, model, build, deployment.id,
            )  # fmt: skip

    def withdraw(self, model: Any) -> bool:
        """Take a model away, as far as that can be done now; whether nothing of it is left that is ours.

        To be called again until it is true. A model with builds that others made keeps these.
        """
        builds = self.builds(model.id)
        ours = [build for build in builds if marks.of_build(build)]
        alive = False
        for build in ours:
            for each in self.deployments(model.id, build.id):
                self.stop(model.id, build.id, each)
                alive = alive or not is_over(each)
        if alive:
            return False
        if len(ours) == len(builds):
            self.delete(model)
        else:
            for build in ours:
                self.delete_build(model.id, build)
        return True

    @property
    def _project(self) -> str:
        return self.calls.project_id

    def _models(self, what: str, **filter: str) -> list[Any]:
        found = self.calls.pages(what, lambda page: page.models, self.calls.client.list_models, self._project, **filter)
        return _oldest_first(model for model in found if _is_there(model))

    def _stopped(self, model: str, build: str, id: str) -> Any | None:
        found = (each for each in self.deployments(model, build) if each.id == id)
        return next((each for each in found if phase(each) is Phase.STOPPED), None)


def _is_there(thing: Any) -> bool:
    return str(thing.deletion_status or "").lower() not in _GONE


def _oldest_first(found: Iterable[Any]) -> list[Any]:
    return sorted(found, key=lambda each: (moment(each.created_at), each.id))
