"""SEC: what a manifest must never hold or reach."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from studio.core.findings import Path, Source
from studio.core.references import Ref
from studio.core.secrets import has_password, maybe_secret, names_secret, secret_in
from studio.load.documents import parse
from studio.load.files import SETTINGS_FILE
from studio.load.manifests import Manifest
from studio.load.nodes import YamlFault
from studio.load.observation import Defect
from studio.load.problems import Fault
from studio.resources.adapter import Adapter
from studio.resources.base import Part
from studio.resources.config import YAML_TYPES, Config
from studio.resources.dataset import Dataset
from studio.resources.model import Model
from studio.resources.prompt import Prompt
from studio.rules.base import Breach, View, defects, faults, rule, setting

OUTSIDE_HINT = "write the name of a variable that holds it, and set the variable where the job runs"
AT_ONCE = 64
"""Manifests whose texts are searched together for secrets, which they hardly ever hold."""
_NUMBERS = (int, float, bool, type(None))
SHORTEST = 14
"""No known token and no URL with a password is shorter."""


@rule("SEC-001")
def path_leaves_project(view: View) -> Iterator[Breach]:
    """A path leaves the project, directly or through a link.

    Manifests may come from anyone who can open a pull request. What they name is read; so they may name nothing that
    belongs to the machine.

    Bad:
        kind: Dataset
        spec:
          location: ../../etc/people.csv  # <-
    Good:
        kind: Dataset
        spec:
          location: data/tickets.csv
    """
    yield from faults(view, Fault.OUTSIDE)
    for ref, manifest in view.manifests.items():
        for breach in defects(view, ref, Defect.OUTSIDE):
            path = "spec.chat_template" if ref.kind == "Prompt" else breach.path
            yield Breach(path, breach.message, breach.hint, ref, manifest.source)


@rule("SEC-002")
def literal_secret(view: View) -> Iterator[Breach]:
    """A secret is written in a manifest.

    Whoever can read the repository has it, and it stays in the history after it is removed: revoke it. A secret is
    always the name of a variable, never a value. Known kinds of tokens are found anywhere, other values by their keys.

    Bad:
        kind: Config
        metadata:
          name: service
        spec:
          type: custom
          config:
            api_key: correct-horse-battery-staple  # <-
    Good:
        kind: Config
        metadata:
          name: service
        spec:
          type: custom
          config:
            api_key: {env: SERVICE_API_KEY}
    """
    for ref, manifest in _suspects(view):
        for path, what in _secrets(manifest.resource):
            yield Breach(path, f"this looks like {what}", f"revoke it; {OUTSIDE_HINT}", ref, manifest.source)
    for path, text in _texts(view.settings, ()):
        if len(text) >= SHORTEST and not has_password(text) and (what := secret_in(text)):
            yield Breach(path, f"this looks like {what}", f"revoke it; {OUTSIDE_HINT}", source=Source(SETTINGS_FILE))


def _suspects(view: View) -> Iterator[tuple[Ref, Manifest]]:
    """The manifests that are worth a closer look: one search over the texts of many at once, one over their keys."""
    everything = list(view.manifests.items())
    for start in range(0, len(everything), AT_ONCE):
        some = everything[start : start + AT_ONCE]
        texts, keys = _gathered([manifest.resource for _, manifest in some])
        if maybe_secret("\n".join(texts)) or any(map(names_secret, keys)):
            yield from some


def _gathered(pending: list[Any]) -> tuple[list[str], set[str]]:
    """Every text that was written, and every key of a mapping, without their paths."""
    texts: list[str] = []
    keys: set[str] = set()
    for held in pending:  # which grows meanwhile
        kind = type(held)
        if kind is str:
            texts.append(held)
        elif kind in _NUMBERS:
            continue
        elif kind is dict:
            keys.update(map(str, held))
            texts += map(str, held)
            pending += held.values()
        elif kind is list or kind is tuple:
            pending += held
        elif isinstance(held, Part):
            fields = held.__dict__
            pending += [fields[name] for name in held.model_fields_set]
    return texts, keys


def _secrets(resource: Part) -> Iterator[tuple[Path, str]]:
    """Where a resource holds a secret, and what it looks like; the value itself goes nowhere."""
    for path, text in _texts(resource, ()):
        for step in path:
            if isinstance(step, str) and len(step) >= SHORTEST and secret_in(step):
                yield path, f"{secret_in(step)} among the keys"
        if len(text) >= SHORTEST:
            what = secret_in(text) or ("a URL with a password" if has_password(text) else "")
            if what:
                yield path, what
                continue
        key = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
        if path[0] == "spec" and len(path) > 2 and names_secret(key) and _is_literal(text):
            yield path, f"the value of {key}"


def _is_literal(text: str) -> bool:
    """Whether a value is the secret itself; ``$NAME`` and ``${NAME}`` are left to whoever expands them."""
    return bool(text.strip()) and not text.startswith("$")


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text that was written, with its path; of a model only the fields that were given."""
    match value:
        case str():
            yield path, value
        case Part():
            for name in value.model_fields_set:
                yield from _texts(getattr(value, name), (*path, name))
        case dict():
            for key, held in value.items():
                yield from _texts(held, (*path, str(key)))
        case list() | tuple():
            for index, held in enumerate(value):
                yield from _texts(held, (*path, index))


