"""Versions in MLflow's registry: which one a job registered, and what is said about it."""

from __future__ import annotations

from mlflow.tracking import MlflowClient

from studio.core.tracking_look import KEY_TAG


def find(client: MlflowClient, name: str, key: str, after: str = "") -> str:
    """The version that an earlier attempt of the same job registered; "" when there is none.

    ``after`` is a version that is to be replaced: neither it nor an older one counts.
    """
    quote = '"' if "'" in name else "'"  # MLflow's filters know both, and no escape
    found = client.search_model_versions(f"name = {quote}{name}{quote} AND tag.`{KEY_TAG}` = '{key}'")
    newer = (str(version.version) for version in found if int(version.version) > int(after or 0))
    return max(newer, key=int, default="")
