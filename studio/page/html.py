"""The page of the application: two tables and a line."""

from __future__ import annotations

from typing import Any

from studio.report.html.markup import Markup, tag
from studio.report.html.markup import page as whole
from studio.report.html.writer import table
from studio.report.pages.document import Cell, Table, Words, moment
from studio.report.pages.provenance import TONES, digest

REFRESH_SECONDS = 15


def page(name: str, content: dict[str, Any]) -> str:
    """The whole document."""
    fault = content["fault"]
    standings = Table(("resource", "state", ""), [_standing(each) for each in content["status"]])
    heads = ("started", "command", "by", "commit", "outcome")
    operations = Table(heads, [_operation(each) for each in content["history"]])
    return whole(
        f"{name}, environment {content['environment']}",
        tag("header", tag("h1", name), tag("p", f"environment {content['environment']}", class_="description")),
        tag("p", fault, class_="message bad section", role="alert") if fault else None,
        tag("p", _followed(content["sync"]), class_="section"),
        tag("section", tag("h2", "Resources"), table(standings), class_="section"),
        tag("section", tag("h2", "History"), table(operations), class_="section"),
        tag("footer", "The same as data: ", _link("status.json", "status"), ", ", _link("history.json", "history")),
        refresh=REFRESH_SECONDS,
    )


def _followed(sync: Any) -> str:
    if not isinstance(sync, dict):
        return "The branch was not followed yet."
    seen, applied = (digest(sync.get(name), "").text for name in ("seen", "applied"))
    words = f"{sync.get('remote')}/{sync.get('ref')}: seen {seen}, applied {applied or 'nothing yet'}"
    return f"{words}, {sync.get('updated_at')}"


def _standing(each: dict[str, Any]) -> tuple[Cell, ...]:
    return each["resource"], Words(each["state"], TONES.get(each["state"], "busy")), each["headline"]


def _operation(each: dict[str, Any]) -> tuple[Cell, ...]:
    commit = digest(each["commit"], "") if each["commit"] else ""
    return moment(str(each["started_at"])), each["command"], each["actor"], commit, each["outcome"]


def _link(address: str, words: str) -> Markup:
    return tag("a", words, href=address)
