"""What an evaluation measured: gates, the comparison with intervals, slices, confusion, and rows side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from studio.core.confidence import SHOWN
from studio.core.jobresult import CombinationOutput, EvaluationOutput, Interval
from studio.core.metric_names import SHARE, gain
from studio.core.numerals import number
from studio.core.verdicts import Verdict
from studio.report import measures
from studio.report.measures import LABELS, label
from studio.report.pages import answers
from studio.report.pages.document import (
    Bar,
    BarChart,
    Cell,
    Figure,
    Gallery,
    Heat,
    Note,
    Section,
    Table,
    Tone,
    Words,
    cut,
)
from studio.report.pages.view import Evidence
from studio.state.base import Record

MOST_SLICES, MOST_SHOWN = 60, 6
"""Values of a column; combinations of which matrices and answers are shown."""
LEAST = 1e-4
"""Of a p-value that is told; what is smaller depends on more than the data."""
NAMES = 200
"""Characters of a name or a value."""


def figures(record: Record) -> Iterator[Figure]:
    """Gates, the best gain, rows."""
    made, verdicts = _made(record), _verdicts(record)
    if verdicts:
        met = sum(each.passed for each in verdicts)
        tone: Tone = "good" if met == len(verdicts) else "bad"
        told = f"{met} of {len(verdicts)} conditions met"
        yield Figure("gates", "passed" if tone == "good" else "missed", told, tone)
    last = len(made.combinations) - 1
    who = made.combinations[last].adapter or made.combinations[last].model
    for name, value in list(made.combinations[last].metrics.items())[:3]:
        gained = made.gain(name, last) if last else None
        against = "" if gained is None else f", {_signed(gain(name, gained, 0.0))} against the baseline"
        yield Figure(label(name), number(value), f"{cut(who, NAMES)}{against}" if last else "")
    yield Figure("held-out rows", f"{made.rows:,}")
    if record.outcome.get("seconds"):
        yield Figure("took", measures.seconds(record.outcome["seconds"]))


def sections(record: Record, evidence: Evidence) -> Iterator[Section]:
    """Verdicts first; then numbers, then where they come from."""
    made, verdicts = _made(record), _verdicts(record)
    if verdicts:
        rows = [
            (Words("passed", "good") if each.passed else Words("missed", "bad"), cut(each, NAMES)) for each in verdicts
        ]
        yield Section("Gates", [Table(("verdict", "condition"), rows)])
    yield Section("Comparison", [Gallery([*_bars(made)]), _comparison(made), Note(_sureness(made), "quiet")])
    if made.combinations[0].slices:
        yield Section("Slices", [*_slices(made)])
    matrices = [*_matrices(made, evidence)]
    if matrices:
        yield Section("Confusion", matrices)
    yield samples(evidence, "Samples")


def gain_in_words(output: dict[str, Any]) -> str:
    """What the best combination gains by the first metric; "" without a baseline."""
    made = EvaluationOutput.model_validate(output)
    metric = next(iter(made.combinations[0].metrics), "")
    found = {
        place: each for place in range(1, len(made.combinations)) if (each := made.gain(metric, place)) is not None
    }
    if not found:
        return ""
    best = max(found, key=lambda place: found[place])
    change = _signed(gain(metric, found[best], 0.0))
    return f"{label(metric)} {number(made.combinations[best].metrics[metric])}, {change}"


def samples(evidence: Evidence, title: str) -> Section:
    """Rows side by side, those first whose answers changed; what is missing is said."""
    sheets = evidence.sheets
    there = [(cut(who, NAMES), sheet) for who, sheet in zip(evidence.who, sheets, strict=True) if sheet is not None]
    if not there:
        return Section(title, [Note("The predictions are not on this disk any more; MLflow has them.", "quiet")])
    gone = len(sheets) - len(there)
    more = len(there) - MOST_SHOWN
    left = [Note(f"The answers of {more} further combinations are in their predictions.", "quiet")] if more > 0 else []
    missing = [Note(f"The predictions of {gone} of {len(sheets)} combinations are gone.", "quiet")] if gone else []
    return Section(title, [*missing, *left, answers.chosen(there[:MOST_SHOWN])])


def _made(record: Record) -> EvaluationOutput:
    return EvaluationOutput.model_validate(record.outcome["output"])


def _verdicts(record: Record) -> list[Verdict]:
    return [Verdict(**each) for each in record.outcome.get("verdicts") or []]


def _name(each: CombinationOutput) -> str:
    return cut(" + ".join(filter(None, (each.model, each.adapter))), NAMES)


def _bars(made: EvaluationOutput) -> Iterator[BarChart]:
    for metric in made.metrics:
        bars = []
        for each in made.combinations:
            shown = _shown(each.intervals.get(metric, ()))
            if metric in each.metrics:
                low, high = (shown.low, shown.high) if shown else (None, None)
                bars.append(Bar(_name(each), each.metrics[metric], low, high))
        yield BarChart(label(metric), LABELS[metric].unit if metric in LABELS else "", bars)


def _comparison(made: EvaluationOutput) -> Table:
    """One row for each metric of each combination."""
    rows: list[tuple[Cell, ...]] = []
    for metric in made.metrics:
        for place, each in enumerate(made.combinations):
            if metric not in each.metrics:
                continue
            found = made.difference(metric, place) if place else None
            tested = (_ends(found.intervals), f"{_chance(found.p_value)} ({found.test})") if found else ("", "")
            change, value = _change(made, metric, place), number(each.metrics[metric])
            rows.append((label(metric), _name(each), value, _ends(each.intervals.get(metric, ())), change, *tested))
    heads = ("metric", "combination", "value", "interval", "difference", "gain, interval", "p of no gain")
    return Table(heads, rows, numeric=frozenset({2, 3, 5, 6}))


def _change(made: EvaluationOutput, metric: str, place: int) -> Cell:
    gained = made.gain(metric, place) if place else None
    if gained is None:
        return "" if place else "baseline"
    tone: Tone = "good" if gained > 0 else "bad" if gained < 0 else "quiet"
    return Words(_signed(gain(metric, gained, 0.0)), tone)


def _sureness(made: EvaluationOutput) -> str:
    """What the table's numbers are, of those that are there."""
    known = [name for each in made.combinations for name in each.intervals]
    tasks, rest = any("/" in name for name in known), any("/" not in name and name != SHARE for name in known)
    ways = [
        *(["exact for exact match"] if SHARE in known else []),
        *(["exact for shares of a task's rows, by the standard error for its other metrics"] if tasks else []),
        *(["by drawing rows anew for the others, exact where all rows score alike"] if rest else []),
    ]
    shown = f" Intervals at {SHOWN:.0%} confidence: {'; '.join(ways)}." if ways else ""
    tested = " p is how likely a gain so large, or a loss, would be by chance." if made.differences else ""
    green = " A green difference is an improvement, also where lower is better." if len(made.combinations) > 1 else ""
    return f"{made.rows:,} held-out rows.{shown}{tested}{green}"


