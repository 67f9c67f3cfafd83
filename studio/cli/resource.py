"""The argument that names one resource."""

from __future__ import annotations

from collections.abc import Iterable

from studio.core.errors import UsageError
from studio.core.references import Ref
from studio.core.suggest import did_you_mean


def find(text: str, known: Iterable[Ref], where: str = "recorded") -> Ref:
    """A resource by ``Kind/name``, or by name alone when only one kind has it; raises UsageError."""
    refs = sorted(set(known))
    if "/" in text:
        matching = [ref for ref in refs if str(ref).lower() == text.lower()]
    else:
        matching = [ref for ref in refs if ref.name == text]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UsageError(f"{text!r} is ambiguous", f"say which: {', '.join(map(str, matching))}")
    raise UsageError(f"nothing {where} is called {text!r}", did_you_mean(text, [str(ref) for ref in refs]))
