"""Which variable's value may be sent where.

``studio.yaml`` comes with a pull request, so whoever opens one chooses the names and addresses in it. The names are
therefore held against a list, and the address of a workspace against the environment, which only its owner sets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_HUB_TOKEN = re.compile(
    r"(?:HF_TOKEN|HUGGINGFACE_ACCESS_TOKEN|HUGGING_FACE_HUB_TOKEN|STUDIO_HF_TOKEN(?:_[A-Z0-9_]+)?)\Z"
)
HUB_TOKENS = "HF_TOKEN, HUGGINGFACE_ACCESS_TOKEN, HUGGING_FACE_HUB_TOKEN, or STUDIO_HF_TOKEN with any ending after '_'"
_WORKSPACE_KEY = re.compile(r"(?:CDSW_APIV2_KEY|CML_API_KEY|STUDIO_CML_KEY(?:_[A-Z0-9_]+)?)\Z")
WORKSPACE_KEYS = "CDSW_APIV2_KEY, CML_API_KEY, or STUDIO_CML_KEY with any ending after '_'"
MEND = "nothing was sent: mend backend in studio.yaml, or the environment that studio runs in"
"""What to do about a refusal, which says what is wrong."""
_TRACKING = re.compile(r"(?:MLFLOW_TRACKING_URI|STUDIO_MLFLOW(?:_[A-Z0-9_]+)?)\Z")
TRACKING_ADDRESSES = "MLFLOW_TRACKING_URI, or STUDIO_MLFLOW with any ending after '_'"
WORKSPACES = ("STUDIO_CML_URL", "CDSW_API_URL", "CDSW_DOMAIN")
"""Variables with the address of a workspace; the latter two are those that a workspace sets itself."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that a key reaches without a network."""


def is_hub_token(variable: str) -> bool:
    """Whether the hub may get its value."""
    return _HUB_TOKEN.match(variable) is not None


def is_workspace_key(variable: str) -> bool:
    """Whether a CML workspace may get its value."""
    return _WORKSPACE_KEY.match(variable) is not None


def is_tracking_address(variable: str) -> bool:
    """Whether its value may be taken for the address of MLflow: it is connected to, and goes along with jobs."""
    return _TRACKING.match(variable) is not None


def address(url: str) -> str:
    """Scheme, host and port of an address or a bare host, in one spelling; "" for what is none. Without a user: that
    is how one host is made to look like another."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = port in (None, 443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{host}" + ("" if usual else f":{port}")


def trusted_workspaces(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses that the environment names, the most telling first."""
    named = (address(environ.get(variable, "")) for variable in WORKSPACES)
    return tuple(found for found in named if found)


def refusal(url: str, variable: str, environ: Mapping[str, str]) -> str:
    """Why the key must not be sent to a workspace; "" when it may."""
    if not is_workspace_key(variable):
        return f"{variable} is not a variable for keys of workspaces: {WORKSPACE_KEYS}"
    if url not in trusted_workspaces(environ):
        return f"only studio.yaml names that address; set STUDIO_CML_URL={url} where studio runs if it is yours"
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        return "the address is not https, so the key could be read on its way"
    return ""
