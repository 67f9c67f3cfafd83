"""Desired against recorded: which fields differ, and what each difference means. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from studio.core.findings import Path, format_path
from studio.core.fingerprints import canonical
from studio.desired import CONTENT, REGISTRY, WORKSPACE
from studio.resources.base import Effect, Part, effects, exceptions, meanings, revised


@dataclass(frozen=True, slots=True)
class Change:
    """One field's difference. ``path`` is a field, ``content``, or the resource upstream that changed."""

    path: str
    effect: Effect
    reason: str
    old: Any = None
    new: Any = None


_REASONS = {
    Effect.OUTCOME: "determines the outcome",
    Effect.PLACEMENT: "applies to the next run",
    Effect.DESCRIPTIVE: "recorded in place",
}
REVISED = "changed where it is; nothing is made again"
PLACES = {REGISTRY: "it goes to another registry than before", WORKSPACE: "another workspace serves it than before"}
"""Inputs that are places, and what a change of them means. Their hashes are not shown: an address may be secret."""
SAME = "means the same as before"
SHORT = 12
"""Digits of a fingerprint that tell it apart."""
ABSENT = None
NULL = "null"
"""How a null that came or went is told: it is part of a configuration's content."""


def compare_parts(old: Mapping[str, Any], new: Mapping[str, Any], model: type[Part], root: str) -> list[Change]:
    """Differences between two stored parts of the same model, down to the leaves of mappings, sorted by path."""
    found = []
    by_field, in_place, told = effects(model), revised(model, str(new.get("type", ""))), meanings(model)
    untold = {name for name, other in exceptions(model).items() if new.get(other)}
    for name in sorted({*old, *new}):
        effect = by_field.get(name, Effect.DESCRIPTIVE)
        for path, before, after in _leaves((root, name), old.get(name, ABSENT), new.get(name, ABSENT)):
            said = "" if name in untold else told.get(name)
            reason = said or (REVISED if name in in_place else _REASONS[effect])
            found.append(Change(format_path(path), effect, reason, before, after))
    return found


def compare_inputs(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """Differences of content and of upstream fingerprints."""
    found = []
    for label in sorted({*old, *new}):
        before, after = old.get(label), new.get(label)
        if before == after:
            continue
        if label in PLACES:
            found.append(Change(label, Effect.OUTCOME, PLACES[label]))
            continue
        reason = _reason(label, before, after)
        found.append(Change(label, Effect.OUTCOME, reason, _short(before), _short(after)))
    return found


def _reason(label: str, before: str | None, after: str | None) -> str:
    if label == CONTENT or (label.startswith(f"{CONTENT}/") and before and after):
        return "the content changed"
    return _upstream_reason(before, after)


def _upstream_reason(before: str | None, after: str | None) -> str:
    if before is None:
        return "is used now"
    return "is used no more" if after is None else "changed upstream"


def _short(fingerprint: str | None) -> str | None:
    return fingerprint[:SHORT] if fingerprint else None


def _leaves(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}, key=str):
            before, after = old.get(key, ABSENT), new.get(key, ABSENT)
            if before is after is None and (key in old) != (key in new):
                before, after = (NULL, ABSENT) if key in old else (ABSENT, NULL)
            yield from _leaves((*path, key), before, after)
    elif _are_alike(old, new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _leaves((*path, index), before, after)
    elif not _same(old, new):
        yield path, old, new


def _are_alike(old: Any, new: Any) -> bool:
    """Whether two lists hold as many mappings, none of which only moved: then each is compared with its counterpart."""
    if not (isinstance(old, list) and isinstance(new, list) and len(old) == len(new)):
        return False
    if not all(isinstance(each, dict) for each in (*old, *new)):
        return False
    before, after = [*map(canonical, old)], [*map(canonical, new)]
    return not any(form in before and form != before[index] for index, form in enumerate(after))


def _same(old: Any, new: Any) -> bool:
    """Equal in the form that is hashed: 1 is neither true nor 1.0 there, and one NaN is as good as another."""
    if type(old) is not type(new):
        return False
    return bool(old == new) if isinstance(old, str | int) else canonical(old) == canonical(new)
