"""A plan as text."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import click

from studio.core.jobspec import Resources
from studio.desired import Desire
from studio.plan.actions import NAMED, NEW, Action, Plan, Verb, leading
from studio.plan.diff import Change
from studio.plan.pruning import DESTROYED
from studio.plan.wording import difference
from studio.report import costs, sweeps
from studio.report.findings import plural
from studio.report.plain import plain
from studio.report.remarks import names, remarks, shown
from studio.resources import KINDS
from studio.resources.adapter import AdapterFacts
from studio.resources.base import Effect, meanings
from studio.resources.dataset import DatasetFacts
from studio.resources.model import ModelFacts

_SIGNS = {
    Verb.CREATE: ("+", "green"),
    Verb.UPDATE: ("~", "yellow"),
    Verb.REPLACE: ("±", "magenta"),
    Verb.REUSE: ("=", "cyan"),
    Verb.RETRY: ("↻", "yellow"),
    Verb.DELETE: ("-", "red"),
    Verb.FORGET: ("·", "red"),
    Verb.NONE: (" ", "white"),
}
WIDTH = 60
"""Letters of a value beside a change."""
_MOVE = ("→", "yellow")


REVISES = "a small job carries it out where it is; nothing is made again"
IN_PLACE = "update in place: the same build is deployed anew, and nothing is built"
LEFT = "a job was started for an earlier version of it; apply looks after it, 'studio cancel' stops it"


def to_text(plan: Plan, desire: Desire, *, color: bool = True) -> str:
    """Every pending action with its reasons, what it will cost, and the totals."""
    lines = [] if not plan.pending else [f"Plan for environment {plan.environment!r}:", ""]
    for row in sweeps.arranged(plan.pending):
        told = [f"  {sweeps.folded(row.folded)}"] if row.folded else _action(row.action, desire, plan)
        lines += [f"    {line}" for line in told] if row.below else told
    lines += _totals(plan)
    lines += [f"{ref}: {LEFT}" for ref in plan.left]
    for remark in remarks(plan):
        lines.append(remark.words + (f": {names(remark.refs, 5)}" if remark.refs else "."))
        lines += [f"  {remark.hint}"] if remark.hint else []
    text = "\n".join(lines)
    return text if color else click.unstyle(text)


def _action(action: Action, desire: Desire, plan: Plan) -> list[str]:
    sign, color = _SIGNS[action.verb] if word(action) == action.verb else _MOVE
    head = click.style(f"  {sign} {word(action):8}", fg=color, bold=True)
    detail = _choice(action, desire, plan) if action.chooses else _detail(action, desire)
    lines = [f"{head}{click.style(str(action.ref), bold=True)}" + (f"  {detail}" if detail else "")]
    if action.attaches:
        lines.append("      its job is under way; apply attaches")
    if action.reason not in (NEW, DESTROYED):
        lines.append(f"      because {plain(action.reason)}")
    lines += [f"      {words}" for words in shown(action)]
    if action.held:
        lines.append(click.style(f"      held back: {plain(action.held)}", fg="yellow"))
    if action.revises:
        resized = any(change.effect is Effect.PLACEMENT for change in action.changes)
        lines.append(f"      {IN_PLACE if resized else REVISES}")
    if action.moved_from and not _is_told(action):
        lines.append(f"      it was {plain(action.moved_from)}; its record moves along")
    told = leading(action.changes)[:NAMED] if action.verb in (Verb.UPDATE, Verb.REPLACE) else []
    lines += [_change(change) for change in action.changes if change not in told or change.reason in _warnings()]
    if saved := costs.saving(action):
        lines.append(f"      {saved}")
    return lines


@cache
def _warnings() -> frozenset[str]:
    """What fields declare of their changes beyond the effect: never left out."""
    specs: list[Any] = [kind.model.model_fields["spec"].annotation for kind in KINDS.values()]
    return frozenset(words for spec in specs for words in meanings(spec).values())


def word(action: Action) -> str:
    """What happens, in a word: a record that only gets another name moves."""
    return "move" if action.verb is Verb.UPDATE and _is_told(action) else action.verb.value


def _is_told(action: Action) -> bool:
    """Whether the reason is the move, and nothing else."""
    return action.reason == f"it was {action.moved_from}"


def counted(plan: Plan) -> str:
    """How many resources there are of each word: ``2 to create, 1 to move, 5 unchanged``."""
    counts = Counter(word(action) for action in plan.actions)
    words = [*(verb.value for verb in Verb if verb is not Verb.NONE), "move"]
    parts = [f"{counts[each]} to {each}" for each in words if counts[each]]
    return ", ".join([*parts, f"{counts[Verb.NONE]} unchanged"])


def _choice(action: Action, desire: Desire, plan: Plan) -> str:
    item = desire.items.get(action.ref)
    return sweeps.choice(action, item.resource if item else None, plan.pending)


def _detail(action: Action, desire: Desire) -> str:
    facts = desire.items[action.ref].facts if action.ref in desire.items else None
    if isinstance(facts, DatasetFacts):
        rows = f"{plural(facts.rows, 'row')}, " if facts.rows is not None else ""
        return f"{rows}columns {plain(', '.join(facts.features))}"
    if isinstance(facts, ModelFacts | AdapterFacts) and facts.mlflow_run_id:
        return plain(f"MLflow run {facts.mlflow_run_id}")
    if isinstance(facts, ModelFacts):
        return plain(facts.family)
    asked = asks(action)
    return ", ".join((f"job: {asked}", *filter(None, [costs.job(action)]))) if asked else ""


def asks(action: Action) -> str:
    """What an action's job, or endpoint, asks for; "" for one that runs nothing."""
    if not (action.resources and action.dispatches):
        return ""
    return describe(action.resources, action.memory, "replicas" if action.ref.kind == "ModelExport" else "workers")


