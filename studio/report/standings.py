"""What is recorded and running, as text and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import click

from studio.core.endpoint import EndpointSize
from studio.core.numerals import number
from studio.inspection import Standing
from studio.plan.wording import flow
from studio.provenance import Link
from studio.report import courses, evaluations, sweeps, telling
from studio.report.advice import Here
from studio.report.findings import plural
from studio.report.history import ending
from studio.report.plain import plain
from studio.report.tables import table
from studio.state.base import Operation, Record, RunStatus
from studio.traces import Told

NOTHING = "nothing is recorded yet"
FIRST = "'studio apply' makes the first records"
_COLORS = {"ready": "green", "failed": "red", "running": "cyan"}


def to_text(standings: Sequence[Standing], last: Operation | None, here: Here, at_work: str = "") -> str:
    """One line for each resource, then what to know of those that need somebody, then the last operation.

    ``at_work`` is the id of the operation that is under way now.
    """
    if not standings:
        return f"{NOTHING.capitalize()}. {FIRST}."
    width = max(len(str(standing.ref)) for standing in standings)
    words = max(8, *(len(standing.state) for standing in standings))
    lines = []
    for each in standings:
        state = click.style(f"{each.state:{words}}", fg=_COLORS.get(each.state, "yellow"))
        lines.append(f"{each.ref!s:{width}}  {state}  {headline(each)}".rstrip())
    lines += _advice(standings, here)
    if last:
        when = last.finished_at or last.started_at
        commit = f" at {last.commit[:12]}" if last.commit else ""
        lines += ["", f"Last {last.command} by {last.actor}{commit}: {ending(last, at_work)}, {when}"]
    return "\n".join(lines)


def _advice(standings: Sequence[Standing], here: Here) -> list[str]:
    """What the states call for."""
    new = sum(each.state == "not applied" for each in standings)
    ended = sum(each.live is not None and not each.is_running for each in standings)
    older = [each.ref for each in standings if each.outdated and each.is_running]
    advice = [f"{plural(new, 'resource')} declared, not applied: {here.command('plan')} says what would happen."]
    advice += [f"{plural(ended, 'job')} ended and not recorded: {here.command('apply')} does that."]
    told = [line for line, count in zip(advice, (new, ended), strict=True) if count]
    told += [f"{ref} runs for an earlier version: {here.command('cancel', str(ref))} stops it." for ref in older]
    return ["", *told] if told else []


def headline(standing: Standing) -> str:
    """The one thing to know about a resource."""
    if standing.live and standing.live.progress:
        return telling.progress(standing.live.progress)
    if standing.silence or standing.held:
        return plain(standing.silence or f"held back: {standing.held}")
    record = standing.record
    if record is None:
        return ""
    words = _recorded(record)
    return f"recorded before: {words}" if words and standing.state == RunStatus.CANCELLED.value else words


def _recorded(record: Record) -> str:
    if record.error:
        return plain(record.error.splitlines()[0])
    output = record.outcome.get("output") or {}
    match output.get("task"):
        case "training" if output.get("sweep"):
            return plain(sweeps.headline(output["sweep"]))
        case "training":
            return ", ".join(
                f"{k} {number(v)}" for k, v in output["metrics"].items() if k in ("train_loss", "eval_loss")
            )
        case "evaluation":
            return evaluations.headline(record.outcome)
        case "export":
            return f"{output['model_name']} version {output['model_version']}"
        case "deployment":
            return f"{output['model_name']} at {output['url']}"
    return _facts(record.facts)


def _facts(facts: dict[str, Any]) -> str:
    if facts.get("rows") is not None:
        return f"{plural(facts['rows'], 'row')}, columns {plain(', '.join(facts['features']))}"
    return plain(facts.get("family") or "")


def to_json(standings: Iterable[Standing]) -> list[dict[str, Any]]:
    """Plain data for other tools."""
    return [_json(standing) for standing in standings]


def _json(standing: Standing) -> dict[str, Any]:
    record, run = standing.record, standing.run
    return {
        "resource": str(standing.ref),
        "state": standing.state,
        "headline": headline(standing),
        "earlier_version": standing.outdated,
        "held_back": standing.held,
        "trials": [{"values": dict(each.values), **_json(each.standing)} for each in standing.trials],
        "record": {**asdict(record), "ref": str(record.ref)} if record else None,
        "run": {**asdict(run), "ref": str(run.ref)} if run else None,
    }


def detail(standing: Standing, told: Told | None = None) -> str:
    """Everything worth reading about one resource; ``told`` is what a training said of its steps."""
    record, run = standing.record, standing.run
    lines = [click.style(str(standing.ref), bold=True) + f"  {standing.state}"]
    lines += _pairs(("held back", standing.held), ("not known", standing.silence))
    if record:
        lines += _pairs(
            ("title", record.metadata.get("title")),
            ("description", record.metadata.get("description")),
            ("source", record.source),
            ("commit", record.commit),
            ("uid", record.uid),
            ("fingerprint", record.fingerprint),
            ("updated", record.updated_at),
            *_lines("error", record.error),
        )
        lines += _pairs(*((key, _flat(value)) for key, value in record.facts.items()))
        lines += _outcome(record.outcome)
        lines += _together(standing)
    lines += courses.lines(told) if told else []
    lines += sweeps.compared(standing)
    if run:
        lines += ["", f"  latest run: {run.key}, attempt {run.attempt}, {run.status.value}"]
        lines += _pairs(("submitted", run.submitted_at), ("finished", run.finished_at), *_lines("error", run.error))
    return "\n".join(lines)


def chain(links: Sequence[Link]) -> list[str]:
    """Where a resource came from, step by step, below a heading; nothing for one that was made of nothing."""
    if len(links) < 2:
        return []
    lines = ["", "  made from"]
    for link in links:
        told = "; ".join(f"{name} {_flat(value)}" for name, value in _told(link.facts).items())
        changed = "  (has changed since)" if link.changed else ""
        lines.append(f"  {'  ' * link.depth}  {link.ref}  {plain(told)}{changed}")
    return lines


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    """Hashes as short as people compare them; versions as pip writes them."""
    short = {name: str(value)[:12] for name, value in facts.items() if name in ("commit", "committed", "fingerprint")}
    digest = {"digest": str(facts["digest"])[:12]} if "digest" in facts else {}
    held = facts.get("versions")
    versions = {"versions": [f"{name} {number}" for name, number in sorted(held.items())]} if held else {}
    return {**facts, **short, **digest, **versions}


def _lines(name: str, text: str) -> list[tuple[str, str]]:
    """A text of several lines, such as the end of a log. With a bar before each further one a CI runner takes none of
    them for a command."""
    first, *more = text.splitlines() or [""]
    return [(name, first), *(("", f"| {line}") for line in more)]


def _flat(value: Any) -> str:
    """As YAML would write it; a list without its brackets, nothing as nothing."""
    if isinstance(value, list):
        return ", ".join(map(flow, value))
    return flow(value) if value not in (None, "") else ""


def _pairs(*pairs: tuple[str, Any]) -> list[str]:
    return [f"  {name:14} {plain(str(value).strip())}" for name, value in pairs if value not in (None, "", [])]


def _outcome(outcome: dict[str, Any]) -> list[str]:
    output = outcome.get("output") or {}
    took = "" if output.get("sweep") else _seconds(outcome.get("seconds"))
    shared = f" in {outcome['jobs']} jobs" if took and "jobs" in outcome else ""
    lines = _pairs(("MLflow run", outcome.get("mlflow_run_id")), ("took", f"{took}{shared}"))
    match output.get("task"):
        case "training":
            lines += _pairs(("adapter", output["adapter"]), ("digest", output["digest"]), ("curve", output["curve"]))
            lines += _pairs(("ended", telling.early_stop(output)))
            lines += ["", *table([["metric", "value"], *([k, number(v)] for k, v in output["metrics"].items())])]
        case "evaluation":
            lines += ["", *evaluations.comparison(output, outcome.get("verdicts") or [])]
        case "export":
            lines += _pairs(("model", output["uri"]), ("load it", f"mlflow.pyfunc.load_model({output['uri']!r})"))
            lines += _pairs(("GGUF", _gguf(output.get("gguf") or {})))
            lines += _pairs(("registered as", _registered(output.get("registered") or {})))
        case "deployment":
            lines += _endpoint(output)
    return lines


def _gguf(made: dict[str, Any]) -> str:
    """The file for llama.cpp; "" for none."""
    return f"{made['path']} ({made['type']}, {made['bytes']:,} bytes, digest {made['digest'][:12]})" if made else ""


def _registered(made: dict[str, Any]) -> str:
    """The version in the workspace's own registry; "" for none."""
    return f"version {made['version']} of the model {made['model_id']} in the workspace" if made else ""


def _endpoint(output: dict[str, Any]) -> list[str]:
    """What callers need, and where people look."""
    callers = "send a model API key of their own, too" if output["authentication"] else "need no key of their own"
    return _pairs(
        ("address", output["url"]), ("access key", output["access_key"]), ("callers", callers),
        ("replicas", EndpointSize(**output["size"])), ("page", output["page"]),
    )  # fmt: skip


def _together(standing: Standing) -> list[str]:
    """What the trials of a sweep took; nothing where one did not end well, or nobody knows."""
    records = [each.standing.record for each in standing.trials]
    took = [float(each.outcome.get("seconds") or 0) for each in records if each]
    if not took or len(took) < len(records) or not all(took):
        return []
    return _pairs(("took", f"{_seconds(sum(took))} in {plural(len(took), 'trial')} together"))


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
