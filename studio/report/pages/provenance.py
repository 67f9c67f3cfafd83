"""Where a thing is from, and what was made of it: data set, job, adapter, evaluation, export, each by its digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from studio.core.references import Ref
from studio.core.secrets import redact
from studio.inspection import Standing
from studio.provenance import is_changed
from studio.report.graphs import is_job
from studio.report.pages.document import Block, Cell, Diagram, Node, Note, Pairs, Section, Table, Tone, Words, moment
from studio.report.pages.view import View
from studio.state.base import Record

SHORT, SHORTER = 12, 8
"""Characters of a digest that are shown, and in a box."""
MOST_NODES = 120
TONES: dict[str, Tone] = {"ready": "good", "failed": "bad", "running": "busy", "not applied": "quiet"}


def section(view: View, ref: Ref) -> Section:
    """The chain as a picture and a table, and with which versions it was made."""
    records = view.records
    related = {*upstream(records, ref), ref, *downstream(records, ref)} & view.standings.keys()
    shown = sorted(related, key=lambda each: (len(upstream(records, each)), each))
    blocks: list[Block] = []
    if len(shown) > MOST_NODES:
        blocks.append(Note(f"{len(shown):,} resources belong to it: too many to draw.", "quiet"))
    else:
        nodes = [node(view.standings[each], focus=each == ref) for each in shown]
        arrows = [(str(need), str(each)) for each in shown for need in needs(records.get(each))]
        blocks.append(Diagram(f"What {ref} is made of, and what is made of it", nodes, arrows))
    rows = [_row(view, each, records.get(ref)) for each in shown[:MOST_NODES]]
    blocks.append(Table(("step", "what it is", "since", "commit", "recorded", "by"), rows))
    output = (records[ref].outcome.get("output") or {}) if ref in records else {}
    if output.get("versions"):
        blocks += [Note("Made with:", "quiet"), Pairs([*output["versions"].items()])]
    return Section("Provenance", blocks)


def node(standing: Standing, *, focus: bool = False) -> Node:
    """A resource as a box."""
    ref, record = standing.ref, standing.record
    made = identity(record)
    tone = TONES.get(standing.state, "busy" if standing.is_running else "")
    note = made.full[:SHORTER] if made.full else made.text
    return Node(str(ref), ref.name, ref.kind, note, tone, is_job(ref), focus)


def needs(record: Record | None) -> Iterator[Ref]:
    """What a record says that it was made of."""
    if record is None:
        return
    for key in record.inputs:
        kind, slash, name = key.partition("/")
        if slash:
            yield Ref(kind, name)
    if record.ref.kind == "ModelExport":  # no input, but without their gates it would not be there
        yield from (Ref("EvaluationJob", str(name)) for name in record.spec.get("requires") or ())


def upstream(records: Mapping[Ref, Record], ref: Ref) -> set[Ref]:
    """All that it is made of, directly or not."""
    found: set[Ref] = set()
    pending = [ref]
    while pending:
        for need in needs(records.get(pending.pop())):
            if need not in found and need != ref:
                found.add(need)
                pending.append(need)
    return found


def downstream(records: Mapping[Ref, Record], ref: Ref) -> set[Ref]:
    """All that was made of it, directly or not."""
    feeds: dict[Ref, list[Ref]] = {}
    for each, record in records.items():
        for need in needs(record):
            feeds.setdefault(need, []).append(each)
    found: set[Ref] = set()
    pending = [ref]
    while pending:
        for fed in feeds.get(pending.pop(), ()):
            if fed not in found and fed != ref:
                found.add(fed)
                pending.append(fed)
    return found


def identity(record: Record | None) -> Words:
    """What a thing is, whatever it is called: a digest of its content, a registered version."""
    if record is None:
        return Words("")
    output = record.outcome.get("output") or {}
    match output.get("task"):
        case "training":
            return digest(output.get("digest"), "adapter")
        case "evaluation":
            return digest(output.get("selection"), "rows")
        case "export":
            return Words(f"version {output.get('model_version')}")
        case "deployment":
            return Words("endpoint")
    return digest(record.facts.get("digest") or record.facts.get("commit") or record.fingerprint, "")


def digest(value: object, what: str) -> Words:
    """A hash, short, with the whole one at hand."""
    whole = redact(str(value or ""))  # what is cut first would not be known for a secret
    return Words(f"{what} {whole[:SHORT]}".strip() if whole else "", "", whole)


def _row(view: View, ref: Ref, focus: Record | None) -> tuple[Cell, ...]:
    record, author = view.records.get(ref), view.author(ref)
    used = focus.inputs.get(str(ref)) if focus else None
    since = Words("changed since", "busy") if record and used and is_changed(record, used) else ""
    commit = digest(record.commit, "") if record and record.commit else ""
    when = moment(record.updated_at) if record else ""
    return str(ref), identity(record), since, commit, when, author.actor if author else ""
