"""The page of one resource, whatever its kind: what it came to, settings, provenance, history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from studio.core.course import Course
from studio.core.references import Ref
from studio.report import history, measures
from studio.report.pages import evaluation, provenance, settings, training
from studio.report.pages.document import Cell, Code, Document, Figure, Note, Pairs, Section, Table, Words, cut, moment
from studio.report.pages.provenance import TONES, digest
from studio.report.pages.view import Evidence, View
from studio.report.standings import headline
from studio.state.base import ACTIVE, Operation, Record
from studio.traces import Told

MOST_ENTRIES = 20
"""Operations, and runs, of one page."""
LONGEST_ERROR = 6000


def document(view: View, ref: Ref, evidence: Evidence) -> Document:
    """The whole page."""
    standing = view.standings[ref]
    record = standing.record
    tone = TONES.get(standing.state, "busy" if standing.is_running else "")
    metadata = record.metadata if record else {}
    title = str(metadata.get("title") or "")
    words = ". ".join(filter(None, (title.rstrip("."), str(metadata.get("description") or ""))))
    return Document(
        kind=ref.kind,
        name=ref.name,
        state=Words(standing.state, tone),
        description=cut(words, 1000),
        context=[*_context(view, ref, record)],
        figures=[*_figures(ref, record)],
        sections=[*_sections(view, ref, evidence)],
    )


def _context(view: View, ref: Ref, record: Record | None) -> Iterator[tuple[str, Cell]]:
    yield "project", view.project
    yield "environment", view.environment
    if record:
        author = view.author(ref)
        yield "recorded", moment(record.updated_at)
        yield "by", author.actor if author else ""
        yield "commit", digest(record.commit, "")
        yield "from", record.source
        yield "fingerprint", digest(record.fingerprint, "")
        yield "MLflow run", digest(record.outcome.get("mlflow_run_id"), "")


def _figures(ref: Ref, record: Record | None) -> Iterator[Figure]:
    output = _output(record)
    match output.get("task"):
        case "training":
            yield from training.figures(record)
        case "evaluation" if record:
            yield from evaluation.figures(record)
        case "export":
            yield Figure("model", str(output["model_name"]))
            yield Figure("version", str(output["model_version"]))
        case "deployment":
            yield Figure("model", str(output["model_name"]))
    if record and record.outcome.get("seconds") and output.get("task") not in ("training", "evaluation"):
        yield Figure("took", measures.seconds(record.outcome["seconds"]))


def _sections(view: View, ref: Ref, evidence: Evidence) -> Iterator[Section]:
    standing = view.standings[ref]
    record, run = standing.record, standing.run
    yield from _now(view, ref)
    error = (record.error if record else "") or (run.error if run else "")
    if error:
        yield Section("What went wrong", [Code(cut(error, LONGEST_ERROR), "error")])
    output = _output(record)
    match output.get("task"):
        case "evaluation" if record:
            yield from evaluation.sections(record, evidence)
        case "export" | "deployment":
            yield Section("Made", [_made(output)])
    if ref.kind == "FineTuningJob":
        yield from training.sections(view, ref, view.courses.get(ref, Told(Course(), "nothing was told yet")), evidence)
    if record and record.facts:
        yield Section("Facts", [Pairs([*settings.flat(record.facts)])])
    if record:
        yield provenance.section(view, ref)
    asked = settings.section(record, evidence.spec)
    if asked:
        yield asked
    yield from _history(view, ref)


def _now(view: View, ref: Ref) -> Iterator[Section]:
    """What to know of a resource that is not simply there."""
    standing = view.standings[ref]
    told = {"held back": standing.held, "not known": standing.silence}
    notes = [Note(f"{name}: {why}", "busy") for name, why in told.items() if why]
    if standing.record is None and standing.run is None:
        notes.append(Note("Declared, and never applied: 'studio plan' says what would happen.", "busy"))
    elif standing.is_running:
        notes.append(Note(f"Under way: {headline(standing)}", "busy"))
    if notes:
        yield Section("Now", notes)


def _made(output: dict[str, Any]) -> Pairs:
    named = (
        ("model", "model_name"), ("version", "model_version"), ("load it as", "uri"), ("address", "url"),
        ("description", "description"), ("remark", "remark"),
    )  # fmt: skip
    rows: list[tuple[str, Cell]] = [(name, cut(output.get(key) or "", 1000)) for name, key in named]
    gguf = output.get("gguf") or {}
    files: list[tuple[str, Cell]] = [
        ("GGUF", cut(gguf.get("path", ""), 1000)),
        ("its digest", digest(gguf.get("digest"), "")),
    ]
    return Pairs([*rows, ("weights", digest(output.get("digest"), "")), *(files if gguf else [])])


def _history(view: View, ref: Ref) -> Iterator[Section]:
    entries = [*history.of(view.operations, ref)]
    runs = [run for run in view.runs if run.ref == ref]
    blocks: list[Table | Note] = []
    if runs:
        rows: list[Sequence[Cell]] = []
        for run in runs[:MOST_ENTRIES]:
            status = "under way" if run.status in ACTIVE else run.status.value
            took = history.duration(run.submitted_at, run.finished_at) if run.finished_at else ""
            rows.append((f"attempt {run.attempt}", status, moment(run.submitted_at), took, run.backend, run.key))
        blocks.append(Table(("run", "ended", "submitted", "took", "where", "key"), rows))
    if entries:
        blocks.append(operations([each.operation for each in entries[:MOST_ENTRIES]], view.at_work, entries[0].ref))
    if max(len(runs), len(entries)) > MOST_ENTRIES:
        blocks.append(Note(f"{len(runs):,} runs and {len(entries):,} operations; the latest are shown.", "quiet"))
    if blocks:
        yield Section("History", blocks)


def operations(found: Sequence[Operation], at_work: str, ref: Ref | None = None) -> Table:
    """Who did what, when, from which commit, and how it ended."""
    rows: list[Sequence[Cell]] = []
    for each in found:
        ended = history.ending(each, at_work)
        tone = Words(ended, "good" if ended == "succeeded" else "bad" if ended in ("failed", "killed") else "busy")
        done = history.concerning(each, ref) if ref else dict(history.counts(each))
        told = ", ".join(str(words) if ref else f"{words} {what}" for what, words in done.items())
        took = history.duration(each.started_at, each.finished_at) if each.finished_at else ""
        commit = digest(each.commit, "") if each.commit else ""
        rows.append((moment(each.started_at), each.command, tone, cut(told, 300), each.actor, commit, took))
    return Table(("started", "command", "ended", "did", "by", "commit", "took"), rows)


def _output(record: Record | None) -> dict[str, Any]:
    return (record.outcome.get("output") or {}) if record else {}
