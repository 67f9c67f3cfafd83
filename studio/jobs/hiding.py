"""Secrets of a job, hidden in whatever it, or a program beside it, prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from studio.core.jobspec import VARIABLE, JobSpec
from studio.core.secrets import HIDDEN, redact, redact_named

SHORTEST_SECRET = 6
"""Characters. Hiding every ``1`` because some variable is ``1`` would help nobody."""
KEYS = ("CDSW_APIV2_KEY", "CDSW_API_KEY")
"""What a workspace itself puts into the environment of an engine and nobody should read in a log."""

Hide = Callable[[str], str]


def hiding(spec: JobSpec, environ: Mapping[str, str]) -> Hide:
    """Hides whatever looks like a secret, and the values of the variables that hold the job's; of one of several lines
    each line, because logs are written line by line."""
    uri = spec.tracking.tracking_uri
    names = {*spec.secrets.values(), *KEYS, *([uri.removeprefix(VARIABLE)] if uri.startswith(VARIABLE) else [])}
    values = {line for name in names for line in (environ.get(name, ""), *environ.get(name, "").splitlines())}
    secrets = [value for value in sorted(values, key=lambda text: (-len(text), text)) if len(value) >= SHORTEST_SECRET]

    def hide(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        return redact_named(redact(text))

    return hide
