"""The pages of the rules: for people, in Markdown and text, and for machines, as JSON."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio.rules.base import Rule

JSON_VERSION = 1
WIDTH = 100
"""Of text for a terminal, as in the help of the commands."""
DOMAINS = {
    "MF": "Text of manifests",
    "REF": "References",
    "SEC": "Security",
    "PJ": "Project settings",
    "DS": "Data sets",
    "MD": "Models",
    "AD": "Adapters",
    "PR": "Prompts",
    "CF": "Configs",
    "FT": "Fine-tuning jobs",
    "EV": "Evaluation jobs",
    "EX": "Exports",
}
"""Prefix of a rule's id to what its rules are about, in the order of the index."""
PHASES = {
    "static": "needs the files only",
    "online": "needs the network: `--online`",
}


def subject(rule: Rule) -> str:
    """The kind that a rule looks at; the whole project is of kind Project."""
    return rule.subject.__name__ if rule.subject else "Project"


def domain(rule: Rule) -> str:
    """The prefix of a rule's id."""
    return rule.id.partition("-")[0]


def unwrapped(text: str) -> str:
    """A docstring's paragraphs as Markdown, one line each."""
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return "\n\n".join(paragraphs).replace("``", "`")


def title(rule: Rule) -> str:
    return unwrapped(rule.page.title)


def rule_markdown(rule: Rule) -> str:
    """A rule's page."""
    page = rule.page
    facts = f"**{rule.severity.value}** · {subject(rule)} · {rule.phase.value}: {PHASES[rule.phase.value]}"
    parts = [f"# {rule.id}: {title(rule).removesuffix('.')}", facts, unwrapped(page.why)]
    parts += ["Bad:", f"```yaml\n{page.bad}\n```", "Good:", f"```yaml\n{page.good}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def index_markdown(rules: Iterable[Rule]) -> str:
    """The table of all rules, by domain; each row leads to the rule's page."""
    listed = list(rules)
    parts = ["# Rules", "What `studio validate` checks. `studio explain ID` prints a page."]
    for prefix, words in DOMAINS.items():
        rows = [
            f"| [{rule.id}]({rule.id}.md) | {rule.severity.value} | {rule.phase.value} | {subject(rule)} "
            f"| {_cell(title(rule))} |"
            for rule in listed
            if domain(rule) == prefix
        ]
        table = ["| id | severity | phase | kind | fault |", "|---|---|---|---|---|", *rows]
        parts += [f"## {prefix}: {words}", "\n".join(table)]
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def rule_text(rule: Rule) -> str:
    """A rule's page for a terminal."""
    page = rule.page
    why = unwrapped(page.why).replace("`", "").split("\n\n")
    parts = [
        f"{rule.id}  {title(rule)}",
        f"{rule.severity.value}, {subject(rule)}, {rule.phase.value} ({PHASES[rule.phase.value].replace('`', '')})",
        *(textwrap.fill(paragraph, WIDTH) for paragraph in why),
        "Bad:\n" + _indented(page.bad),
        "Good:\n" + _indented(page.good),
    ]
    return "\n\n".join(part for part in parts if part)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def list_text(rules: Iterable[Rule]) -> str:
    """One line for each rule."""
    return "\n".join(
        f"{rule.id:8}{rule.severity.value:9}{rule.phase.value:10}{subject(rule):15}{title(rule)}" for rule in rules
    )


def to_json(rule: Rule) -> dict[str, Any]:
    """A rule for machines."""
    page = rule.page
    return {
        "id": rule.id,
        "name": rule.name,
        "severity": rule.severity.value,
        "phase": rule.phase.value,
        "kind": subject(rule),
        "title": title(rule),
        "why": unwrapped(page.why),
        "bad": page.bad,
        "good": page.good,
    }
