"""What is killed: a first apply, one whose manifests move on meanwhile, a deletion, a rename, and real processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.cli.errors import Exit
from tests.crash import project
from tests.projects import Document

APPLY = ("apply", "--yes", "--parallelism", "4")
PRUNE = ("apply", "--yes", "--prune", "--force")
RENAMED = "moved"


def nothing(root: Path) -> None:
    """The manifests stay as they are."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """``applied``: it starts with a project that was applied before; ``begin`` changes its manifests first.

    ``command`` is killed, and run again until it ends with one of ``done``. ``change`` changes manifests: before that,
    where it is ``early``, so that they have moved on while the killed process was dead; else after it.
    """

    name: str
    command: tuple[str, ...]
    applied: bool = False
    begin: Callable[[Path], None] = nothing
    change: Callable[[Path], None] = nothing
    early: bool = False
    done: tuple[int, ...] = (Exit.OK,)
    documents: Callable[[], list[Document]] = project.resources
    backend: str = "journal"
    share: int = 10
    """Of the kills of the first scenario, this one gets one in so many."""


def edit(root: Path) -> None:
    """Another learning rate: a training that is under way, and all that needs it, is not wanted any more as it is."""
    resources = project.resources()
    project.named(resources, "train-0")["spec"]["learning_rate"] = 0.5
    project.write_manifests(root, resources)


def rename(root: Path) -> None:
    resources = project.resources()
    project.named(resources, "train-1")["metadata"]["name"] = RENAMED
    project.write_manifests(root, resources)


def remove(root: Path) -> None:
    project.write_manifests(root, [])


SCENARIOS = {
    each.name: each
    for each in (
        Scenario("apply", APPLY, share=1),
        Scenario("edit", APPLY, change=edit, early=True),
        Scenario("prune", PRUNE, applied=True, begin=remove),
        Scenario("destroy", ("destroy", "--yes"), applied=True, change=remove),
        Scenario(
            "rename", ("state", "mv", "FineTuningJob/train-1", f"FineTuningJob/{RENAMED}"), applied=True,
            change=rename, done=(Exit.OK, Exit.USAGE),
        ),
        Scenario("local", APPLY, documents=project.small, backend="local", share=20),
    )
}  # fmt: skip
"""Exit 64 of the rename: it has been done already."""