def _slices(made: EvaluationOutput) -> Iterator[Table | Note]:
    baseline = made.combinations[0]
    for column in dict.fromkeys(each.column for each in baseline.slices):
        places = [place for place, each in enumerate(baseline.slices) if each.column == column]
        names = list(baseline.slices[places[0]].metrics)
        rows = [
            _slice(made, place, names, who) for place in places[:MOST_SLICES] for who in range(len(made.combinations))
        ]
        heads = (column, "rows", "combination", *map(label, names))
        yield Table(heads, rows, f"by {cut(column, NAMES)}", frozenset({1, *range(3, 3 + len(names))}))
        if len(places) > MOST_SLICES:
            yield Note(f"{len(places)} values; the first {MOST_SLICES} are shown.", "quiet")
    if any(each.is_few for each in baseline.slices):
        yield Note("* few rows: chance moves such numbers.", "quiet")


def _slice(made: EvaluationOutput, place: int, names: Sequence[str], who: int) -> tuple[Cell, ...]:
    each = made.combinations[who].slices[place]
    head = (cut(each.value, NAMES), f"{each.rows:,}{'*' if each.is_few else ''}") if who == 0 else ("", "")
    cells = []
    for name in names:
        shown = each.intervals.get(name)
        ends = f" [{number(shown.low)}, {number(shown.high)}]" if shown else ""
        cells.append(f"{number(each.metrics[name])}{ends}" if name in each.metrics else "")
    return (*head, _name(made.combinations[who]), *cells)


def _matrices(made: EvaluationOutput, evidence: Evidence) -> Iterator[Gallery | Note]:
    heats = []
    for each, matrix in zip(made.combinations, evidence.matrices, strict=False):
        if matrix:
            heats.append(Heat(_name(each), matrix.down, matrix.across, matrix.counts))
        elif each.confusion:
            yield Note(f"The confusion matrix of {_name(each)} is not on this disk any more; MLflow has it.", "quiet")
    if heats:
        yield Gallery(heats[:MOST_SHOWN])
    if len(heats) > MOST_SHOWN:
        yield Note(f"{len(heats)} matrices; the first {MOST_SHOWN} are shown.", "quiet")


def _shown(levels: Sequence[Interval]) -> Interval | None:
    return next((each for each in levels if each.confidence == SHOWN), None)


def _ends(levels: Sequence[Interval]) -> str:
    shown = _shown(levels)
    return f"[{number(shown.low)}, {number(shown.high)}]" if shown else ""


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{number(abs(value))}"


def _chance(p_value: float) -> str:
    return f"{p_value:.2g}" if p_value >= LEAST else f"< {LEAST:g}"
