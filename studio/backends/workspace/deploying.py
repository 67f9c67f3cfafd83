"""How an endpoint comes up, is changed in place, and goes: each step looks first, so all of it can be done again.

A step is called until it says that there is no more to do. What the next step needs to know is in the workspace: in
the build's comment and in the deployment's variables, so whoever finds the build can go on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from studio.backends.base import EndpointLook, Handle, JobState, JobStatus
from studio.backends.workspace import marks, models, sizes
from studio.backends.workspace.bringing import Bringing
from studio.backends.workspace.marks import JOB, SUPERSEDES, Mark
from studio.backends.workspace.models import Models, Phase
from studio.backends.workspace.templates import FOR_OTHERS, Templates, moment
from studio.core.endpoint import (
    PREDICT_FUNCTION,
    PREDICT_SCRIPT,
    AdjustmentWork,
    DeploymentOutput,
    DeploymentWork,
)
from studio.core.errors import RefusedError
from studio.core.jobspec import JobSpec

BASE, ADAPTER, GENERATION = "FINE_TUNING_STUDIO_BASE_MODEL_HF_NAME", "ADAPTER_LOCATION", "GEN_CONFIG_STRING"
"""Variables that the predict script reads (guide, CML Model Serving, Initialization)."""


@dataclass(slots=True)
class Flight:
    """One attempt under way. ``spec`` is known to whoever submitted it, and not needed once ``build_id`` is."""

    handle: Handle
    model_id: str = ""
    build_id: str = ""
    spec: JobSpec | None = None
    was_there: bool = True
    changes: list[str] = field(default_factory=list)

    @property
    def mark(self) -> Mark:
        return Mark(self.handle.key, self.handle.attempt)


@dataclass(frozen=True, slots=True)
class Step:
    """Where a flight stands, in words. ``state`` is RUNNING while the step is to be called again."""

    phase: str
    message: str = ""
    state: JobState = JobState.RUNNING
    hint: str = ""
    deployment: Any = None


@dataclass(frozen=True, slots=True)
class Deploying:
    """``place`` is the backend's name. Every method may raise BackendError, and RefusedError for what cannot be."""

    models: Models
    templates: Templates
    bringing: Bringing
    place: str

    def prepare(self, flight: Flight, spec: JobSpec, work: DeploymentWork) -> Step:
        """Everything up to the build, which is begun when ``flight.build_id`` is set."""
        template = self.templates.first(FOR_OTHERS)
        model = self._model(work)
        brought = self.bringing.bring(spec, work)
        if not brought.location:
            ended = brought.status or JobStatus(JobState.RUNNING)
            return Step("adapter", brought.message, ended.state, ended.hint)
        if model is not None and model.auth_enabled != work.authentication:
            if not self.models.withdraw(model):
                return Step("make way", "the endpoint makes way for one with other authentication")
            model = None
        model = model or self.models.create(
            work.model_name,
            {"description": work.description, "disable_authentication": not work.authentication},
        )
        if (model.description or "") != work.description:
            self.models.update(model, {"description": work.description})
        environment = _environment(flight.mark, work, brought.location)
        body: dict[str, Any] = {
            "file_path": PREDICT_SCRIPT,
            "function_name": PREDICT_FUNCTION,
            "runtime_identifier": template.runtime,
            "auto_deploy_model": True,
            "auto_deployment_config": {**sizes.asked(work.size), "environment": environment},
        }
        if template.addons:
            body["runtime_addon_identifiers"] = list(template.addons)
        if template.kernel:
            body["kernel"] = template.kernel
        mark = Mark(spec.key, spec.attempt, work.owner)
        flight.model_id, flight.build_id = model.id, self.models.create_build(model.id, mark, body).id
        return Step("build", "the workspace builds the image")

    def follow(self, flight: Flight) -> Step:
        """A build on its way to a deployment, and a deployment on its way up."""
        build = self.models.build(flight.model_id, flight.build_id)
        if build is None:
            return Step("build", "its build was deleted in the workspace", JobState.CANCELLED, "apply again to deploy")
        match models.phase(build):
            case Phase.FAILED:
                hint = f"read the build's log in {self.page(flight.model_id)}; then apply again"
                return Step("build", f"the build ended as {build.status!r}", JobState.FAILED, hint)
            case Phase.PENDING | Phase.STOPPED:
                return Step("build", f"the build is {build.status or 'waiting'}")
        return self._up(flight, self.models.deployment_by(flight.model_id, flight.build_id, flight.mark))

    def _up(self, flight: Flight, deployment: Any) -> Step:
        if deployment is None:
            return Step("built", "it is built, and about to be deployed")
        match models.phase(deployment):
            case Phase.FAILED:
                hint = f"read the replicas' logs in {self.page(flight.model_id)}; then apply again"
                return Step("deploy", f"the deployment ended as {deployment.status!r}", JobState.FAILED, hint)
            case Phase.STOPPED:
                message = f"the deployment was stopped in the workspace: it is {deployment.status}"
                return Step("deploy", message, JobState.CANCELLED, "apply again to deploy")
            case Phase.PENDING:
                return Step("deploy", f"the deployment is {deployment.status or 'waiting'}", deployment=deployment)
        if not self._alone(flight, deployment):
            return Step("tidy", "it is up; what it takes the place of is taken away", deployment=deployment)
        return Step("deployed", "it is up", JobState.SUCCEEDED, deployment=deployment)

    def _alone(self, flight: Flight, deployment: Any) -> bool:
        """Take away what a deployment that is up takes the place of; whether all of it is gone."""
        is_alone = True
        for build in self.models.builds(flight.model_id):
            others = self.models.deployments(flight.model_id, build.id)
            others = [each for each in others if each.id != deployment.id]
            for each in others:
                self.models.stop(flight.model_id, build.id, each)
            if build.id == flight.build_id or not marks.of_build(build):
                continue
            if all(map(models.is_over, others)):
                self.models.delete_build(flight.model_id, build)
            else:  # of what still stops nothing is deleted
                is_alone = False
        superseded = self.models.get(marks.variables(deployment).get(SUPERSEDES, ""))
        gone = superseded is None or superseded.id == flight.model_id or self.models.withdraw(superseded)
        return gone and is_alone

    def adjust(self, flight: Flight, work: AdjustmentWork) -> None:
        """Say what is wanted; the deployment of it is begun, unless one that is up has it already."""
        model = self.models.get(work.model_id)
        build = self.models.build(work.model_id, work.build_id) if model else None
        if model is None or build is None:
            what = "endpoint" if model is None else "build of the endpoint"
            hint = "'studio apply --refresh --online' deploys it again"
            raise RefusedError(f"the {what} {work.model_name} is not in the workspace any more", hint)
        flight.model_id, flight.build_id = model.id, build.id
        if (model.description or "") != work.description:
            flight.changes.append("description")
        wanted = {"default_resources": sizes.defaults(work.size), "default_replication_policy": sizes.policy(work.size)}
        self.models.update(model, {"description": work.description, **wanted})
        known = self.models.deployments(model.id, build.id)
        if any(models.phase(each) is Phase.READY and sizes.of(each) == work.size for each in known):
            return
        if not known:
            hint = f"'studio apply --replace' with the export's name deploys it anew; see {self.page(model.id)}"
            raise RefusedError(f"the endpoint {work.model_name} has no deployment whose settings could stay", hint)
        kept = {name: value for name, value in marks.variables(known[-1]).items() if name != SUPERSEDES}
        body = {**sizes.asked(work.size), "environment": {**kept, JOB: str(flight.mark)}}
        self.models.create_deployment(model.id, build.id, flight.mark, body)
        flight.changes.append(f"resources: {work.size}")

    def adjusted(self, flight: Flight, work: AdjustmentWork | None) -> Step:
        """Wait for what ``adjust`` began; without it for what is up, which has what is wanted."""
        if self.models.build(flight.model_id, flight.build_id) is None:
            return Step("deploy", "its build was deleted in the workspace", JobState.CANCELLED, "apply again")
        own = self.models.deployment_by(flight.model_id, flight.build_id, flight.mark)
        known = self.models.deployments(flight.model_id, flight.build_id)
        fits = (each for each in reversed(known) if models.phase(each) is Phase.READY)
        return self._up(flight, own or next((each for each in fits if work and sizes.of(each) == work.size), None))

    def output(self, flight: Flight, deployment: Any) -> DeploymentOutput:
        """What is up, as the workspace has it."""
        model = self.models.get(flight.model_id)
        if model is None:
            raise RefusedError("the endpoint was deleted in the workspace", "apply again to deploy")
        page = self.page(model.id, model)
        return DeploymentOutput(
            model_name=model.name,
            model_id=model.id,
            build_id=flight.build_id,
            deployment_id=deployment.id,
            url=endpoint_url(self.models.calls.url),
            page=page,
            access_key=f"accessKey of the model {model.name}: Settings in {page}",
            authentication=bool(model.auth_enabled),
            description=model.description or "",
            size=sizes.of(deployment),
            place=self.place,
        )

    def seen(self, model_id: str) -> EndpointLook | None:
        """What became of an endpoint; None when it is gone. What was deployed last counts, whatever its build."""
        model = self.models.get(model_id)
        if model is None:
            return None
        builds = self.models.builds(model_id)
        known = [(build, each) for build in builds for each in self.models.deployments(model_id, build.id)]
        up = [each for each in known if not models.is_over(each[1])]
        build, last = max(up or known, key=lambda each: moment(each[1].created_at), default=(None, None))
        is_up = last is not None and models.phase(last) is Phase.READY
        return EndpointLook(
            build=build.id if build else "",
            status="deployed" if is_up else str(last.status or "").lower() if last else "",
            is_settled=is_up or last is None or models.is_over(last),
            size=sizes.of(last) if last else None,
            description=model.description or "",
            authentication=bool(model.auth_enabled),
        )

    def page(self, model_id: str, model: Any = None) -> str:
        """Where people look at a model."""
        project = getattr(model or self.models.get(model_id), "project", None)
        slug = str(getattr(project, "slug", "") or "").strip("/")
        url = self.models.calls.url
        return f"{url}/{slug}/models/{model_id}" if slug else f"{url}, Models, {model_id}"

    def _model(self, work: DeploymentWork) -> Any | None:
        """The model that is to be deployed to; None when it is still to be made."""
        own = self.models.get(work.model_id)
        if own is not None:
            return own
        found = self.models.named(work.model_name)
        if found is None:
            return None
        made = [mark for build in self.models.builds(found.id) if (mark := marks.of_build(build))]
        stranger = next((mark.owner for mark in made if mark.owner != work.owner), "")
        if stranger:
            hint = "choose another model_name; a patch in studio.yaml gives an environment its own"
            raise RefusedError(f"the model {work.model_name} serves {stranger}", hint)
        if not made and found.auth_enabled != work.authentication:
            has = "demands" if found.auth_enabled else "does not demand"
            message = f"the workspace has a model {work.model_name} that {has} a key, and the API cannot change that"
            raise RefusedError(message, f"delete it in {self.page(found.id, found)}, or choose another model_name")
        return found


def endpoint_url(workspace: str) -> str:
    """Where the models of a workspace take requests (CML, Calling a Model): a host of its own."""
    parts = urlsplit(workspace)
    return f"{parts.scheme}://modelservice.{parts.netloc}/model"


def _environment(mark: Mark, work: DeploymentWork, location: str) -> Mapping[str, str]:
    """The guide's three variables, and our marks. No secret is among them: who may see the model may see them."""
    found = {
        BASE: f"{work.base_model}@{work.revision}" if work.revision else work.base_model,
        ADAPTER: location,
        GENERATION: json.dumps(work.generation, sort_keys=True),
        JOB: str(mark),
    }
    return found | ({SUPERSEDES: work.supersedes} if work.supersedes else {})
