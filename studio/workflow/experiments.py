"""What MLflow still has of what is recorded: runs and registered versions, asked in one go by a child process that can
not write."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from studio.core.jobspec import VARIABLE
from studio.core.secrets import redact
from studio.core.tracking_look import FilesLook, LookRequest, RunLook, VersionLook, VersionName
from studio.load.destinations import is_on_a_disk
from studio.load.project import Loaded
from studio.load.tracked import tracking
from studio.load.tracking import look as ask_mlflow
from studio.plan.drift import OWN_TAGS, Sort, Subject, Unseen

Found = dict[Subject, Any]
UNSEEN = Unseen(
    "MLflow",
    "it is on the disk of the workspace, which cannot be seen from here",
    "ask inside the workspace, or let spec.mlflow of studio.yaml name a server",
)


def look(loaded: Loaded, subjects: Iterable[Subject], *, elsewhere: bool) -> tuple[Found, list[Unseen]]:
    """What was found, and what nobody could look at. ``elsewhere``: jobs use another disk than this one."""
    asked = list(subjects)
    runs = [subject for subject in asked if subject.sort is Sort.RUN]
    versions = [subject for subject in asked if subject.sort is Sort.VERSION]
    if elsewhere and is_on_a_disk(loaded.settings.spec.mlflow, loaded.root, os.environ):
        return {}, [UNSEEN]
    names = tuple(dict.fromkeys(subject.key[:2] for subject in versions))
    place = tracking(loaded.settings)
    request = LookRequest(
        tracking=place,
        project_dir=str(loaded.root),
        runs=tuple(subject.key[0] for subject in runs),
        versions=tuple(VersionName(name=name, version=version) for name, version in names),
    )
    answer = ask_mlflow(request)
    if answer.fault:
        where = place.tracking_uri.replace(VARIABLE, "the address in ")
        return {}, [Unseen(f"MLflow at {redact(where)}", answer.fault.message, answer.fault.hint)]
    found: Found = {}
    for subject in runs:
        stage = answer.runs[subject.key[0]]
        found[subject] = None if stage is RunLook.MISSING else stage.value
    for name, version in zip(names, answer.versions, strict=True):
        facts = {"version": None} if version is None else dict(_facts(version))
        found |= {Subject(Sort.VERSION, (*name, fact)): value for fact, value in facts.items()}
    return found, []


def _facts(version: VersionLook) -> Iterator[tuple[str, Any]]:
    """A version's facts; of files on another machine nothing is known."""
    own = {name: value for name, value in version.tags.items() if name.startswith("studio.")}
    yield "version", "there"
    yield "version.description", version.description
    yield "version.source", version.source
    yield "version.stage", version.stage
    yield "version.aliases", list(version.aliases)
    yield "version.tags", {name: own[name] for name in OWN_TAGS if name in own}
    yield "version.other_tags", {name: value for name, value in version.tags.items() if name not in own}
    if version.files is not FilesLook.ELSEWHERE:
        yield "version.files", None if version.files is FilesLook.GONE else version.files.value
