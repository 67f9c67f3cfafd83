"""Names of judges, and of the variables that say where they are.

Manifests come with pull requests, and a judge is sent rows of the dataset. A manifest therefore only says a name: where
that judge is, and its key, stand in the environment, which only its owner sets.
"""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
"""Of a judge's metric: what columns of tables and MLflow take."""
ENDPOINT = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")
SCALE = (1, 5)


def url_variable(endpoint: str) -> str:
    """Holds the address of an OpenAI-compatible service, such as ``https://judges.example.com/v1``."""
    return _variable("STUDIO_JUDGE_URL", endpoint)


def key_variable(endpoint: str) -> str:
    """Holds the key of that service; it goes nowhere else."""
    return _variable("STUDIO_JUDGE_KEY", endpoint)


def _variable(stem: str, endpoint: str) -> str:
    return f"{stem}_{endpoint.upper().replace('-', '_')}" if endpoint else stem
