"""The environment of a run: the job spec, and the values of the secrets that it names, where they are set here.

Only a run's environment carries them. A job's own environment stays in the workspace for everybody who may see the
project, and arguments are shown to them.
"""

from __future__ import annotations

from collections.abc import Mapping

from studio.core.envelope import pack
from studio.core.jobspec import VARIABLE, JobSpec


def environment(spec: JobSpec, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables of the run of a job. Raises RefusedError for a spec that is too large."""
    return {**secrets(spec, environ), **pack(spec)}


def secrets(spec: JobSpec, environ: Mapping[str, str]) -> dict[str, str]:
    """Values to send along; for a variable that is not set here the workspace's own is relied on.

    What the manifests name as the address of MLflow is sent only when it is an address.
    """
    named = {name: environ.get(name, "") for name in spec.secrets.values()}
    uri = spec.tracking.tracking_uri
    if uri.startswith(VARIABLE):
        address = environ.get(uri.removeprefix(VARIABLE), "")
        named[uri.removeprefix(VARIABLE)] = address if "://" in address else ""
    return {name: value for name, value in sorted(named.items()) if value}