def describe(asked: Resources, memory: int | None = None, several: str = "workers") -> str:
    """``2 CPU, about 1.3 GB of 4 GB``, with GPUs and workers where there are any; ``memory`` is estimated, in bytes."""
    needed = f"about {memory / 1e9:.1f} GB of " if memory else ""
    parts = [f"{asked.cpu} CPU", f"{needed}{asked.memory} GB"]
    if asked.gpu:
        parts.append(f"{asked.gpu} GPU")
    if asked.workers > 1:
        parts.append(f"{asked.workers} {several}")
    return ", ".join(parts)


def _change(change: Change) -> str:
    if change.old is None and change.new is None:
        return f"      {plain(change.path)}: {change.reason}"
    return f"      {plain(change.path)}: {plain(difference(change, WIDTH))}  ({change.reason})"


def idle(plan: Plan) -> str:
    """Why there is nothing to do."""
    if plan.selection.destroy:
        return "nothing is recorded" if not plan.recorded else "nothing of it goes"
    return f"{plural(len(plan.actions), 'resource')} up to date"


def _totals(plan: Plan) -> list[str]:
    if not plan.pending:
        return [click.style("Nothing to do:", fg="green", bold=True) + f" {idle(plan)}."]
    under_way = [action for action in plan.pending if action.attaches]
    starting = [each for each in plan.pending if each.dispatches and not (each.attaches or each.held)]
    jobs = [each.resources for each in starting if each.resources]
    number = sum(each.spend.jobs if each.spend else 1 for each in starting)
    lines = ["", click.style("Plan: ", bold=True) + f"{counted(plan)}."]
    if jobs:
        most = Resources(cpu=max(j.cpu for j in jobs), gpu=max(j.gpu for j in jobs), memory=max(j.memory for j in jobs))
        lines.append(f"{plural(number, 'job')} will run; the largest asks for {describe(most)}.")
    if under_way:
        lines.append(f"{plural(len(under_way), 'job')} under way already; apply attaches.")
    return lines + costs.totals(plan)
