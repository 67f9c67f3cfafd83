"""The facts that are looked at, as data: what a difference means, what apply does about it, and which may differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Remedy(StrEnum):
    """What apply does about a difference."""

    REPLACE = "replace"
    UPDATE = "update"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Fact:
    """``changed`` and ``gone`` say what a difference is, ``{where}`` in them is where it was looked for."""

    changed: str
    gone: str
    remedy: Remedy
    if_gone: Remedy | None = None
    """The remedy when nothing is there, where that is another one."""
    ignored: str = ""
    """Why it may differ: such a difference is shown by ``drift --ignored`` alone, and counts for nothing."""
    planned: bool = False
    """Every plan sees it, without ``--refresh`` too."""
    revised: bool = False
    """A small job puts it right; without it the record is all that changes."""


NEVER = "it is never recorded otherwise"
FACTS: dict[str, Fact] = {
    "content": Fact(
        "{where} changed since the last apply",
        "{where} is gone; apply refuses until it is back",
        Remedy.UPDATE,
        if_gone=Remedy.NOTHING,
        planned=True,
    ),
    "commit": Fact(
        "{where} is another commit now: what ran before keeps what it read, what runs next reads this",
        "{where} is not on the hub any more",
        Remedy.UPDATE,
        if_gone=Remedy.NOTHING,
    ),
    "commit.unknown": Fact(
        "the commit of {where} was never recorded: it was applied offline",
        "{where} is not on the hub any more",
        Remedy.UPDATE,
        if_gone=Remedy.NOTHING,
    ),
    "logged": Fact(
        "the first version of {where} was logged by another run now",
        "{where} is not in the registry any more; apply refuses until it is back",
        Remedy.UPDATE,
        if_gone=Remedy.NOTHING,
        planned=True,
    ),
    "logged.unknown": Fact(
        "which run logged {where} was never recorded: it was applied offline",
        "{where} is not in the registry any more; apply refuses until it is back",
        Remedy.UPDATE,
        if_gone=Remedy.NOTHING,
        planned=True,
    ),
    "registered": Fact(NEVER, "{where} is not in the workspace's registry any more", Remedy.REPLACE),
    "run": Fact(
        "the job {where} ended while nobody waited",
        "the job {where} is not known where it ran; apply submits it again",
        Remedy.UPDATE,
        if_gone=Remedy.REPLACE,
        planned=True,
    ),
    "adapter": Fact(
        "files in {where} are not those that training wrote", "the adapter {where} is gone", Remedy.REPLACE
    ),
    "adapter.stored": Fact(NEVER, "the files of the adapter {where} are gone from the workspace", Remedy.REPLACE),
    "copy": Fact(
        "the copy {where} is not the adapter that was trained", "the copy {where} is gone", Remedy.UPDATE, revised=True
    ),
    "version": Fact(NEVER, "{where} is not in the registry any more", Remedy.REPLACE),
    "version.source": Fact(
        "{where} points to another model than the one that was exported", "{where} points nowhere", Remedy.REPLACE
    ),
    "version.files": Fact(
        "the project was moved, and {where} still names the old place",
        "the files of {where} are gone",
        Remedy.UPDATE,
        if_gone=Remedy.REPLACE,
        revised=True,
    ),
    "version.description": Fact(
        "the description of {where} was edited in the registry", NEVER, Remedy.UPDATE, revised=True
    ),
    "version.tags": Fact("tags by which {where} is known were edited", NEVER, Remedy.UPDATE, revised=True),
    "endpoint": Fact(NEVER, "{where} is not in the workspace any more", Remedy.REPLACE),
    "endpoint.build": Fact("{where} serves another build", "nothing was deployed to {where}", Remedy.REPLACE),
    "endpoint.status": Fact("{where} is not up", "nothing was deployed to {where}", Remedy.UPDATE, revised=True),
    "endpoint.size": Fact("the resources of {where} were changed in the workspace", NEVER, Remedy.UPDATE, revised=True),
    "endpoint.description": Fact(
        "the description of {where} was edited in the workspace", NEVER, Remedy.UPDATE, revised=True
    ),
    "endpoint.authentication": Fact("who {where} answers was changed", NEVER, Remedy.REPLACE),
    "mlflow_run": Fact(
        "the run {where} was deleted in MLflow; its metrics are in the record",
        "the run {where} is not in MLflow; its metrics are in the record",
        Remedy.NOTHING,
    ),
    "version.stage": Fact(
        "{where} is in another stage",
        NEVER,
        Remedy.NOTHING,
        ignored="which version is in production is decided in the registry, after the export",
    ),
    "version.aliases": Fact(
        "{where} has aliases",
        NEVER,
        Remedy.NOTHING,
        ignored="aliases promote a version, and move from one to the next; an export sets none",
    ),
    "version.other_tags": Fact(
        "{where} has tags of others",
        NEVER,
        Remedy.NOTHING,
        ignored="tags are for every tool that works with the registry; apply takes none away",
    ),
    "curve": Fact(
        NEVER,
        "{where} is gone",
        Remedy.NOTHING,
        ignored="the curves are a drawing of what MLflow holds as numbers",
    ),
    "chart": Fact(
        NEVER,
        "{where} is gone",
        Remedy.NOTHING,
        ignored="the chart is a drawing of the metrics, which are in the record",
    ),
    "predictions": Fact(
        NEVER,
        "{where} is gone",
        Remedy.NOTHING,
        ignored="the predictions are in MLflow too, and run folders may be cleaned up; gates judge recorded metrics",
    ),
}
"""Name of a fact to what it means when it is not as recorded."""

IGNORED: dict[str, str] = {name: fact.ignored for name, fact in FACTS.items() if fact.ignored}
"""The facts that may differ, each with its reason."""
