"""Where exports go: which MLflow registry it is, however its address is written.

The identity is hashed into an export's fingerprint, so that the same model goes to another registry once, and a second
environment with the same registry shares what is there. It holds no user and no password: who asks does not decide
which registry it is, and a new password exports nothing again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from studio.core.fingerprints import digest
from studio.load.settings import SecretName, Tracking

SQLITE = "sqlite:///"
_DEFAULT_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306}
_OWN = Tracking().tracking_uri


def registry(tracking: Tracking, root: Path, environ: Mapping[str, str]) -> str | None:
    """The registry's identity: "" for the project's own, None when the variable that holds its address is not set."""
    uri = tracking.tracking_uri
    if isinstance(uri, SecretName):
        uri = environ.get(uri.env, "")
        if not uri:
            return None
    found = _identity(uri, root)
    return "" if isinstance(_OWN, str) and found == _identity(_OWN, root) else found


def server(tracking: Tracking, root: Path, environ: Mapping[str, str]) -> str | None:
    """A hash of which MLflow server keeps what jobs log; "" where a disk does, None where the address is not known."""
    found = registry(tracking, root, environ)
    return found and (digest(found) if found.startswith("http://") else "")


def is_on_a_disk(tracking: Tracking, root: Path, environ: Mapping[str, str]) -> bool:
    """Whether what jobs log can be seen only by who has the disk of the machine that they ran on."""
    found = registry(tracking, root, environ)
    return found is not None and (found == "" or found.startswith(("sqlite:", "file:")))


def _identity(uri: str, root: Path) -> str:
    """One text for all spellings of an address."""
    if uri.startswith(SQLITE):
        return f"sqlite:{_within(uri.removeprefix(SQLITE), root)}"
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:  # a port that is no number, half of an IPv6 address: the job says what is wrong with it
        return uri
    if not parts.netloc:
        return f"file:{_within(parts.path, root)}" if parts.scheme in ("", "file") and parts.path else uri
    scheme = parts.scheme.partition("+")[0]  # the driver is how, not where
    ending = "" if port in (None, _DEFAULT_PORTS.get(scheme)) else f":{port}"
    speaks = "http" if scheme in ("http", "https") else scheme
    return f"{speaks}://{(parts.hostname or '').lower()}{ending}{parts.path.rstrip('/')}"


def _within(path: str, root: Path) -> str:
    """Relative to the project where it is inside, so that a project that is moved keeps its registry."""
    absolute = os.path.normpath(root / path)
    return os.path.relpath(absolute, root) if absolute.startswith(f"{os.path.normpath(root)}/") else absolute
