"""Lists as the API gives them: filtered by ``search_filter``, sorted, a page at a time."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.fakes.workspace.facts import MODELS, Record
from tests.fakes.workspace.refusal import Refusal

PAGE_SIZE = 10
"""How many a page holds when the client does not say."""


def listed(answer: str, found: Iterable[Record], query: Mapping[str, str], substring: bool, **more: Any) -> Record:
    """A page of what a list method returns. ``answer`` is the name of the response's model."""
    field, type = next((name, type) for name, type in MODELS[answer].items() if type.startswith("list["))
    model = type[5:-1]
    kept = [each for each in found if _matches(each, _filter(query, model), substring)]
    kept = _sorted(kept, query.get("sort", ""), model)
    start, size = _start(query.get("page_token", "")), _size(query.get("page_size", ""))
    token = _token(start + size) if start + size < len(kept) else ""
    return {field: kept[start : start + size], "next_page_token": token, **more}


def _filter(query: Mapping[str, str], model: str) -> dict[str, Any]:
    text = query.get("search_filter", "")
    try:
        wanted = json.loads(text) if text else {}
    except ValueError as error:
        raise Refusal(400, f"invalid search filter: {error}") from None
    if not isinstance(wanted, dict):
        raise Refusal(400, "invalid search filter: not an object")
    for name in wanted:
        if name not in MODELS[model]:
            raise Refusal(400, f"invalid search filter: {name} is not supported")
    return wanted


def _matches(each: Record, wanted: Mapping[str, Any], substring: bool) -> bool:
    for name, value in wanted.items():
        held, asked = _text(each[name]), _text(value)
        if not (asked.lower() in held.lower() if substring else asked == held):
            return False
    return True


def _text(value: Any) -> str:
    if isinstance(value, dict):  # a user, a project
        return str(value.get("username") or value.get("public_identifier") or "")
    return "" if value is None else str(value)


def _sorted(found: list[Record], sort: str, model: str) -> list[Record]:
    name = sort.lstrip("+- ")  # a plus sign that nobody quoted is a space
    if not name:
        return found
    if name not in MODELS[model]:
        raise Refusal(400, f"cannot sort by {name}")
    return sorted(found, key=lambda each: (each[name] is not None, each[name] or ""), reverse=sort.startswith("-"))


def _size(text: str) -> int:
    if not text or text == "0":
        return PAGE_SIZE
    if not text.isascii() or not text.isdigit():
        raise Refusal(400, f'type mismatch, parameter: page_size, error: strconv.ParseInt: parsing "{text}"')
    return int(text)


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(f"from {start}".encode()).decode()


def _start(token: str) -> int:
    if not token:
        return 0
    try:
        word, number = base64.urlsafe_b64decode(token).decode().split(" ")
        assert word == "from"
        return int(number)
    except (ValueError, AssertionError):
        raise Refusal(400, "invalid page token") from None
