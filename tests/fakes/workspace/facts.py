"""What the API looks like: its methods, paths and fields, read from the facts file and checked against."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

FACTS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "cml-api-v2.json").read_text("utf-8"))
MODELS: dict[str, dict[str, Any]] = FACTS["models"]
Record = dict[str, Any]

ZERO: dict[str, Any] = {"str": "", "int": 0, "float": 0.0, "bool": False, "datetime": None}
PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "datetime": (str,)
}  # fmt: skip
NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the API. ``pattern`` matches a path as it was sent, still quoted."""

    name: str
    verb: str
    pattern: re.Pattern[str]
    body: str
    query: tuple[str, ...]
    returns: str

    def ids(self, path: str) -> dict[str, str] | None:
        """The parts of a path that have names; None when the path is not this method's."""
        found = self.pattern.fullmatch(path)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None


def _method(name: str, facts: Mapping[str, Any]) -> Method:
    verb, path = facts["http"].split(" ")
    steps = re.sub(r"\{([\w.]+)\}", _step, path)
    return Method(name, verb, re.compile(steps), facts.get("body", ""), tuple(facts.get("query", ())),
                  facts.get("returns", ""))  # fmt: skip


def _step(found: re.Match[str]) -> str:
    name = found[1].replace(".", "_")
    return f"(?P<{name}>.*)" if name == "path" else f"(?P<{name}>[^/:]+)"


METHODS = {name: _method(name, facts) for name, facts in FACTS["methods"].items()}


def find(verb: str, path: str) -> tuple[Method, dict[str, str]] | None:
    """The method behind a request, and the ids in its path."""
    for method in METHODS.values():
        ids = method.ids(path) if method.verb == verb else None
        if ids is not None:
            return method, ids
    return None


def numbers(model: str, values: Record) -> Record:
    """A body with numbers where its fields want numbers."""
    made: dict[str, type] = {"int": int, "float": float}
    types = MODELS[model]
    return {
        name: made[types[name]](value) if types[name] in made and isinstance(value, str) else value
        for name, value in values.items()
    }


def record(model: str, **values: Any) -> Record:
    """All fields of a model, as the gateway sends them: what is not given has its type's zero."""
    unknown = set(values) - set(MODELS[model])
    assert not unknown, f"{model} has no {sorted(unknown)}"
    return {name: _zero(type) for name, type in MODELS[model].items()} | values


def _zero(type: str) -> Any:
    if type.startswith("list["):
        return []
    if type.startswith("dict("):
        return {}
    if type in MODELS:
        return MODELS[type].get("enum", [None])[0]
    return ZERO[type]


def fault(model: str, values: Any) -> str:
    """What is wrong with a body: an unknown field, or a value of another type. "" for nothing."""
    if not isinstance(values, dict):
        return f"json: cannot unmarshal {json.dumps(values)} into Go value of type {model}"
    for name, value in values.items():
        if name not in MODELS[model]:
            return f'json: unknown field "{name}"'
        if value is not None and (found := _wrong(MODELS[model][name], value)):
            return f'json: {found} for field "{name}"'
    return ""


def _wrong(type: str, value: Any) -> str:
    if type.startswith("list["):
        wrong = not isinstance(value, list)
        return "not a list" if wrong else next(filter(None, (_wrong(type[5:-1], each) for each in value)), "")
    if type.startswith("dict("):
        right = isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
        return "" if right else "not a map of strings"
    if type in MODELS:
        names = MODELS[type].get("enum")
        return fault(type, value) if names is None else "" if value in names else f"unknown name {value!r}"
    if type in ("int", "float") and isinstance(value, str) and NUMBER.fullmatch(value):
        return ""  # the gateway reads numbers from strings, too
    odd = isinstance(value, bool) and type != "bool"
    return f"{json.dumps(value)} is no {type}" if odd or not isinstance(value, PLAIN[type]) else ""