@rule("SEC-003")
def password_in_url(view: View) -> Iterator[Breach]:
    """A URL in the project settings spells out a password.

    Whoever can read the repository can write the state.

    Bad:
        kind: Project
        spec:
          state: postgresql+psycopg://studio:correct-horse@db.example/studio  # <-
    Good:
        kind: Project
        spec:
          state: {env: STUDIO_STATE_URL}
    """
    for path, text in _texts(view.settings, ()):
        if has_password(text):
            message, hint = "the URL holds a password", "write {env: NAME} and put the whole URL into that variable"
            yield from setting(view, path, message, hint)


@rule("SEC-004")
def remote_code_not_allowed(view: View) -> Iterator[Breach]:
    """Code that comes with a model is to be run, and the project's allow-list does not name the model.

    Whoever owns the model's repository could run anything where the job runs.

    Bad:
        kind: FineTuningJob
        metadata:
          name: remote
        spec:
          base_model: hub-llama
          adapter_name: remote-router
          training_arguments_config:
            model_init_kwargs:
              trust_remote_code: true  # <-
    Good:
        kind: FineTuningJob
        metadata:
          name: remote
        spec:
          base_model: hub-llama
          adapter_name: remote-router
          training_arguments_config:
            model_init_kwargs:
              trust_remote_code: false
    """
    for ref, manifest in view.manifests.items():
        if type(manifest.resource) in _WITHOUT_CONFIGS:
            continue
        for path in _trusting(manifest.resource.spec):
            refused = _not_allowed(ref, view)
            if refused or not view.settings.spec.allow_remote_code:
                what = f"the remote code of {', '.join(refused)}" if refused else "remote code"
                hint = "remove trust_remote_code, or review the code and add the model to allow_remote_code"
                yield Breach(
                    path, f"{what} is trusted, and allow_remote_code does not list it", hint, ref, manifest.source
                )


_WITHOUT_CONFIGS = (Dataset, Model, Adapter, Prompt)


def _trusting(spec: Part) -> Iterator[Path]:
    for name, value in spec.__dict__.items():
        if isinstance(value, dict):
            yield from _flagged(value, ("spec", name))
        elif isinstance(value, str) and name == "config" and any(_flagged(_read(spec, value), ())):
            yield ("spec", name)


def _flagged(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, held in value.items():
            if key == "trust_remote_code" and held not in (False, None, 0, ""):
                yield (*path, key)
            else:
                yield from _flagged(held, (*path, str(key)))
    elif isinstance(value, list):
        for index, held in enumerate(value):
            yield from _flagged(held, (*path, index))


def _read(spec: Part, text: str) -> Any:
    """A Config's text as values; None when it does not parse, which CF-002 and CF-003 report."""
    if "trust_remote_code" not in text:
        return None
    try:
        return parse(text) if getattr(spec, "type", "") in YAML_TYPES else json.loads(text)
    except (YamlFault, ValueError, RecursionError):
        return None


def _not_allowed(ref: Ref, view: View) -> list[str]:
    """Names of the models that the configuration is used with and that the allow-list lacks."""
    users = view.graph.downstream(ref) if isinstance(view.graph.resources.get(ref), Config) else {ref}
    targets = {edge.target for user in users for edge in view.graph.edges.get(user, ())}
    models = [model for target in targets if (model := view.get(target, Model))]
    names = {model.spec.huggingface_model_name or model.metadata.name for model in models}
    return sorted(names - set(view.settings.spec.allow_remote_code))


_HUB_FIELDS = ((Dataset, "huggingface_name"), (Model, "huggingface_model_name"), (Adapter, "huggingface_name"))
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)?\Z")


@rule("SEC-005")
def hub_name_is_a_path(view: View) -> Iterator[Breach]:
    """A hub name is written as a path.

    The libraries take a name that exists as a folder for local files, so ``../people`` would be read from this machine.
    A hub name is ``name`` or ``owner/name``.

    Bad:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: ../people  # <-
          revision: 0123456789abcdef0123456789abcdef01234567
          features: [text, queue]
    Good:
        kind: Dataset
        spec:
          type: huggingface
          huggingface_name: desk/people
          revision: 0123456789abcdef0123456789abcdef01234567
          features: [text, queue]
    """
    for kind, name in _HUB_FIELDS:
        for manifest in view.of(kind):
            value = getattr(manifest.resource.spec, name)
            if value and (not _HUB_NAME.match(value) or ".." in value):
                ref = manifest.resource.ref
                hint = "write owner/name as on the hub, or give a location with a project type"
                yield Breach(("spec", name), f"{value!r} is not a name on the hub", hint, ref, manifest.source)
