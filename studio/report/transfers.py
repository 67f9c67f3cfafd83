"""What an import did, as text and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from studio.report.plain import plain

if TYPE_CHECKING:
    from studio.state.cells import Fault
    from studio.state.transfer import Transfer

SHOWN = 50
"""Rows listed as text; --json lists all of them."""


def to_text(transfer: Transfer, *, dry: bool) -> str:
    """Counts by kind, then every row that failed with its reason, then what is worth a look."""
    counted = Counter(record.ref.kind for record in transfer.records)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items()))
    words = "Would import" if dry else "Imported"
    lines = [f"{words} {len(transfer.records)} records{f': {kinds}' if kinds else ''}."]
    if transfer.there:
        lines.append(f"{len(transfer.there)} were there already.")
    if transfer.faults:
        lines += ["", click.style(f"{len(transfer.faults)} rows were not imported:", fg="red")]
        lines += _listed(transfer.faults)
    if transfer.notes:
        lines += ["", f"{len(transfer.notes)} worth a look:", *_listed(transfer.notes)]
    return "\n".join(lines)


def _listed(faults: tuple[Fault, ...]) -> list[str]:
    lines = [f"  {plain(each.table)} {plain(each.id)}: {plain(each.reason)}" for each in faults[:SHOWN]]
    more = len(faults) - SHOWN
    return [*lines, f"  and {more} more; --json lists them"] if more > 0 else lines


def to_json(transfer: Transfer) -> dict[str, Any]:
    """Everything, for other tools."""
    return {
        "imported": [str(record.ref) for record in transfer.records],
        "there_already": [str(ref) for ref in transfer.there],
        "failed": _rows(transfer.faults),
        "notes": _rows(transfer.notes),
    }


def _rows(faults: Iterable[Fault]) -> list[dict[str, str]]:
    return [{"table": each.table, "id": each.id, "reason": each.reason} for each in faults]
