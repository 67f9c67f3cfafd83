"""The argument that names one resource."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from studio.core.errors import UsageError
from studio.core.references import Ref
from studio.core.suggest import did_you_mean

if TYPE_CHECKING:
    from studio.load.project import Loaded


def find(text: str, known: Iterable[Ref], where: str) -> Ref:
    """A resource by ``Kind/name``, or by name alone when only one kind has it; raises UsageError."""
    refs = sorted(set(known))
    meant = matching(text, refs)
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise UsageError(f"{text!r} is ambiguous", f"say which: {', '.join(map(str, meant))}")
    raise UsageError(f"nothing {where} is called {text!r}", did_you_mean(text, [str(ref) for ref in refs]))


def recorded(text: str, known: Iterable[Ref], loaded: Loaded) -> Ref:
    """The same among what is recorded; of what is not, it is said where it stands instead."""
    from studio.report.standings import FIRST, NOTHING

    refs = list(known)
    if not matching(text, refs):
        if matching(text, loaded.manifests):
            ref = find(text, loaded.manifests, "declared")
            where = f" in the environment {loaded.environment}" if loaded.environment != "default" else ""
            raise UsageError(f"{ref} is declared but was never applied{where}", "'studio plan' shows what would happen")
        if matching(text, loaded.defaults):
            ref = find(text, loaded.defaults, "shipped")
            raise UsageError(
                f"{ref} comes with studio, and is not recorded", f"'studio show --defaults {ref}' shows it"
            )
        if not refs:
            raise UsageError(NOTHING, FIRST)
    return find(text, refs, "recorded")


def matching(text: str, refs: Iterable[Ref]) -> list[Ref]:
    """The resources that ``text`` may mean."""
    if "/" in text:
        return [ref for ref in refs if str(ref).lower() == text.lower()]
    return [ref for ref in refs if ref.name == text]
