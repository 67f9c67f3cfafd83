"""Which rows of an evaluation are worth reading: those first whose answer the adapter changed."""

from __future__ import annotations

from collections.abc import Sequence

from studio.report.pages.document import Answer, Sample, Samples, Tone, Words, cut
from studio.traces import Asked

OF_EACH = 6
"""Rows of each sort that are shown."""
PROMPT, TEXT = 1200, 600
"""Characters of a prompt and of an answer."""
SORTS: tuple[tuple[str, Tone], ...] = (
    ("worse", "bad"),
    ("better", "good"),
    ("other answer", "busy"),
    ("still wrong", "quiet"),
    ("right as before", "quiet"),
)
"""What became of a row's answer between the baseline and the others, in the order in which they are shown."""
ALONE: tuple[tuple[str, Tone], ...] = (("wrong", "bad"), ("right", "good"))
"""The same where there is only one combination."""


def chosen(sheets: Sequence[tuple[str, Sequence[Asked]]]) -> Samples:
    """A few rows of each sort, in the order of the file; and how many there are."""
    count = min(len(sheet) for _, sheet in sheets)
    if any(len({sheet[place].prompt for _, sheet in sheets}) > 1 for place in range(count)):
        sheets = sheets[-1:]  # answers to other questions are not put side by side
        count = len(sheets[0][1])
    sorts = SORTS if len(sheets) > 1 else ALONE
    found: dict[int, list[int]] = {sort: [] for sort in range(len(sorts))}
    for place in range(count):
        found[_sort([sheet[place] for _, sheet in sheets])].append(place)
    rows = [_sample(sheets, place, Words(*sorts[sort])) for sort, places in found.items() for place in places[:OF_EACH]]
    counted = ", ".join(f"{len(places):,} {sorts[sort][0]}" for sort, places in found.items() if places)
    note = f"{count:,} rows: {counted}. " if count else "No rows. "
    return Samples(f"{note}At most {OF_EACH} of each are shown, long texts are cut; the predictions have all.", rows)


def _sort(row: Sequence[Asked]) -> int:
    base, *others = row
    if not others:
        return int(_right(base))
    if _right(base):
        return 0 if not all(map(_right, others)) else 4
    if any(map(_right, others)):
        return 1
    return 3 if all(each.prediction == base.prediction for each in others) else 2


def _right(asked: Asked) -> bool:
    return asked.correct if asked.correct is not None else asked.prediction.strip() == asked.expected.strip()


def _sample(sheets: Sequence[tuple[str, Sequence[Asked]]], place: int, change: Words) -> Sample:
    first = sheets[0][1][place]
    told = [Answer(who, cut(sheet[place].prediction, TEXT), sheet[place].correct) for who, sheet in sheets]
    return Sample(cut(first.prompt, PROMPT), cut(first.expected, TEXT), told, change)
