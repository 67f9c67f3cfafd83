"""PJ: the workspace that studio.yaml sends jobs to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from studio.core.findings import Severity
from studio.load.disclosure import LOOPBACK, address
from studio.load.settings import Backend
from studio.load.workspaces import PROJECT_VARIABLE
from studio.resources.adapter import Adapter
from studio.resources.model import Model
from studio.rules.base import Breach, View, rule, setting
from studio.rules.project import parts

_ID = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\Z")
_EXPANDED = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?")
LONGEST_ID = 64


@rule("PJ-015")
def url_of_no_workspace(view: View) -> Iterator[Breach]:
    """The address of a workspace is not one that a key can be sent to.

    It is the https address that a browser shows before the first slash of the path.

    Bad:
        kind: Project
        spec:
          backend:
            type: cml
            url: http://ml.example.com  # <-
    Good:
        kind: Project
        spec:
          backend:
            type: cml
            url: https://ml.example.com
    """
    for path, backend, _, _ in parts(view):
        if backend and backend.url and (fault := _fault(backend.url)):
            hint = "write it as https://ml.example.com"
            if _EXPANDED.search(backend.url):
                hint += ", or leave it out and set STUDIO_CML_URL"
            yield from setting(view, (*path, "backend", "url"), f"url {fault}", hint)


@rule("PJ-016")
def bad_project_id(view: View) -> Iterator[Breach]:
    """What should be the id of a CML project is not one.

    It is made of letters, digits and hyphens, such as abcd-1234-efgh-5678; the project's name is something else.

    Bad:
        kind: Project
        spec:
          backend:
            type: cml
            project_id: team/support desk  # <-
    Good:
        kind: Project
        spec:
          backend:
            type: cml
            project_id: abcd-1234-efgh-5678
    """
    for path, backend, _, _ in parts(view):
        if backend and backend.project_id and not _is_id(backend.project_id):
            hint = f"a session in the project shows its id: echo ${PROJECT_VARIABLE}"
            message = "project_id is not the id of a project"
            if _EXPANDED.search(backend.project_id):
                message = "project_id names a variable as a shell does, and is taken to the letter"
                hint = f"write the id, or leave it out inside the workspace, where {PROJECT_VARIABLE} is set"
            yield from setting(view, (*path, "backend", "project_id"), message, hint)


@rule("PJ-017", severity=Severity.WARNING)
def workspace_without_jobs(view: View) -> Iterator[Breach]:
    """A workspace is written to a backend whose jobs do not run there.

    Whoever wrote it believes that they do. Address and key of a workspace are of use to another backend only where
    models or adapters are imported from its registry.

    Bad:
        kind: Project
        spec:
          backend:
            type: local
            project_id: abcd-1234-efgh-5678  # <-
    Good:
        kind: Project
        spec:
          backend:
            type: cml
            project_id: abcd-1234-efgh-5678
    """
    for path, backend, _, _ in parts(view):
        if backend is None or backend.type != "local":
            continue
        for name in _written(backend):
            if name == "project_id" or not (view.unread or _imports(view)):
                message = f"{name} has no effect: jobs run on the backend 'local'"
                yield from setting(
                    view, (*path, "backend", name), message, f"write type: cml beside it, or remove {name}"
                )


def _fault(url: str) -> str:
    """What is wrong with the address of a workspace; "" for nothing."""
    if _EXPANDED.search(url):
        return "names a variable as a shell does, and is taken to the letter"
    known = address(url)
    if not known or any(letter.isspace() for letter in url):
        return "is not an address"
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if "@" in parts.netloc:
        return "holds a user: what stands before the @ is not the workspace"
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        return "is not https, so the key could be read on its way"
    return ""


def _is_id(text: str) -> bool:
    return len(text) <= LONGEST_ID and _ID.match(text) is not None


def _written(backend: Backend) -> list[str]:
    named = {"url": backend.url, "project_id": backend.project_id, "api_key": backend.api_key}
    return [name for name, value in named.items() if value]


def _imports(view: View) -> bool:
    """Whether anything comes from the registry of a workspace."""
    imported = [*view.of(Model), *view.of(Adapter)]
    return any(getattr(each.resource.spec, "cml_registered_model_id", "") for each in imported)
