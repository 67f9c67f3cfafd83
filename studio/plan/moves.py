"""Records that go by another name now: ``renamed_from`` and ``uid`` of manifests, against what is recorded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from studio.core.errors import StudioError
from studio.core.references import Ref
from studio.core.suggest import nearest
from studio.plan.actions import Move
from studio.resources.base import Metadata
from studio.state.base import Record
from studio.state.moves import moved


def find_moves(
    managed: Mapping[Ref, Metadata], records: Mapping[Ref, Record]
) -> tuple[tuple[Move, ...], tuple[str, ...]]:
    """The records to move, and what manifests ask for in vain, in words.

    Raises StudioError when a manifest claims an id, or a record, that is another's.
    """
    asked = {ref: each for ref, each in managed.items() if each.renamed_from or each.uid}
    owners = {record.uid: ref for ref, record in records.items()} if asked else {}
    found: dict[Ref, Move] = {}
    vain: list[str] = []
    for ref, metadata in asked.items():
        _demand_free(ref, metadata.uid, owners, managed)
        old = _old(ref, metadata, owners)
        if ref in records:
            vain += _too_late(ref, metadata, managed, records)
        elif old in records and old not in managed:
            _demand_once(found, old, ref)
            found[old] = Move(old, ref)
        elif metadata.renamed_from:
            vain += _misspelt(ref, metadata, managed, records)
    return tuple(found[old] for old in sorted(found)), tuple(vain)


def after(records: Mapping[Ref, Record], moves: Iterable[Move]) -> dict[Ref, Record]:
    """The records as they are once the moves are made; what names a moved one names it anew."""
    found = dict(records)
    for move in moves:
        changed = moved(found, move.old, move.new)
        del found[move.old]
        found |= {record.ref: record for record in changed}
    return dict(sorted(found.items()))


def _old(ref: Ref, metadata: Metadata, owners: Mapping[str, Ref]) -> Ref:
    """Where the record is that a manifest asks for: the id says it better than a name."""
    named = Ref(ref.kind, metadata.renamed_from)
    return owners.get(metadata.uid, named) if metadata.uid else named


def _demand_free(ref: Ref, uid: str, owners: Mapping[str, Ref], managed: Iterable[Ref]) -> None:
    owner = owners.get(uid) if uid else None
    if owner is None or owner == ref:
        return
    if owner.kind != ref.kind:
        raise StudioError(f"the uid of {ref} is that of {owner}, of another kind", "correct metadata.uid, or remove it")
    if owner in managed:
        hint = f"remove the manifest of {owner} if {ref} takes its place, or correct metadata.uid"
        raise StudioError(f"the uid of {ref} is that of {owner}, which has a manifest", hint)


def _demand_once(found: Mapping[Ref, Move], old: Ref, ref: Ref) -> None:
    if old in found:
        hint = "one record has one name: correct metadata.renamed_from or metadata.uid of one of them"
        raise StudioError(f"{found[old].new} and {ref} both claim the record of {old}", hint)


def _too_late(ref: Ref, metadata: Metadata, managed: Iterable[Ref], records: Mapping[Ref, Record]) -> list[str]:
    """After the move nothing is recorded under the old name; what is there now is something else."""
    old = Ref(ref.kind, metadata.renamed_from)
    if not metadata.renamed_from or old not in records or old in managed:
        return []
    return [f"{ref} and {old} are both recorded, so renamed_from moves nothing; --prune deletes {old}"]


def _misspelt(ref: Ref, metadata: Metadata, managed: Iterable[Ref], records: Mapping[Ref, Record]) -> list[str]:
    """A name that nothing has is right where nothing was applied yet, and probably wrong beside one that is near."""
    loose = sorted(each.name for each in records if each.kind == ref.kind and each not in managed)
    meant = nearest(metadata.renamed_from, tuple(loose))
    if meant is None:
        return []
    return [f"{ref}: renamed_from names {metadata.renamed_from!r}, which is not recorded; did you mean {meant!r}?"]
