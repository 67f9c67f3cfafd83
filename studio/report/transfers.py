"""What an import did, as text and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from studio.report.findings import plural
from studio.report.plain import plain

if TYPE_CHECKING:
    from studio.core.references import Ref
    from studio.state.cells import Fault
    from studio.state.transfer import Move, Transfer

SHOWN = 50
"""Rows listed as text; --json lists all of them."""


def to_text(transfer: Transfer, move: Move | None = None, *, dry: bool) -> str:
    """Counts by kind, then every row that failed with its reason, then what is worth a look."""
    counted = Counter(record.ref.kind for record in transfer.records)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items()))
    words = "Would import" if dry else "Imported"
    lines = [f"{words} {plural(len(transfer.records), 'record')}{f': {kinds}' if kinds else ''}."]
    if there := len(transfer.there):
        lines.append(f"{there:,} {'was' if there == 1 else 'were'} there already.")
    if faults := len(transfer.faults):
        lines += [
            "",
            click.style(f"{plural(faults, 'row')} {'was' if faults == 1 else 'were'} not imported:", fg="red"),
        ]
        lines += _listed(transfer.faults)
    if transfer.notes:
        lines += ["", f"{len(transfer.notes)} worth a look:", *_listed(transfer.notes)]
    return "\n".join([*lines, *(_moved(move) if move else ())])


def _moved(move: Move) -> Iterator[str]:
    """What was written, what was put aside and why, and what to do next."""
    yield ""
    yield f"Wrote {len(move.written)} manifests below {plain(move.folder)}; {len(move.adopted)} are taken over."
    if move.aside:
        yield f"{len(move.aside)} jobs are written aside, as NAME.yaml.aside; without that ending they count, and run:"
        yield from _reasons(move.aside)
    if move.failed:
        yield f"{len(move.failed)} manifests were not written:"
        yield from _reasons(move.failed)
    if move.errors:
        yield f"Nothing is taken over: the project has {move.errors} errors; 'studio validate' shows them."
        yield "Mend them; 'studio apply' then records the data, and 'studio import' takes adapters over."
    else:
        yield "'studio plan' says what there is to do."


def _reasons(reasons: Mapping[Ref, str]) -> list[str]:
    lines = [f"  {plain(ref)}: {plain(why)}" for ref, why in [*reasons.items()][:SHOWN]]
    more = len(reasons) - SHOWN
    return [*lines, f"  and {more} more; --json lists them"] if more > 0 else lines


def _listed(faults: tuple[Fault, ...]) -> list[str]:
    lines = [f"  {plain(each.table)} {plain(each.id)}: {plain(each.reason)}" for each in faults[:SHOWN]]
    more = len(faults) - SHOWN
    return [*lines, f"  and {more} more; --json lists them"] if more > 0 else lines


def to_json(transfer: Transfer, move: Move | None = None) -> dict[str, Any]:
    """Everything, for other tools."""
    moved = (
        {
            "written": [str(ref) for ref in move.written],
            "aside": {str(ref): why for ref, why in move.aside.items()},
            "not_written": {str(ref): why for ref, why in move.failed.items()},
            "taken_over": move.adopted,
            "errors": move.errors,
        }
        if move
        else None
    )
    return {
        "manifests": moved,
        "imported": [str(record.ref) for record in transfer.records],
        "there_already": [str(ref) for ref in transfer.there],
        "failed": _rows(transfer.faults),
        "notes": _rows(transfer.notes),
    }


def _rows(faults: Iterable[Fault]) -> list[dict[str, str]]:
    return [{"table": each.table, "id": each.id, "reason": each.reason} for each in faults]
