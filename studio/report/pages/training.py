"""What a training came to: its curves, its numbers, its data, and how the adapter did in evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from studio.core import course
from studio.core.course import Course
from studio.core.numerals import number
from studio.core.references import Ref
from studio.report import measures, sweeps, telling
from studio.report.evaluations import headline
from studio.report.measures import LABELS, label, said
from studio.report.pages import evaluation
from studio.report.pages.document import Cell, Code, Figure, Gallery, Line, LineChart, Note, Pairs, Section, Table, cut
from studio.report.pages.provenance import digest
from studio.report.pages.settings import LONGEST
from studio.report.pages.view import Evidence, View
from studio.state.base import Record
from studio.traces import Told

DRAWN = 300
"""Points of a curve in a picture of its width."""
CHARTS = (("loss", "eval_loss"), ("learning_rate",), ("gradient_norm",), ("tokens_per_second",),
          ("memory_bytes", "gpu_memory_bytes"))  # fmt: skip
"""Curves that share a chart, by the unit of the first."""
TITLES = {"loss": "Loss", "learning_rate": "Learning rate", "gradient_norm": "Gradient norm",
          "tokens_per_second": "Throughput", "memory_bytes": "Memory"}  # fmt: skip


def figures(record: Record | None) -> Iterator[Figure]:
    """The numbers to know first."""
    output = (record.outcome.get("output") or {}) if record else {}
    if output.get("sweep"):
        words = sweeps.headline(output["sweep"])
        yield Figure("trial taken", cut(sweeps.taken(output["sweep"]).name, LONGEST), cut(words, LONGEST))
    numbers = output.get("metrics") or {}
    peak = "peak_gpu_memory_bytes" if "peak_gpu_memory_bytes" in numbers else "peak_memory_bytes"
    for name in ("eval_loss", "final_loss", "tokens_per_second", peak):
        if name in numbers:
            known = LABELS[name]
            yield Figure(known.label, number(numbers[name] / known.scale), known.unit)
    if output:
        yield Figure("rows trained on", f"{output['train_rows']:,}", f"{output['held_out_rows']:,} held out")
    if record and record.outcome.get("seconds"):
        yield Figure("took", measures.seconds(record.outcome["seconds"]))


def sections(view: View, ref: Ref, told: Told, evidence: Evidence) -> Iterator[Section]:
    """Curves, what became of the adapter in evaluations, metrics, data."""
    record = view.records.get(ref)
    output = (record.outcome.get("output") or {}) if record else {}
    ended = telling.early_stop(output)
    yield Section("Curves", [*([Note(f"It {ended}.")] if ended else []), *_curves(told)])
    if trials := _trials(view, ref):
        yield trials
    judged = [*_judged(view, ref)]
    if judged:
        heads = ("evaluation", "what it says", "against the baseline")
        yield Section("Evaluations of this adapter", [Table(heads, judged)])
    if evidence.sheets:
        yield evaluation.samples(evidence, "Samples")
    if output.get("metrics"):
        rows = [(label(name), said(name, value)) for name, value in output["metrics"].items()]
        yield Section("Metrics", [Table(("metric", "value"), rows, numeric=frozenset({1}))])
    data = [*_data(view, evidence.spec, output)]
    if data:
        yield Section("Data", data)


def _trials(view: View, ref: Ref) -> Section | None:
    """Of a sweep, what it chose among."""
    standing = view.standings[ref]
    rows = [[cut(cell, LONGEST) for cell in row] for row in sweeps.grid(standing)]
    if not rows:
        return None
    words = sweeps.beside(standing)
    return Section("Trials", [*([Note(f"These are {words}.", "busy")] if words else []), Table(rows[0], rows[1:])])


def _curves(told: Told) -> Iterator[Note | Gallery]:
    count = len(told.course.steps)
    if not count:
        yield Note(f"No curves: {told.origin}.", "quiet")
        return
    thinned = course.thinned(told.course, DRAWN)
    shown = f", of which about {DRAWN} are drawn" if len(thinned.steps) < count else ""
    charts = [chart for names in CHARTS if (chart := _chart(names, thinned))]
    yield Gallery(charts)
    yield Note(f"{count:,} logged steps{shown}, from {told.origin}.", "quiet")


def _chart(names: tuple[str, ...], told: Course) -> LineChart | None:
    first = LABELS[names[0]]
    lines = [
        Line(LABELS[name].label, [(step, value / first.scale) for step, value in points])
        for name in names
        if (points := told.points(name))
    ]
    return LineChart(TITLES[names[0]], first.unit, lines) if lines else None


def _judged(view: View, ref: Ref) -> Iterator[tuple[Cell, ...]]:
    """Evaluations that asked what it made."""
    for each, record in view.records.items():
        output = record.outcome.get("output") or {}
        if output.get("task") == "evaluation" and str(ref) in record.inputs:
            yield str(each), headline(record.outcome), evaluation.gain_in_words(output)


def _data(view: View, spec: Mapping[str, Any], output: Mapping[str, Any]) -> Iterator[Pairs | Code]:
    work = spec.get("work")
    dataset: Any = work.get("dataset") if isinstance(work, dict) else None
    if not isinstance(dataset, dict):
        return
    record = view.records.get(Ref("Dataset", str(dataset.get("name"))))
    facts = record.facts if record else {}
    yield Pairs(
        [
            ("data set", str(dataset.get("name", ""))),
            ("from", str(dataset.get("location") or dataset.get("huggingface_name") or "")),
            ("content", digest(dataset.get("digest"), "")),
            ("rows", f"{facts['rows']:,}" if facts.get("rows") is not None else ""),
            ("columns", ", ".join(map(str, dataset.get("features") or ()))),
            ("trained on", f"{output['train_rows']:,} rows" if output else ""),
            ("held out", f"{output['held_out_rows']:,} rows" if output else ""),
            ("loss on", str(work.get("loss", "")) if isinstance(work, dict) else ""),
        ]
    )
    templates: Any = work.get("templates") if isinstance(work, dict) else None
    if isinstance(templates, dict) and templates.get("prompt"):
        yield Code(cut(templates["prompt"], LONGEST), "every row becomes")
