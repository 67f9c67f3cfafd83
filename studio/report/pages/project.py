"""The page of a project: its graph, where everything stands, its trainings, evaluations and releases, who did what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from studio.core.numerals import number
from studio.core.references import Ref
from studio.inspection import Standing
from studio.report import measures
from studio.report.evaluations import headline as verdict
from studio.report.graphs import Origin, is_job
from studio.report.pages import evaluation
from studio.report.pages.document import (
    Block,
    Cell,
    Diagram,
    Document,
    Figure,
    Line,
    Node,
    Note,
    Section,
    Table,
    Tone,
    Words,
    cut,
    moment,
)
from studio.report.pages.provenance import MOST_NODES, TONES, digest, node
from studio.report.pages.resource import operations
from studio.report.pages.view import View
from studio.report.standings import headline

MOST_ROWS, MOST_JOBS, MOST_OPERATIONS = 300, 60, 15
CURVE = 60
"""Points of a curve in a cell."""


def document(view: View) -> Document:
    """The whole page."""
    states = Counter(each.state for each in view.standings.values())
    failed, running = states["failed"], sum(each.is_running for each in view.standings.values())
    words: tuple[str, Tone] = ("as recorded", "good")
    if failed or running:
        words = (f"{failed} failed", "bad") if failed else (f"{running} running", "busy")
    last = next(iter(view.operations), None)
    return Document(
        kind="Project",
        name=view.project,
        state=Words(*words) if view.standings else Words("nothing applied", "quiet"),
        description="",
        context=[
            ("environment", view.environment),
            ("last", f"{last.command} by {last.actor}, {moment(last.started_at)}" if last else ""),
            ("commit", digest(last.commit, "") if last and last.commit else ""),
        ],
        figures=[Figure(state, f"{count:,}", "", TONES.get(state, "")) for state, count in sorted(states.items())],
        sections=[section for section in _sections(view) if section.blocks],
    )


def _sections(view: View) -> Iterator[Section]:
    yield Section("Graph", [*_graph(view)])
    yield _listed("Evaluations", ("evaluation", "state", "says", "best", "recorded"), [*_evaluations(view)], MOST_JOBS)
    heads = ("training", "state", "loss", "last", "held out", "took", "recorded")
    yield _listed("Trainings", heads, [*_trainings(view)], MOST_JOBS, frozenset({3, 4}))
    yield _listed("Releases", ("export", "state", "made", "recorded"), [*_releases(view)], MOST_JOBS)
    everything = [_standing(each) for _, each in sorted(view.standings.items())]
    yield _listed("Resources", ("resource", "state", "", "commit", "recorded"), everything, MOST_ROWS)
    if view.operations:
        shown = view.operations[:MOST_OPERATIONS]
        yield Section("Last operations", [operations(shown, view.at_work)])


def _listed(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], most: int, numeric: frozenset[int] = frozenset()
) -> Section:
    blocks: list[Block] = [Table(heads, rows[:most], numeric=numeric)] if rows else []
    if len(rows) > most:
        blocks.append(Note(f"{len(rows):,} in all; the first {most} are shown, 'studio status' has all.", "quiet"))
    return Section(title, blocks)


def _graph(view: View) -> Iterator[Diagram | Note]:
    drawn = view.picture
    if not drawn.nodes:
        return
    if len(drawn.nodes) > MOST_NODES:
        yield Note(f"{len(drawn.nodes):,} resources: too many to draw; 'studio graph --format dot' has all.", "quiet")
        return
    nodes = [_node(view, ref, origin) for ref, origin in drawn.nodes.items()]
    arrows = [(str(need), str(ref)) for need, ref, _ in drawn.edges]
    yield Diagram(f"What feeds what in {view.project}", nodes, arrows)


def _node(view: View, ref: Ref, origin: Origin) -> Node:
    standing = view.standings.get(ref)
    if standing and origin is Origin.MANIFEST:
        return node(standing)
    tones: dict[Origin, Tone] = {Origin.MISSING: "bad"}
    return Node(str(ref), ref.name, ref.kind, origin.value, tones.get(origin, "quiet"), is_job(ref))


def _of_task(view: View, kind: str) -> Iterator[tuple[Standing, dict[str, object]]]:
    for ref, standing in sorted(view.standings.items()):
        if ref.kind == kind:
            yield standing, (standing.record.outcome.get("output") or {}) if standing.record else {}


def _evaluations(view: View) -> Iterator[tuple[Cell, ...]]:
    for standing, output in _of_task(view, "EvaluationJob"):
        record = standing.record
        says = verdict(record.outcome) if record and output else headline(standing)
        best = evaluation.gain_in_words(output) if output else ""
        yield standing.ref.name, _state(standing), cut(says, 300), best, moment(record.updated_at) if record else ""


def _trainings(view: View) -> Iterator[tuple[Cell, ...]]:
    for standing, output in _of_task(view, "FineTuningJob"):
        record, told = standing.record, view.courses.get(standing.ref)
        points = told.course.points("loss") if told else []
        curve: Cell = Line("loss", points[:: max(1, len(points) // CURVE)]) if points else ""
        metrics = output.get("metrics")
        known = metrics if isinstance(metrics, dict) else {}
        numbers = (number(known[name]) if name in known else "" for name in ("final_loss", "eval_loss"))
        took = measures.seconds(record.outcome["seconds"]) if record and record.outcome.get("seconds") else ""
        yield standing.ref.name, _state(standing), curve, *numbers, took, moment(record.updated_at) if record else ""


def _releases(view: View) -> Iterator[tuple[Cell, ...]]:
    for standing, _ in _of_task(view, "ModelExport"):
        record = standing.record
        yield (
            standing.ref.name,
            _state(standing),
            cut(headline(standing), 300),
            moment(record.updated_at) if record else "",
        )


def _standing(each: Standing) -> tuple[Cell, ...]:
    record = each.record
    commit = digest(record.commit, "") if record and record.commit else ""
    return str(each.ref), _state(each), cut(headline(each), 300), commit, moment(record.updated_at) if record else ""


def _state(standing: Standing) -> Words:
    return Words(standing.state, TONES.get(standing.state, "busy"))
