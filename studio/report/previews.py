"""Previews as text and as JSON. Rows were written by others: nothing in them commands a terminal or shows a secret."""

from __future__ import annotations

from typing import Any

import click

from studio.core.secrets import redact
from studio.load.turns import Said
from studio.preview import Preview, Shown
from studio.report.findings import plural
from studio.report.plain import excerpt, plain

JSON_VERSION = 1
MARK = "▶"
"""Where the completion begins."""
MOST_SHOWN = 2_000
"""Characters of a text that are printed; of longer ones, beginning and end."""
MOST_WRITTEN = 100_000
"""The same for JSON."""


def to_text(found: Preview, *, color: bool = False) -> str:
    """Rows, lengths, split and steps, for people."""
    lines = [plain(f"{found.subject}: rows of {found.dataset} through {found.prompt}"), ""]
    for row in found.shown:
        lines += [*_row(row, found), ""]
    lines += [_LEGENDS[any(row.said for row in found.shown)], "", *_lengths(found)]
    lines += [*_steps(found), *(f"note: {plain(note)}" for note in found.notes)]
    text = "\n".join(lines)
    return text if color else click.unstyle(text)


def _row(row: Shown, found: Preview) -> list[str]:
    length = len(row.input) + len(row.completion)
    size = plural(length, "character") if row.tokens is None else plural(row.tokens, "token")
    begins = f", completion from token {row.begins + 1}" if row.begins is not None else ""
    head = click.style(f"Row {row.number:,} ({row.why}): {size}{begins}{_cut(row, found)}", bold=True)
    if row.said:
        return [head, *(line for said in row.said for line in _said(said))]
    *before, last = (excerpt(line) for line in _shortened(row.input, MOST_SHOWN).split("\n"))
    first, *after = (excerpt(line) for line in _shortened(row.completion, MOST_SHOWN).split("\n"))
    learnt = [last + click.style(MARK + first, fg="green"), *(click.style(line, fg="green") for line in after)]
    return [head, *(f"  │ {line}" for line in (*before, *learnt))]


def _said(said: Said) -> list[str]:
    """A turn under its role; one that counts is marked."""
    mark = MARK if said.counts else " "
    first, *after = (excerpt(line) for line in _shortened(said.text, MOST_SHOWN).split("\n"))
    lines = [f"{mark}{plain(said.role)}: {first}", *(f"   {line}" for line in after)]
    return [f"  │ {click.style(line, fg='green') if said.counts else line}" for line in lines]


def _cut(row: Shown, found: Preview) -> str:
    most = found.limit.tokens
    if most is None or row.tokens is None or row.tokens <= most:
        return ""
    if not found.limit.from_end and row.begins is not None and row.begins >= most:
        return f"; max_length {most} leaves nothing of its completion"
    return f"; cut at max_length {most}"


def _lengths(found: Preview) -> list[str]:
    spread = found.spread
    rows = plural(spread.total, "row")
    scope = rows if spread.measured == spread.total else f"{spread.measured:,} measured of {rows}"
    figures = ", ".join(f"{_LABELS.get(name, name)} {value:,}" for name, value in spread.percentiles.items())
    lines = [f"Length in {spread.unit} ({scope}): {figures}"]
    if found.missing:
        lines += [f"Tokens are not counted: {plain(found.missing.reason)}", f"  {plain(found.missing.hint)}"]
    elif found.model:
        lines.append(plain(f"Counted with the tokenizer of {found.model}, {found.chosen}"))
    if spread.cut is not None and spread.lost is not None:
        lines.append(
            f"max_length {found.limit.tokens:,}: {plural(spread.cut, 'row')} longer, "
            f"of which {spread.lost:,} lose their whole completion"
        )
    elif not found.missing:
        lines.append("max_length: none, no row is cut")
    return lines


_LEGENDS = {
    False: f"{MARK} marks where the completion begins: what follows is learnt.",
    True: f"{MARK} marks the turns that are learnt.",
}
_LABELS = {"p50": "median", "p90": "90 %", "p99": "99 %", "max": "longest"}


def _steps(found: Preview) -> list[str]:
    if found.split is None or found.schedule is None:
        return []
    steps = found.schedule
    lines = ["", f"Split: {found.split.train:,} rows train, {found.split.held_out:,} are held out"]
    batch = f"{steps.per_device} rows × {plural(steps.devices, 'device')} × {steps.accumulated} accumulated"
    lines.append(f"Batch: {batch} = {plural(steps.effective, 'row')} a step")
    if steps.steps is not None and steps.steps_per_epoch is not None:
        passes = f"{steps.epochs:g} epoch" + ("" if steps.epochs == 1 else "s")
        lines.append(f"Steps: {steps.steps_per_epoch:,} an epoch, {steps.steps:,} in {passes}")
    return lines


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    left = len(text) - most
    return f"{text[: most // 2]}\n… {left:,} characters left out …\n{text[-most // 2 :]}"


def to_json(found: Preview) -> dict[str, Any]:
    """The documented, versioned form. Offsets count characters of ``text`` and tokens, from 0."""
    spread = found.spread
    return {
        "version": JSON_VERSION,
        "subject": str(found.subject),
        "prompt": str(found.prompt),
        "dataset": str(found.dataset),
        "tokenizer": {
            "model": str(found.model) if found.model else None,
            "chosen": found.chosen,
            "eos": found.end,
            "missing": {"reason": found.missing.reason, "hint": found.missing.hint} if found.missing else None,
        },
        "rows": [_row_json(row) for row in found.shown],
        "lengths": {
            "unit": spread.unit,
            "measured": spread.measured,
            "total": spread.total,
            **spread.percentiles,
            "max_length": found.limit.tokens,
            "longer": spread.cut,
            "without_completion": spread.lost,
        },
        "split": {"train": found.split.train, "held_out": found.split.held_out} if found.split else None,
        "steps": _steps_json(found),
        "notes": list(found.notes),
    }


def _row_json(row: Shown) -> dict[str, Any]:
    """Secrets, and halves of surrogate pairs, are replaced in each part on its own, so that the offset stays right."""
    parts = (redact(_shortened(text, MOST_WRITTEN)) for text in (row.input, row.completion))
    shown, answer = (text.encode("utf-8", "replace").decode("utf-8") for text in parts)
    return {
        "row": row.number,
        "why": row.why,
        "text": shown + answer,
        "completion_at": len(shown),
        "characters": len(row.input) + len(row.completion),
        "tokens": row.tokens,
        "completion_at_token": row.begins,
        **({"turns": [_said_json(each) for each in row.said]} if row.said else {}),
    }


def _said_json(said: Said) -> dict[str, Any]:
    text = redact(_shortened(said.text, MOST_WRITTEN)).encode("utf-8", "replace").decode("utf-8")
    return {"role": said.role, "text": text, "counts": said.counts}


def _steps_json(found: Preview) -> dict[str, Any] | None:
    steps = found.schedule
    if steps is None:
        return None
    return {
        "per_device": steps.per_device,
        "devices": steps.devices,
        "accumulated": steps.accumulated,
        "effective_batch": steps.effective,
        "epochs": steps.epochs,
        "per_epoch": steps.steps_per_epoch,
        "total": steps.steps,
    }
