"""What jobs take and what reuse spares, in words."""

from __future__ import annotations

from studio.plan.actions import Action, Plan, Verb
from studio.plan.spend import Account, Bill, Hours, Spend
from studio.report.findings import plural

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


def job(action: Action) -> str:
    """``about 12 min (3 runs on the same rows, 0.9× to 1.1×)`` for a job that will run, with the number of jobs where
    several share the time; "" for no job."""
    spend = action.spend
    if spend is None or not action.dispatches:
        return ""
    shared = f" in {spend.jobs} such jobs" if spend.jobs > 1 else ""
    if spend.seconds is None:
        return f"time unknown{shared}"
    # A killed run goes on from its checkpoint, one under way is further than its start.
    most = "at most " if action.verb is Verb.RETRY or action.attaches else ""
    return f"{most}about {duration(spend.seconds)}{shared} ({_basis(spend)})"


def saving(action: Action) -> str:
    """``saves 1.3 GPU-hours, 2.6 CPU-hours`` for a reuse whose artifact says what it took; "" otherwise."""
    spend = action.spend
    if spend is None or spend.seconds is None or action.verb is not Verb.REUSE:
        return ""
    return f"saves {hours(spend.hours)} ({duration(spend.seconds)})"


def totals(plan: Plan) -> list[str]:
    """What all jobs of a plan take, and what all its reuses save; no line where there is nothing to say."""
    lines = []
    if plan.bill.jobs:
        lines.append(f"Spend: {together(plan.bill)}.")
    if plan.savings.jobs > plan.savings.unknown:
        lines.append(f"Reuse saves {hours(plan.savings.hours)}.")
    return lines


def spent(account: Account) -> str:
    """What the jobs of an apply took beside what was foreseen, and what was saved; "" when nothing ran or was."""
    real, foreseen, savings = account.real, account.foreseen, account.saved
    parts = []
    if real.jobs:
        beside = f" (foreseen: {together(foreseen)})" if foreseen.jobs > foreseen.unknown else ""
        parts.append(f"Spent: {hours(real.hours)} in {plural(real.jobs, 'job')}{beside}.")
    if savings.jobs > savings.unknown:
        parts.append(f"Reuse saved {hours(savings.hours)}.")
    return " ".join(parts)


def hours(spent: Hours) -> str:
    """GPUs first, where there are any."""
    gpu = f"{number(spent.gpu)} GPU-hours, " if spent.gpu else ""
    return f"{gpu}{number(spent.cpu)} CPU-hours, {number(spent.memory)} GB-hours"


def number(value: float) -> str:
    """Two digits that count: 1,234 and 1.3 and 0.013."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """In the unit that people would say it in."""
    if seconds < 1.5 * MINUTE:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 1.5 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f} h" if seconds < 2 * DAY else f"{seconds / DAY:.1f} days"


def together(bill: Bill) -> str:
    """What several jobs take, as far as it is known."""
    if bill.unknown == bill.jobs:
        return "unknown, there is no recorded run to go by"
    if bill.unknown:
        return f"at least {hours(bill.hours)}; the time of {plural(bill.unknown, 'job')} is unknown"
    return f"about {hours(bill.hours)}"


def _basis(spend: Spend) -> str:
    rows = "the same rows" if spend.same_rows else "other rows"
    told = f"{plural(spend.runs, 'run')} on {rows}"
    if spend.runs == 1 or not spend.seconds:
        return told
    return f"{told}, {spend.least / spend.seconds:.1f}× to {spend.most / spend.seconds:.1f}×"
