"""Names of jobs on their backend: deterministic, so that a job is found again and never submitted twice."""

from __future__ import annotations

import re

from studio.core.fingerprints import digest
from studio.core.references import Ref

_REMOVAL = "remove-"
_REVISION = "revise-"
_MADE = {
    "finetuningjob-": {"training"},
    "evaluationjob-": {"evaluation"},
    "modelexport-": {"export", "deployment"},
    _REMOVAL: {"removal", "withdrawal"},
    _REVISION: {"revision", "adjustment"},
}
"""Beginnings of keys, and of what sort the output of such a job may be."""


def job_key(ref: Ref, fingerprint: str) -> str:
    """The deterministic name of a job on its backend: kind, name, fingerprint."""
    name = ref.name
    if len(name) > 80:
        name = f"{name[:71]}-{digest(name)[:8]}"
    return re.sub(r"[^a-z0-9.-]", "-", f"{ref.kind}-{name}-{fingerprint[:16]}".lower())


def removal_key(ref: Ref, fingerprint: str) -> str:
    """The name of the job that takes away what the job of ``job_key`` made."""
    return f"{_REMOVAL}{job_key(ref, fingerprint)}"


def is_removal(key: str) -> bool:
    """Whether a job takes something away, and makes nothing."""
    return key.startswith(_REMOVAL)


def revision_key(ref: Ref, said: str) -> str:
    """The name of the job that says something of a thing that was made before; ``said`` is a hash of it."""
    return f"{_REVISION}{job_key(ref, said)}"


def is_revision(key: str) -> bool:
    """Whether a job says something of a thing, and makes nothing."""
    return key.startswith(_REVISION)


def purpose(key: str) -> str:
    """What a job is for besides the work that a fingerprint stands for: "" for that work, however it is named, one text
    for all removals, the key itself for a revision, because each says something else."""
    return _REMOVAL if is_removal(key) else key if is_revision(key) else ""


def may_be_export(key: str) -> bool:
    """Whether a job's name is that of an export, or of what takes one away or says something of it."""
    return key.removeprefix(_REMOVAL).removeprefix(_REVISION).startswith("modelexport-")


def may_make(key: str, sort: str) -> bool:
    """Whether a job of that name may have an output of a sort (its ``task``), as far as the name tells."""
    return all(sort in sorts for beginning, sorts in _MADE.items() if key.startswith(beginning))
