"""PJ: project settings in studio.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.core.findings import Path, Severity
from studio.core.suggest import did_you_mean
from studio.load.settings import Backend, Environment, Patch, SecretName, Target, Tracking
from studio.resources import KINDS
from studio.resources.base import SLUG
from studio.rules.base import Breach, View, rule, setting

_IN_MEMORY = re.compile(r"sqlite(\+pysqlite)?:(//)?/?([?]|$|.*:memory:)")
_STATE = re.compile(r"(?:sqlite|postgresql)(?:\+\w+)?:")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_EXPANDED = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?\Z")
"""How a shell would be asked for a variable."""
IDENTITY = (("apiVersion",), ("kind",), ("metadata", "name"))


def is_variable(name: str) -> bool:
    """Whether an environment variable can be named so."""
    return _VARIABLE.match(name) is not None


def parts(view: View) -> Iterator[tuple[Path, Backend | None, str | SecretName | None, Tracking | None]]:
    """Backend, state and tracking of the project and of each environment, and where they are written.

    The chosen environment's are laid over the project's; what is laid over is not judged twice.
    """
    spec, environments = view.settings.spec, view.settings.spec.environments
    for name, each in environments.items():
        yield ("spec", "environments", name), each.backend, each.state, each.mlflow
    over = list(environments.values())
    backend = None if any(each.backend is spec.backend for each in over) else spec.backend
    state = None if any(each.state is spec.state for each in over) else spec.state
    mlflow = None if any(each.mlflow is spec.mlflow for each in over) else spec.mlflow
    yield ("spec",), backend, state, mlflow


def _patches(view: View) -> Iterator[tuple[Path, Environment, Patch]]:
    for name, environment in view.settings.spec.environments.items():
        for index, patch in enumerate(environment.patches):
            yield ("spec", "environments", name, "patches", index), environment, patch


@rule("PJ-001")
def unknown_backend(view: View) -> Iterator[Breach]:
    """The type of a backend is unknown.

    Bad:
        kind: Project
        spec:
          backend:
            type: locl  # <-
    Good:
        kind: Project
        spec:
          backend:
            type: local
    """
    for path, backend, _, _ in parts(view):
        if backend and backend.type not in view.backend_types:
            message = f"the backend type {backend.type!r} is unknown"
            hint = did_you_mean(backend.type, view.backend_types)
            yield from setting(view, (*path, "backend", "type"), message, hint)


@rule("PJ-002")
def patch_of_unknown_kind(view: View) -> Iterator[Breach]:
    """A patch of an environment targets a kind that does not exist.

    It would never apply, and the environment would run on what it was meant to change.

    Bad:
        kind: Project
        spec:
          environments:
            prod:
              patches:
                - target:
                    kind: FinetuningJob  # <-
                  patch:
                    spec:
                      num_gpu: 2
    Good:
        kind: Project
        spec:
          environments:
            prod:
              patches:
                - target:
                    kind: FineTuningJob
                  patch:
                    spec:
                      num_gpu: 2
    """
    for path, _, patch in _patches(view):
        kind = patch.target.kind
        if kind and kind not in KINDS:
            message = f"the kind {kind!r} is unknown"
            yield from setting(view, (*path, "target", "kind"), message, did_you_mean(kind, KINDS))


@rule("PJ-003")
def patch_of_identity(view: View) -> Iterator[Breach]:
    """A patch changes the kind or the name of what it targets.

    Then it is another resource: the environment would delete one and create one, and references would lead nowhere.

    Bad:
        kind: Project
        spec:
          environments:
            prod:
              patches:
                - target:
                    name: router
                  patch:
                    metadata:
                      name: router-prod  # <-
    Good:
        kind: Project
        spec:
          environments:
            prod:
              patches:
                - target:
                    name: router
                  patch:
                    metadata:
                      title: Router, production
    """
    for path, _, patch in _patches(view):
        for steps in IDENTITY:
            held: object = patch.patch
            for step in steps:
                held = held.get(step, ...) if isinstance(held, dict) else ...
            if held is not ...:
                message = f"the patch changes {'.'.join(steps)}, which says what a resource is"
                yield from setting(view, (*path, "patch", *steps), message, "write a second manifest in its place")


@rule("PJ-004")
def unknown_state_scheme(view: View) -> Iterator[Breach]:
    """The state is in a database that is neither SQLite nor PostgreSQL, or that nobody finds again.

    A database in memory is gone when the command ends, and with it the record of what was trained.

    Bad:
        kind: Project
        spec:
          state: mysql://db.example/studio  # <-
    Good:
        kind: Project
        spec:
          state: postgresql+psycopg://studio@db.example/studio
    """
    for path, _, state, _ in parts(view):
        if isinstance(state, str) and _IN_MEMORY.match(state):
            hint = "write sqlite:///.studio/state.db"
            yield from setting(view, (*path, "state"), "the state is in memory, and lost when the command ends", hint)
        elif isinstance(state, str) and not _STATE.match(state):
            scheme = state.partition(":")[0] if ":" in state else ""
            what = f"state is of the unknown scheme {scheme!r}" if scheme else "state is not a URL"
            hint = "write sqlite:///.studio/state.db or postgresql+psycopg://user@host/database"
            variable = _EXPANDED.match(state)
            if variable:
                what = "state names a variable as a shell does, and is taken to the letter"
                hint = f"write state: {{env: {variable.group(1)}}}"
            yield from setting(view, (*path, "state"), what, hint)


@rule("PJ-005", severity=Severity.WARNING)
def no_project_name(view: View) -> Iterator[Breach]:
    """The project has no name.

    Runs are filed under it: without one, the experiments of all nameless projects come together.

    Bad:
        kind: Project
        metadata:
          name: ""  # <-
    Good:
        kind: Project
        metadata:
          name: support-desk
    """
    if not view.settings.metadata.name:
        hint = f"write metadata: {{name: {view.root.name or 'my-project'}}}"
        yield from setting(view, ("metadata", "name"), "the project has no name", hint)


@rule("PJ-006")
def bad_variable_name(view: View) -> Iterator[Breach]:
    """What should be the name of an environment variable is not one.

    Usually the secret itself was written here.

    Bad:
        kind: Project
        spec:
          hf_token:
            env: my token  # <-
    Good:
        kind: Project
        spec:
          hf_token:
            env: HUGGINGFACE_ACCESS_TOKEN
    """
    named: list[tuple[Path, object]] = [(("spec", "hf_token"), view.settings.spec.hf_token)]
    named.append((("spec", "axolotl_python"), view.settings.spec.axolotl_python))
    for path, backend, state, mlflow in parts(view):
        named += [((*path, "state"), state), ((*path, "backend", "api_key"), backend.api_key if backend else None)]
        named.append(((*path, "mlflow", "tracking_uri"), mlflow.tracking_uri if mlflow else None))
    for path, value in named:
        if isinstance(value, SecretName) and not is_variable(value.env):
            message = "env is not the name of an environment variable"
            yield from setting(
                view, (*path, "env"), message, "write a name such as STUDIO_STATE_URL, and set it outside"
            )


@rule("PJ-007", severity=Severity.WARNING)
def patch_of_nothing(view: View) -> Iterator[Breach]:
    """A patch of an environment targets no manifest.

    A label or a name is misspelt, and the environment runs on what the patch was meant to change.

    Bad:
        kind: Project
        spec:
          environments:
            prod:
              patches:
                - target:  # <-
                    labels:
                      team: suport
                  patch:
                    spec:
                      num_gpu: 2
    Good:
        kind: Project
        spec:
          environments:
            prod:
              patches:
                - target:
                    labels:
                      team: support
                  patch:
                    spec:
                      num_gpu: 2
    """
    for path, _, patch in _patches(view):
        target = patch.target
        wanted = target.labels.items()
        if target.name in view.unread or (view.unread and not target.name):
            continue  # perhaps it is in a document that could not be read
        if target.kind in ("", *KINDS) and not any(
            target.kind in ("", ref.kind)
            and target.name in ("", ref.name)
            and wanted <= manifest.resource.metadata.labels.items()
            for ref, manifest in view.manifests.items()
        ):
            hint = "correct kind, name and labels of the target, or remove the patch"
            named = [ref.name for ref in view.manifests if target.kind in ("", ref.kind)]
            if target.name and target.name not in named:
                hint = did_you_mean(target.name, [name for name in named if SLUG.match(name)])
            yield from setting(view, (*path, "target"), f"the patch targets nothing: {_nothing(target)}", hint)


def _nothing(target: Target) -> str:
    """What a target asks for and no manifest is, in words."""
    labels = ", ".join(f"{key}: {value}" for key, value in sorted(target.labels.items()))
    wanted = [f"is named {target.name!r}"] if target.name else []
    wanted += [f"has the labels {{{labels}}}"] if labels else []
    return f"no {target.kind or 'resource'} {' and '.join(wanted) or 'is there'}"
