"""SEC: which variables studio.yaml may name."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Path
from studio.load.disclosure import (
    HUB_TOKENS,
    TRACKING_ADDRESSES,
    WORKSPACE_KEYS,
    is_hub_token,
    is_tracking_address,
    is_workspace_key,
)
from studio.load.settings import SecretName
from studio.rules.base import Breach, View, rule, setting
from studio.rules.project import is_variable, parts


@rule("SEC-007")
def variable_for_something_else(view: View) -> Iterator[Breach]:
    """A variable is named as token, key or address of MLflow that may hold another secret.

    Its value would be sent: the hub's token to the hub, the key to the workspace, an address with its password to
    wherever jobs run. Whoever can open a pull request can write any name here, so only names that say what they are for
    are taken.

    Bad:
        kind: Project
        spec:
          hf_token:
            env: AWS_SECRET_ACCESS_KEY  # <-
    Good:
        kind: Project
        spec:
          hf_token:
            env: STUDIO_HF_TOKEN_SUPPORT
    """
    token = view.settings.spec.hf_token
    if is_variable(token.env) and not is_hub_token(token.env):
        yield from _misplaced(view, ("spec", "hf_token", "env"), token, "the hub", HUB_TOKENS)
    for path, backend, _, tracking in parts(view):
        uri = tracking.tracking_uri if tracking else ""
        if isinstance(uri, SecretName) and is_variable(uri.env) and not is_tracking_address(uri.env):
            yield from _misplaced(view, (*path, "mlflow", "tracking_uri", "env"), uri, "MLflow", TRACKING_ADDRESSES)
        key = backend.api_key if backend else None
        if key and is_variable(key.env) and not is_workspace_key(key.env):
            yield from _misplaced(view, (*path, "backend", "api_key", "env"), key, "the workspace", WORKSPACE_KEYS)


def _misplaced(view: View, path: Path, named: SecretName, where: str, known: str) -> Iterator[Breach]:
    message = f"the value of {named.env} may not be sent to {where}: its name does not say that it is for that"
    yield from setting(view, path, message, f"use {known}")
