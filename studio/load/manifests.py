"""Documents to resources. What does not fit is reported and left out, so that the rest is checked all the same."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from studio.core.findings import Path, Source, format_path
from studio.core.references import Ref
from studio.core.secrets import secret_in
from studio.core.suggest import did_you_mean, nearest
from studio.load.problems import Fault, Problem
from studio.resources import KINDS
from studio.resources.base import API_VERSION, Resource

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A resource, where it came from, and which of its paths were left out because they did not fit."""

    resource: Resource
    source: Source
    damaged: tuple[Path, ...] = ()

    def is_damaged(self, *fields: str) -> bool:
        """Whether one of these fields of the spec, or a part of it, was left out: what it says is not known."""
        return any(path[:2] == ("spec", field) for path in self.damaged for field in fields)


def parse_manifest(document: Any, source: Source) -> tuple[Manifest | None, list[Problem]]:
    """One document as a resource of its kind, with every problem found on the way."""
    problem = _not_a_manifest(document, source)
    if problem:
        return None, [problem]
    kind = document["kind"]
    name = document["metadata"].get("name") if isinstance(document.get("metadata"), dict) else None
    ref = Ref(kind, name if isinstance(name, str) else "")
    filled = document | {part: {} for part in ("metadata", "spec") if document.get(part) is None}
    resource, problems = fit(KINDS[kind].model, filled, source, ref)
    damaged = tuple(path for problem in problems for path in problem.lost)
    return (Manifest(resource, source, damaged) if resource else None), problems


def fit(model: type[M], document: dict[str, Any], source: Source, ref: Ref | None) -> tuple[M | None, list[Problem]]:
    """Validate; when parts do not fit, report them, drop them and validate the rest."""
    try:
        return model.model_validate(document), []
    except ValidationError as error:
        whole = _whole(document, error)
        if whole is not document:
            return fit(model, whole, source, ref)
        problems = _problems(model, document, error, source, ref)
    pruned = {"metadata": {}, "spec": {}} | _without(document, [_dropped(document, p.path) for p in problems])
    problems = _reported(problems)
    try:
        return model.model_validate(pruned), problems
    except ValidationError:
        return None, problems


def _dropped(document: Any, path: Path) -> Path:
    """What must go so that the rest fits: the value at ``path``, or the mapping that lacks it."""
    return path[:-1] if len(path) > 1 and _lacking(document, path) else path


def _lacking(document: Any, path: Path) -> bool:
    """Whether the mapping is there that ``path`` ends in, and its last key is not."""
    for step in path[:-1]:
        document = document[step]
    return isinstance(document, dict) and path[-1] not in document


def _unordered(path: Path) -> Path:
    """The list itself for an item of it: a list that loses an item loses its order."""
    return path[:-1] if path and isinstance(path[-1], int) else path


def _whole(document: Any, error: ValidationError) -> Any:
    """``2.0`` where a whole number is wanted is 2, as JSON Schema has it; the document itself when there is none."""
    for detail in error.errors(include_url=False):
        value = detail["input"]
        if detail["type"] == "int_type" and isinstance(value, float) and value.is_integer():
            document = _replaced(document, _document_path(document, detail["loc"]), int(value))
    return document


def _replaced(document: Any, path: Path, value: Any) -> Any:
    """A copy of ``document`` with ``value`` at ``path``."""
    if not path:
        return value
    held = document.copy()
    held[path[0]] = _replaced(held[path[0]], path[1:], value)
    return held


def _not_a_manifest(document: Any, source: Source) -> Problem | None:
    shape = f"a manifest is a mapping with apiVersion: {API_VERSION}, kind, metadata and spec"
    if not isinstance(document, dict):
        return Problem(Fault.NOT_A_MANIFEST, "the document is not a mapping", shape, source)
    kind = document.get("kind")
    if not isinstance(kind, str):
        return Problem(Fault.NOT_A_MANIFEST, "the document has no kind", shape, source, ("kind",))
    if kind not in KINDS:
        hint = "settings belong in studio.yaml" if kind == "Project" else did_you_mean(kind, KINDS)
        return Problem(Fault.UNKNOWN_KIND, f"the kind {kind!r} is unknown", hint, source, ("kind",))
    if document.get("apiVersion") != API_VERSION:
        found = document.get("apiVersion")
        message = "apiVersion is missing" if found is None else f"apiVersion {_shown(found)} is unknown"
        return Problem(Fault.NOT_A_MANIFEST, message, f"write apiVersion: {API_VERSION}", source, ("apiVersion",))
    return None


def _problems(
    model: type[BaseModel], document: dict[str, Any], error: ValidationError, source: Source, ref: Ref | None
) -> list[Problem]:
    found: dict[Path, Problem] = {}
    for detail in sorted(error.errors(include_url=False), key=_beside_the_point):
        path = _document_path(document, detail["loc"])
        if any(known[: len(path)] == path for known in found):  # a union reports once for each member
            continue
        if detail["type"] == "extra_forbidden":
            known = _known_fields(model, path[:-1])
            message, hint = f"{format_path(path)} is not a field of {model.__name__}", _unknown(path[-1], detail, known)
            meant = (*path[:-1], nearest(str(path[-1]), known) or "")
            lost = (path, meant) if _lacking(document, meant) else (path,)
            found[path] = Problem(
                Fault.UNKNOWN_FIELD, message, hint, source, path, resource=ref, at_key=True, lost=lost
            )  # fmt: skip
        else:
            message = f"{format_path(path)}: {_wanted(detail)}"
            lost = (_unordered(_dropped(document, path)),)
            found[path] = Problem(Fault.WRONG_TYPE, message, _cure(detail), source, path, resource=ref, lost=lost)
    return list(found.values())


