"""Plans and findings as Markdown for a pull request: complete where it fits, folded where it does not.

All text from manifests goes into code spans: nothing in it can mention people, link, or break out of a table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from studio.core.findings import Finding, Severity
from studio.plan.actions import Plan
from studio.plan.diff import Change
from studio.plan.wording import difference
from studio.report import costs, sweeps
from studio.report.findings import plural
from studio.report.plain import plain
from studio.report.plans import LEFT, asks, counted, idle, word
from studio.report.remarks import names, remarks, shown
from studio.report.sweeps import Row

MAX_CHARACTERS = 65_000
"""GitHub refuses a comment of more than 65,536 characters; the poster adds a few of its own."""
_LONGEST_VALUE = 300
_ICONS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.INFO: "ℹ️"}
_BACKTICKS = re.compile("`+")
_PLAIN_WORD = re.compile(
    r"[(\"'“„]*(?:[A-Za-z0-9À-ɏ]+(?:[-'’][A-Za-z0-9À-ɏ]+)*|\d+(?:[.,:]\d+)*%?|[–→…·×±%])[)\"'”,.;:?!]*"
)
"""What means nothing in Markdown: no link, no mention, no emphasis."""
_MARK = re.compile(r"\d+[.)]|GH-\d.*", re.IGNORECASE)
"""Of a list's item; and what GitHub takes for an issue."""


def findings_to_markdown(findings: Sequence[Finding], limit: int = MAX_CHARACTERS) -> str:
    """A project that has errors, so that there is no plan."""
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    head = f"### {plural(errors, 'error')}: no plan\n\n"
    return head + _fitting([_finding(finding) for finding in findings], limit - len(head), "finding")


