"""The page: two tables and a line. Whatever comes from the project is text, never markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

REFRESH_SECONDS = 15
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1d2733}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0 2rem}"
    "th,td{text-align:left;padding:.35rem .75rem;border-bottom:1px solid #dfe4ea;vertical-align:top}"
    ".fault{background:#fdecea;padding:.75rem 1rem}"
)


def page(name: str, content: dict[str, Any]) -> str:
    """The whole document."""
    parts = [
        f'<p class="fault" role="alert">{escape(content["fault"])}</p>' if content["fault"] else "",
        _followed(content["sync"]),
        "<h2>Resources</h2>",
        _table(("resource", "state", ""), (_standing(each) for each in content["status"])),
        "<h2>History</h2>",
        _table(("started", "command", "by", "commit", "outcome"), (_operation(each) for each in content["history"])),
        '<p>The same as data: <a href="status.json">status</a>, <a href="history.json">history</a></p>',
    ]
    title = escape(f"{name}, environment {content['environment']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}"><style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1>{''.join(parts)}</body></html>"
    )


def _followed(sync: Any) -> str:
    if not isinstance(sync, dict):
        return "<p>The branch was not followed yet.</p>"
    applied = _short(sync.get("applied")) or "nothing yet"
    words = f"{sync.get('remote')}/{sync.get('ref')}: seen {_short(sync.get('seen'))}, applied {applied}"
    return f"<p>{escape(words)}, {escape(str(sync.get('updated_at')))}</p>"


def _standing(each: dict[str, Any]) -> Sequence[object]:
    return each["resource"], each["state"], each["headline"]


def _operation(each: dict[str, Any]) -> Sequence[object]:
    return each["started_at"], each["command"], each["actor"], _short(each["commit"]), each["outcome"]


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{_cells('th', heads)}</tr></thead><tbody>{body}</tbody></table>"


def _cells(kind: str, row: Sequence[object]) -> str:
    return "".join(f"<{kind}>{escape(str(cell or ''))}</{kind}>" for cell in row)


def _short(commit: object) -> str:
    return str(commit or "")[:12]
