"""What a plan is about: the resources that --target, --exclude and --replace name, and what --prune and --forget do.

A pattern is ``Kind/name``, ``Kind/*`` or a name alone; ``*``, ``?`` and ``[...]`` match as in a shell. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from studio.core.errors import UsageError
from studio.core.references import Ref
from studio.core.suggest import did_you_mean
from studio.resources import KINDS

Edges = Mapping[Ref, Collection[Ref]]
"""Resource to what it needs directly."""


class SelectionError(UsageError):
    """A pattern names nothing, or something that its option cannot be about."""


class Unmanaged(StrEnum):
    """What becomes of recorded resources without a manifest."""

    KEEP = "keep"
    DELETE = "delete"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Selection:
    """The patterns as they were typed. Without any, a plan is about everything that has a manifest."""

    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    unmanaged: Unmanaged = Unmanaged.KEEP
    destroy: bool = False
    """Everything that is recorded goes, whether it has a manifest or not."""


WHOLE = Selection()


@dataclass(frozen=True, slots=True)
class Known:
    """What patterns are matched against. ``aliases``: an adapter without a manifest is the job that produces it."""

    managed: Edges
    """Resources with a manifest."""
    recorded: Edges
    others: frozenset[Ref] = frozenset()
    """Further resources that may be named, although nothing happens to them."""
    aliases: Mapping[Ref, Ref] | None = None
    sweeps: Edges | None = None
    """Sweeps and their trials: who says --replace of a sweep means all of them."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What patterns came to."""

    acting: frozenset[Ref]
    """Resources with a manifest that the plan is about."""
    removable: frozenset[Ref]
    """Recorded resources without a manifest that may be deleted or forgotten."""
    again: frozenset[Ref]
    """Jobs that run although nothing changed."""


def resolve(selection: Selection, known: Known) -> Scope:
    """The resources that a selection names; raises SelectionError for what it cannot mean."""
    targets = {pattern: _matching("--target", pattern, known) for pattern in selection.target}
    named = set().union(*targets.values())
    excluded = {ref for pattern in selection.exclude for ref in _matching("--exclude", pattern, known)}
    acting, removable = set(known.managed), set(known.recorded) - set(known.managed)
    if targets:
        acting = closure(named & acting, known.managed)
        removable &= closure(named & removable, turned(known.recorded))
    acting -= closure(excluded & known.managed.keys(), turned(known.managed))
    removable -= excluded
    for pattern, refs in targets.items():
        if not refs & (acting | removable | known.others):
            hint = "leave out either; what needs an excluded resource is left out with it"
            raise SelectionError(f"--target {pattern!r} is left out by --exclude {', '.join(selection.exclude)}", hint)
    return Scope(frozenset(acting), frozenset(removable), _again(selection.replace, acting, known))


def closure(start: Iterable[Ref], edges: Edges) -> set[Ref]:
    """``start`` and everything that can be reached from it."""
    found, pending = set(start), list(start)
    while pending:
        for ref in edges.get(pending.pop(), ()):
            if ref not in found:
                found.add(ref)
                pending.append(ref)
    return found


def turned(edges: Edges) -> dict[Ref, list[Ref]]:
    """The same edges the other way round: a resource to what needs it."""
    found: dict[Ref, list[Ref]] = {}
    for ref, needs in edges.items():
        for need in needs:
            found.setdefault(need, []).append(ref)
    return found


def to_json(selection: Selection) -> dict[str, Any]:
    """As a plan carries it."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(selection).items()}


def from_json(content: Any) -> Selection:
    """The selection of a saved plan; raises ValueError for anything else."""
    if not isinstance(content, dict) or content.keys() != to_json(WHOLE).keys():
        raise ValueError("not of this form")
    patterns = {name: content[name] for name in ("target", "exclude", "replace")}
    for value in patterns.values():
        if not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            raise ValueError("not made of texts")
    if not isinstance(content["destroy"], bool):
        raise ValueError("neither for a destroy nor not for one")
    named = {name: tuple(value) for name, value in patterns.items()}
    return Selection(**named, unmanaged=Unmanaged(content["unmanaged"]), destroy=content["destroy"])


def _matching(option: str, pattern: str, known: Known) -> set[Ref]:
    """The resources that a pattern means: at least one, and exactly one where it is a bare name without a wildcard."""
    kind, slash, name = pattern.partition("/")
    kind, name = (kind, name) if slash else ("*", kind)
    if not kind or not name:
        raise SelectionError(
            f"{option} {pattern!r} is not of the form KIND/NAME", "write one such as FineTuningJob/router"
        )
    names = {ref: ref for ref in (*known.managed, *known.recorded, *known.others)} | dict(known.aliases or {})
    found = {ref for each, ref in names.items() if _fits(each, kind, name)}
    if not found:
        raise SelectionError(f"{option} {pattern!r} matches nothing", _nearest(kind, name, slash, names))
    if not slash and len(found) > 1 and not any(sign in name for sign in "*?["):
        raise SelectionError(f"{option} {pattern!r} is ambiguous", f"say which: {', '.join(map(str, sorted(found)))}")
    return found


def _fits(ref: Ref, kind: str, name: str) -> bool:
    return fnmatchcase(ref.name, name) and fnmatchcase(ref.kind.lower(), kind.lower())


def _nearest(kind: str, name: str, slash: str, names: Collection[Ref]) -> str:
    """The nearest name: of the kind where that is one, else of all."""
    if not names:
        return "there is nothing to choose from yet"
    if not slash:
        return did_you_mean(name, sorted({ref.name for ref in names}))
    known = next((each for each in KINDS if each.lower() == kind.lower()), None)
    same = sorted(str(ref) for ref in names if ref.kind == known)
    return did_you_mean(f"{known or kind}/{name}", same or sorted(map(str, names)))


def _again(patterns: Iterable[str], acting: set[Ref], known: Known) -> frozenset[Ref]:
    """The jobs that --replace names."""
    found: set[Ref] = set()
    for pattern in patterns:
        matched = sorted(_matching("--replace", pattern, known))
        jobs = [ref for ref in matched if KINDS[ref.kind].compile]
        managed = [ref for ref in jobs if ref in known.managed]
        if not jobs:
            runs = ", ".join(kind for kind, declared in KINDS.items() if declared.compile)
            raise SelectionError(f"--replace {pattern!r}: {matched[0]} runs no job", f"what can run again: {runs}")
        if not managed:
            raise SelectionError(f"--replace {pattern!r}: {jobs[0]} has no manifest", "bring its manifest back first")
        left = [ref for ref in managed if ref not in acting]
        if left:
            raise SelectionError(
                f"--replace {pattern!r}: {left[0]} is left out",
                "change --target or --exclude: only what is planned can run again",
            )
        found.update(managed, *((known.sweeps or {}).get(ref, ()) for ref in managed))
    return frozenset(found)
