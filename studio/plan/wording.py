"""A change in words: values side by side, and of lists what came, what went and what only moved. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from studio.core.fingerprints import canonical
from studio.plan.diff import Change

SHOWN = 4
"""Elements named of those that came or went; the others are counted."""


def difference(change: Change, width: int) -> str:
    """``0.002 → 0.001``, or for lists ``+ rouge1, - latency``; values on one line, each at most ``width`` wide."""
    if _is_list(change.old) and _is_list(change.new) and (change.old or change.new):
        return _of_lists(change.old or [], change.new or [], width)
    old, new = value(change.old, width), value(change.new, width)
    if old == new:  # 8 and 8.0 are not the same in a config
        old, new = value(change.old, width, exact=True), value(change.new, width, exact=True)
    return f"{old} → {new}"


def value(held: Any, width: int, *, exact: bool = False) -> str:
    """A value on one line; a whole number as people write it, unless it is to be ``exact``."""
    text = "(unset)" if held is None else held if isinstance(held, str) else flow(held, exact)
    flat = text.replace("\n", "\\n")
    return flat if len(flat) <= width else f"{flat[: width - 3]}..."


def _is_list(held: Any) -> bool:
    return held is None or isinstance(held, list)


def _of_lists(old: list[Any], new: list[Any], width: int) -> str:
    came, went = _without(new, old), _without(old, new)
    if not came and not went:
        return "the order changed"
    parts = [f"+ {value(each, width)}" for each in came] + [f"- {value(each, width)}" for each in went]
    more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
    return ", ".join(parts[:SHOWN]) + more


def _without(these: Iterable[Any], those: Iterable[Any]) -> list[Any]:
    """Elements of the first that the second does not hold as often, in their order."""
    left = [canonical(each) for each in those]
    found = []
    for each in these:
        form = canonical(each)
        if form in left:
            left.remove(form)
        else:
            found.append(each)
    return found


def flow(held: Any, exact: bool = False) -> str:
    """As YAML would write it on one line."""
    if isinstance(held, dict):
        return "{" + ", ".join(f"{key}: {flow(inner, exact)}" for key, inner in held.items()) + "}"
    if isinstance(held, list):
        return "[" + ", ".join(flow(inner, exact) for inner in held) + "]"
    if held is None or isinstance(held, bool):
        return "null" if held is None else str(held).lower()
    if isinstance(held, float) and not exact:
        return repr(held).removesuffix(".0")
    return (held or '""') if isinstance(held, str) else repr(held)
