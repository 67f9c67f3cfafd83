"""Which CML workspace and project an environment's jobs go to: what studio.yaml says, else what the process's own
environment says. Inside a workspace nothing needs to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from studio.backends.base import place
from studio.core.errors import StudioError
from studio.load import disclosure
from studio.load.settings import Backend

KEY_VARIABLE = "CDSW_APIV2_KEY"
"""Where a workspace puts the key of whoever runs there."""
PROJECT_VARIABLE = "CDSW_PROJECT_ID"
"""Where a workspace says which project a process runs in."""
ENGINE_VARIABLE = "CDSW_ENGINE_ID"
"""Which of its engines a process runs in; people set the other variables elsewhere too, and have no use for this."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where to ask, about which project, and with which key."""

    url: str
    project_id: str
    key_variable: str
    key: str = field(repr=False)


def address(backend: Backend, environ: Mapping[str, str]) -> str:
    """Of the workspace; "" when nobody says."""
    if backend.url:
        return disclosure.address(backend.url)
    return next(iter(disclosure.trusted_workspaces(environ)), "")


def project_id(backend: Backend, environ: Mapping[str, str]) -> str:
    """ "" when nobody says."""
    return backend.project_id or environ.get(PROJECT_VARIABLE, "")


def is_inside(backend: Backend, environ: Mapping[str, str]) -> bool:
    """Whether this process runs in the very project, so that its disk is this one."""
    here = environ.get(PROJECT_VARIABLE, "")
    return bool(here and environ.get(ENGINE_VARIABLE)) and here == project_id(backend, environ)


def key_variable(backend: Backend) -> str:
    return backend.api_key.env if backend.api_key else KEY_VARIABLE


def name(backend: Backend, environ: Mapping[str, str]) -> str:
    """What the backend is called that ``access`` leads to; "" while that is not known here."""
    url, project = address(backend, environ), project_id(backend, environ)
    return place(url, project) if url and project else ""


def access(backend: Backend, environ: Mapping[str, str]) -> Access:
    """Raises StudioError for whatever is missing, or must not be sent."""
    url, project, variable = address(backend, environ), project_id(backend, environ), key_variable(backend)
    if not url and backend.url:
        raise StudioError("backend.url in studio.yaml is not an address", "write it as https://ml.example.com")
    if not url:
        hint = "write backend.url in studio.yaml, and set STUDIO_CML_URL to the same where studio runs"
        raise StudioError("the address of the CML workspace is not known", hint)
    if not project:
        hint = "write backend.project_id in studio.yaml; a session in the project shows it: echo $CDSW_PROJECT_ID"
        raise StudioError("the CML project that jobs run in is not known", hint)
    if refusal := disclosure.refusal(url, variable, environ):
        raise StudioError(f"the key is not sent to {url}: {refusal}", disclosure.MEND)
    if not environ.get(variable):
        hint = f"set it to an API key (version 2), made in {url} under User Settings, API Keys"
        raise StudioError(f"the environment variable {variable} is not set", hint)
    if not _is_one_word(environ[variable]):
        hint = "set it to the key alone, as the workspace showed it"
        raise StudioError(f"{variable} holds what no key has: a blank, a line break or a letter beyond ASCII", hint)
    return Access(url, project, variable, environ[variable])


def _is_one_word(text: str) -> bool:
    """Whether it can be sent in a header as it is: printable ASCII without blanks."""
    return text.isascii() and text.isprintable() and " " not in text
