"""Versions in MLflow's registry: which one a job registered, and what is said about it."""

from __future__ import annotations

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from studio.core.errors import JobError
from studio.core.jobspec import VersionRevision
from studio.core.tracking_look import KEY_TAG

ABSENT = "RESOURCE_DOES_NOT_EXIST"
"""MLflow's code for what is not there."""


def find(client: MlflowClient, name: str, key: str, after: str = "") -> str:
    """The version that an earlier attempt of the same job registered; "" when there is none.

    ``after`` is a version that is to be replaced: neither it nor an older one counts.
    """
    quote = '"' if "'" in name else "'"  # MLflow's filters know both, and no escape
    found = client.search_model_versions(f"name = {quote}{name}{quote} AND tag.`{KEY_TAG}` = '{key}'")
    newer = (str(version.version) for version in found if int(version.version) > int(after or 0))
    return max(newer, key=int, default="")


def revise(client: MlflowClient, wanted: VersionRevision) -> list[str]:
    """Make a version say about itself what it should; what was changed, in words.

    Raises JobError when the version is not there: then there is nothing to revise, and only a new export helps.
    """
    name, number = wanted.model_name, wanted.model_version
    try:
        found = client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        raise JobError(
            f"{name} version {number} is not in the registry any more", "'studio apply --refresh' exports it again"
        ) from error
    changes = []
    if (found.description or "") != wanted.description:
        client.update_model_version(name, number, wanted.description)
        changes.append(f"the description of {name} version {number}")
    for tag, value in sorted(wanted.tags.items()):
        if found.tags.get(tag) != value:
            client.set_model_version_tag(name, number, tag, value)
            changes.append(f"the tag {tag} of {name} version {number}")
    return changes
