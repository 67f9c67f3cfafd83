"""The public Python API: load a project, validate it, plan, read its state, as values.

Everything that is listed in ``__all__`` is public and keeps its form within a major version; all else in ``studio`` is
private. Nothing here writes, trains, imports an ML library or, without ``online``, opens a socket. Only a state that is
on a server is asked there::

    from studio import api

    project = api.load("support-desk", environment="prod")
    for finding in api.validate(project):
        print(finding.position, finding.rule, finding.message)
    print([action.ref for action in api.plan(project).pending])
    print(api.read_state(project).records.keys())
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio import checking
from studio.core.errors import StudioError, UsageError
from studio.core.findings import EVERYTHING, OFFLINE, Finding, Phase, Position, Severity
from studio.core.references import Ref
from studio.load.files import find_root
from studio.load.project import DEFAULT_ENVIRONMENT, NOTHING, Loaded, load_documents, load_project
from studio.plan.actions import Action, Plan, Verb
from studio.plan.actions import to_json as plan_to_json
from studio.plan.diff import Change
from studio.report.findings import plural
from studio.report.findings import to_json as findings_to_json
from studio.resources.base import Effect, Resource
from studio.rules.base import Page, Rule, catalogue
from studio.state.base import Artifact, Lineage, Operation, Record, RecordStatus, Run, RunStatus
from studio.workflow import places, planning

__all__ = [
    "Action", "Artifact", "Change", "Effect", "Finding", "InvalidProjectError", "Lineage", "Operation", "Page", "Phase",
    "Plan", "Position", "Project", "Record", "RecordStatus", "Ref", "Resource", "Rule", "Run", "RunStatus", "Severity",
    "State", "StudioError", "UsageError", "Verb", "findings_to_json", "from_documents", "load", "plan", "plan_to_json",
    "read_state", "rules", "validate",
]  # fmt: skip


class InvalidProjectError(StudioError):
    """A project with errors has no plan; ``findings`` holds all of them, warnings included."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        errors = [finding for finding in findings if finding.severity is Severity.ERROR]
        super().__init__(f"the project has {plural(len(errors), 'error')}, first {errors[0].rule}: {errors[0].message}")
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Project:
    """A project as its files say it is, in one environment. Load it again to see later edits."""

    root: Path
    environment: str
    name: str
    resources: Mapping[Ref, Resource]
    """By kind and name; parts that do not fit their kind are left out, and reported by ``validate``."""
    _loaded: Loaded = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class State:
    """What is recorded for one environment; newest runs and operations first."""

    lineage: Lineage
    """Its ``id`` is "" and its ``serial`` 0 while nothing was ever applied."""
    records: Mapping[Ref, Record]
    runs: tuple[Run, ...]
    operations: tuple[Operation, ...]


def load(
    folder: str | Path = ".", environment: str = DEFAULT_ENVIRONMENT, variables: Mapping[str, str] = NOTHING
) -> Project:
    """The project at or above ``folder``, with the patches of ``environment``; ``variables`` are values as text.

    Raises UsageError when there is no studio.yaml, or no such environment or variable in it. Never raises for what
    manifests say.
    """
    return _project(load_project(find_root(Path(folder).resolve()), environment, variables))


def from_documents(documents: Iterable[Mapping[str, Any]], root: str | Path = ".") -> Project:
    """A project of manifests that are in no file, with default settings; locations are relative to ``root``.

    For tools that check what they are about to write. Findings have the position ``(memory):1:1``; their ``source``
    says which document, their ``path`` which field.
    """
    return _project(load_documents(Path(root).resolve(), [dict(document) for document in documents]))


def validate(project: Project, *, online: bool = False) -> tuple[Finding, ...]:
    """Everything that is wrong with the project, in the order of its files; () when nothing is.

    ``online`` also asks the Hugging Face Hub, with the token of the variable that studio.yaml names.
    """
    return tuple(checking.examine(project._loaded, _phases(online)).findings)


def plan(project: Project, *, online: bool = False) -> Plan:
    """What an apply would do, and why.

    Raises InvalidProjectError when there are errors, StudioError when the state cannot be read.
    """
    checked = checking.examine(project._loaded, _phases(online))
    if checked.errors:
        raise InvalidProjectError(tuple(checked.findings))
    return planning.planned(checked).plan


def read_state(project: Project, *, operations: int = 20) -> State:
    """What is recorded of the project's environment, with at most so many operations.

    Raises StudioError when the state cannot be read. A state that does not exist yet is empty, and is not created.
    """
    reader = places.open_state(project._loaded)
    return State(reader.lineage(), reader.records(), tuple(reader.runs()), tuple(reader.operations(operations)))


def rules() -> tuple[Rule, ...]:
    """The catalogue, by id; ``rule.page`` has the words of each rule."""
    return catalogue()


def _project(loaded: Loaded) -> Project:
    resources = {ref: manifest.resource for ref, manifest in loaded.manifests.items()}
    return Project(loaded.root, loaded.environment, loaded.settings.metadata.name, resources, loaded)


def _phases(online: bool) -> tuple[Phase, ...]:
    return EVERYTHING if online else OFFLINE
