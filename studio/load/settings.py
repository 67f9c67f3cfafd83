"""``studio.yaml``: the project's settings (kind: Project)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from studio.resources.base import Metadata, Part

Scalar = str | int | float | bool


class SecretName(Part):
    """A value that is secret is always the name of an environment variable."""

    env: str = Field(description="Name of the environment variable that holds the value.")


class Backend(Part):
    type: str = Field(default="local", description="Where jobs run.")
    url: str = Field(default="", description="Address of the CML workspace.")
    project_id: str = Field(default="", description="Id of the CML project.")
    api_key: SecretName | None = Field(default=None, description="Variable that holds the CML API key.")


class Tracking(Part):
    tracking_uri: str | SecretName = Field(
        default="sqlite:///.studio/mlflow.db", description="MLflow tracking server or database."
    )
    experiment: str = Field(default="", description="MLflow experiment; the project's name when empty.")


class Target(Part):
    kind: str = Field(default="", description="Only resources of this kind.")
    name: str = Field(default="", description="Only the resource of this name.")
    labels: dict[str, str] = Field(default_factory=dict, description="Only resources with all these labels.")


class Patch(Part):
    target: Target = Field(default_factory=Target, description="Which resources; all when empty.")
    patch: dict[str, Any] = Field(description="JSON merge patch (RFC 7386) over the manifest.")


class Variable(Part):
    default: Scalar | None = Field(
        default=None, description="Its value where an environment sets none; its type is the variable's type."
    )
    description: str = Field(default="", description="What it is for.")


class Environment(Part):
    backend: Backend | None = Field(default=None, description="In place of the project's backend.")
    state: str | SecretName | None = Field(default=None, description="In place of the project's state.")
    mlflow: Tracking | None = Field(default=None, description="In place of the project's tracking.")
    variables: dict[str, Scalar] = Field(default_factory=dict, description="Values of the project's variables here.")
    patches: Annotated[tuple[Patch, ...], Strict(False)] = Field(
        default=(), description="What differs in the manifests, applied in this order."
    )


class ProjectSpec(Part):
    manifests: Annotated[tuple[str, ...], Strict(False)] = Field(
        default=("manifests",), description="Folders or files with manifests."
    )
    state: str | SecretName = Field(default="sqlite:///.studio/state.db", description="Database of recorded state.")
    backend: Backend = Field(default_factory=Backend, description="Where jobs run.")
    mlflow: Tracking = Field(default_factory=Tracking, description="Where runs, metrics and models are filed.")
    allow_remote_code: Annotated[tuple[str, ...], Strict(False)] = Field(
        default=(), description="Hub names whose own code may run."
    )
    hf_token: SecretName = Field(
        default=SecretName(env="HUGGINGFACE_ACCESS_TOKEN"), description="Variable with the Hugging Face token."
    )
    axolotl_python: str | SecretName = Field(
        default=SecretName(env="STUDIO_AXOLOTL_PYTHON"),
        description="Python of the environment that has Axolotl: its path in the project, or the variable that says.",
    )
    variables: dict[str, Variable] = Field(
        default_factory=dict, description="What manifests may name as ${var.name}; environments and --var set values."
    )
    environments: dict[str, Environment] = Field(
        default_factory=dict, description="What differs in an environment, chosen with --env NAME."
    )

    @property
    def python_of_axolotl(self) -> str:
        """As job specs say it: a path, or ``env:`` and the name of a variable."""
        from studio.core.jobspec import VARIABLE

        return self.axolotl_python if isinstance(self.axolotl_python, str) else f"{VARIABLE}{self.axolotl_python.env}"


class Project(Part):
    apiVersion: Literal["studio/v1"] = "studio/v1"
    kind: Literal["Project"] = "Project"
    metadata: Metadata = Field(default_factory=Metadata)
    spec: ProjectSpec = Field(default_factory=ProjectSpec)
