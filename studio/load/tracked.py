"""Where a project's jobs log: its MLflow settings, as job specs hold them."""

from __future__ import annotations

from studio.core.jobspec import VARIABLE, Tracking
from studio.load.settings import Project, SecretName

ARTIFACTS_FOLDER = ".studio/mlartifacts"


def tracking(project: Project, server: str = "") -> Tracking:
    """MLflow settings. Relative SQLite paths stay relative to the project, wherever the job runs."""
    settings = project.spec.mlflow
    experiment = settings.experiment or project.metadata.name or "studio"
    uri = settings.tracking_uri
    if isinstance(uri, SecretName):
        return Tracking(tracking_uri=f"{VARIABLE}{uri.env}", experiment=experiment, server=server)
    own = uri.startswith("sqlite:")
    location = ARTIFACTS_FOLDER if own else ""
    return Tracking(tracking_uri=uri, experiment=experiment, artifact_location=location, server=server)