def _reported(problems: list[Problem]) -> list[Problem]:
    """Without those about fields that are said to be missing, and are there, misspelt."""
    misspelt = {path for problem in problems if problem.fault is Fault.UNKNOWN_FIELD for path in problem.lost}
    return [problem for problem in problems if problem.at_key or problem.path not in misspelt]


def _unknown(key: str | int, detail: Any, known: list[str]) -> str:
    """What to do about a field that does not exist."""
    what = secret_in(detail["input"]) if isinstance(detail["input"], str) else ""
    if what:
        return f"this looks like {what}: revoke it, and remove the field"
    if key == "<<":
        return "YAML 1.2 has no merge keys: write the fields out"
    return did_you_mean(str(key), known)


def _cure(detail: Any) -> str:
    """What to do about a value that does not fit, as far as the value shows it."""
    value, kind = detail["input"], detail["type"]
    if kind == "missing":
        return f"add {detail['loc'][-1]} to it"
    if kind == "model_type" and detail["ctx"]["class_name"] == "SecretName":
        return "write {env: NAME}, with the variable that holds it; revoke a secret that was written here"
    if kind == "string_type" and isinstance(value, dict) and list(value.values()) == [None]:
        return f'text that begins with a brace needs quotes: "{{{next(iter(value))}}}"'
    if isinstance(value, str):
        number = _WHOLE.match(value) if kind == "int_type" else _NUMBER.match(value) if kind == "float_type" else None
        if number:
            return _as_number(value, *number.groups())
        if kind == "tuple_type" and _WORD.match(value):
            return f"write [{value}]"
        if kind == "bool_type" and value.lower() in _YAML_1_1:
            return f"{value!r} is text; write {_YAML_1_1[value.lower()]}"
    return f"found {_shown(value)}"


def _beside_the_point(detail: Any) -> bool:
    """Whether a member of a union complains of a value that is plainly meant for another member."""
    return detail["type"] == "string_type" and isinstance(detail["input"], dict | list)


def _document_path(document: Any, location: tuple[str | int, ...]) -> Path:
    """Pydantic's location without the names of union members, which are not in the document.

    A key that is not text, such as null, is in the location as its text, followed by "[key]" below the top level.
    """
    path: list[str | int] = []
    here = document
    location = location[:-1] if location[-1:] == ("[key]",) else location
    for index, step in enumerate(location):
        last = index == len(location) - 1
        if isinstance(here, dict) and step not in here:
            step = next((key for key in here if not isinstance(key, str) and str(key) == step), step)
        if isinstance(here, dict) and (step in here or last):
            here = here.get(step)
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            continue
        path.append(step)
    return tuple(path)


def _known_fields(model: type[BaseModel], path: Path) -> list[str]:
    named = False  # whether the next step is a name that the manifest chose, not a field
    for step in path:
        if isinstance(step, int) or named:
            named = False
            continue
        info = model.model_fields.get(str(step))
        inner = next(_models(info.annotation), None) if info else None
        if info is None or inner is None:
            return []
        model, named = inner, get_origin(info.annotation) is dict
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)


_WHOLE = re.compile(r"([0-9][0-9_]{,30})\s*([A-Za-z]{,9})\Z", re.ASCII)
_NUMBER = re.compile(r"([0-9][0-9_]{,30}(?:\.[0-9]{1,30})?)\s*([A-Za-z]{,9}|%)\Z", re.ASCII)
"""Numbers in quotes, with a unit, or as only YAML 1.1 reads them."""
_WORD = re.compile(r"[\w.-]{1,60}\Z")
_YAML_1_1 = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}

_WANTED = {
    "string_type": "must be text; quote it",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "missing": "is missing",
    "invalid_key": "a key must be text; quote it",
    "finite_number": "must be a finite number",
}


def _wanted(detail: Any) -> str:
    if detail["type"] == "string_type" and isinstance(detail["input"], list | dict):
        return "must be text"
    return _WANTED.get(detail["type"]) or str(detail["msg"]).removeprefix("Input ")


def _as_number(value: str, digits: str, unit: str) -> str:
    """The number that a text was meant to be."""
    plain = digits.replace("_", "").lstrip("0") or "0"
    plain = f"0{plain}" if plain.startswith(".") else plain
    plain = f"{float(plain) / 100:g}" if unit == "%" else plain
    return f"write {plain} without quotes" if plain == value else f"found {value!r}; write {plain}"


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _without(document: Any, paths: list[Path]) -> Any:
    """A copy of ``document`` without the values at ``paths``."""
    here = {path[0] for path in paths if len(path) == 1}
    below = {
        step: [path[1:] for path in paths if len(path) > 1 and path[0] == step] for step in {p[0] for p in paths if p}
    }
    if isinstance(document, dict):
        return {k: _without(v, below.get(k, [])) for k, v in document.items() if k not in here}
    if isinstance(document, list):
        return [_without(v, below.get(i, [])) for i, v in enumerate(document) if i not in here]
    return document