def plan_to_markdown(
    plan: Plan, findings: Sequence[Finding] = (), missed: Sequence[str] = (), limit: int = MAX_CHARACTERS
) -> str:
    """A plan with its reasons and changes, gates that are not met, and warnings.

    At most ``limit`` characters: changes are left out first, then actions, and each time it says how many.
    """
    head = [f"### Plan for {code(plan.environment)}: {_totals(plan)}"]
    told, costly = remarks(plan), costs.totals(plan)
    head += [""] if missed or told or costly or plan.left else []
    head += [f"- {line}" for line in costly]
    head += [f"- gate missed: {code(words)}" for words in missed[:20]]
    for remark in told:
        listed = [code(ref) for ref in remark.refs[:21]]
        words = code(remark.words) if remark.quotes else remark.words
        hint = f"<br>{code(remark.hint)}" if remark.hint else ""
        head.append(f"- {words}" + (f": {names(listed, 20)}" if listed else "") + hint)
    head += [f"- {code(ref)}: {LEFT}" for ref in plan.left[:20]]
    tail = _warnings(findings, limit // 4)
    text = "\n".join(head) + "\n"
    return text + _actions(plan, limit - len(text) - len(tail)) + tail


def code(text: object) -> str:
    """A code span that holds ``text`` on one line, whatever backticks and bars are in it."""
    flat = plain(text)
    flat = flat if len(flat) <= _LONGEST_VALUE else f"{flat[: _LONGEST_VALUE - 1]}…"
    if not flat.strip():
        return f"<code>{' ' * len(flat)}</code>" if flat else "`(empty)`"
    fence = "`" * (1 + max(map(len, _BACKTICKS.findall(flat)), default=0))
    pad = " " if flat[0] in "` " or flat[-1] in "` " else ""
    return f"{fence}{pad}{flat}{pad}{fence}".replace("|", "\\|")


def prose(text: object) -> str:
    """A sentence on one line: plain words as they are, and each run of others in a code span."""
    flat = plain(text)
    if not flat.strip():
        return code(flat)
    runs = groupby(flat.split(), lambda word: bool(_PLAIN_WORD.fullmatch(word)) and not _MARK.fullmatch(word))
    return " ".join(" ".join(words) if bare else code(" ".join(words)) for bare, words in runs)


def _totals(plan: Plan) -> str:
    if not plan.pending:
        return f"nothing to do, {idle(plan)}"
    return counted(plan)


def _actions(plan: Plan, room: int) -> str:
    if not plan.pending:
        return ""
    head = "\n| | resource | why | job |\n|---|---|---|---|\n"
    rows = _fitting([_row(row) for row in sweeps.arranged(plan.pending)], (room - len(head)) * 2 // 3, "action")
    table = head + rows
    return table + _changes(plan, room - len(table))


def _row(row: Row) -> str:
    action = row.action
    if row.folded:
        return f"| | | {sweeps.folded(row.folded)} | |\n"
    job = ", ".join(filter(None, (asks(action), costs.job(action), costs.saving(action))))
    job = "a small one, nothing is made again" if action.revises else job
    attached = " (under way)" if action.attaches else ""
    why = code(action.reason) + (f"<br>moved from {code(action.moved_from)}" if action.moved_from else "")
    why += f"<br>held back: {code(action.held)}" if action.held else ""
    why += "".join(f"<br>{code(words)}" for words in shown(action))
    job = f"best of {plural(len(action.trials), 'trial')}" if action.chooses and not action.revises else job
    return f"| **{word(action)}** | {'↳ ' if row.below else ''}{code(action.ref)} | {why} | {job}{attached} |\n"


def _changes(plan: Plan, room: int) -> str:
    """Every change of every action, folded; the longest lists give way first when there is no room for all."""
    parts = {action.ref: [_change(change) for change in action.changes] for action in plan.pending if action.changes}
    if not parts:
        return ""
    frame = "\n<details><summary>{}</summary>\n\n{}\n</details>\n"
    count = sum(map(len, parts.values()))
    blocks = {ref: f"{code(ref)}\n{''.join(lines)}\n" for ref, lines in parts.items()}
    room -= len(frame) + 40
    length = sum(map(len, blocks.values()))
    for ref in sorted(blocks, key=lambda ref: (-len(blocks[ref]), ref)):
        if length <= room:
            break
        short = f"{code(ref)}: {plural(len(parts[ref]), 'change')}, too long to show here\n\n"
        length += len(short) - len(blocks[ref])
        blocks[ref] = short
    shown = _fitting(list(blocks.values()), room, "resource")
    return frame.format(plural(count, "change"), shown)


def _change(change: Change) -> str:
    if change.old is None and change.new is None:
        return f"- {code(change.path)}: {change.reason}\n"
    return f"- {code(change.path)}: {code(difference(change, _LONGEST_VALUE // 2))} ({change.reason})\n"


def _warnings(findings: Sequence[Finding], room: int) -> str:
    """Findings of a project that can be planned, folded."""
    if not findings:
        return ""
    frame = "\n<details><summary>{}</summary>\n\n{}\n</details>\n"
    title = plural(len(findings), "finding")
    return frame.format(title, _fitting([_finding(f) for f in findings], room - len(frame) - len(title), "finding"))


def _finding(finding: Finding) -> str:
    who = f" {code(finding.resource)}" if finding.resource and finding.resource.name else ""
    where = f" at {code(finding.position)}" if finding.position else ""
    hint = f"<br>{code(finding.hint)}" if finding.hint else ""
    return f"- {_ICONS[finding.severity]} **{finding.rule}**{who}{where}<br>{code(finding.message)}{hint}\n"


def _fitting(lines: Sequence[str], room: int, noun: str) -> str:
    """As many lines as there is room for, and how many more there are."""
    rest = "\n_… and {} more; the job's log has them all._\n"
    total = sum(map(len, lines))
    if total <= room:
        return "".join(lines)
    room -= len(rest) + 30
    kept: list[str] = []
    for line in lines:
        if len(line) > room:
            break
        room -= len(line)
        kept.append(line)
    return "".join(kept) + rest.format(plural(len(lines) - len(kept), noun))
