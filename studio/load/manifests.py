"""Documents to resources. What does not fit is reported and left out, so that the rest is checked all the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from studio.core.findings import Path, Source, format_path
from studio.core.references import Ref
from studio.core.suggest import did_you_mean
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
    damaged = tuple(p.path[:-1] if isinstance(p.path[-1], int) else p.path for p in problems)  # lists lose their order
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
    pruned = {"metadata": {}, "spec": {}} | _without(document, [p.path for p in problems])
    try:
        return model.model_validate(pruned), problems
    except ValidationError:
        return None, problems


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
        message = "apiVersion is missing" if found is None else f"apiVersion {found!r} is unknown"
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
            message, hint = (
                f"{format_path(path)} is not a field of {model.__name__}",
                did_you_mean(str(path[-1]), known),
            )
            found[path] = Problem(Fault.UNKNOWN_FIELD, message, hint, source, path, resource=ref, at_key=True)
        else:
            message = f"{format_path(path)}: {_wanted(detail)}"
            hint = f"found {_shown(detail['input'])}"
            found[path] = Problem(Fault.WRONG_TYPE, message, hint, source, path, resource=ref)
    return list(found.values())


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
    for step in path:
        if isinstance(step, int):
            continue
        info = model.model_fields.get(str(step))
        inner = next(_models(info.annotation), None) if info else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)


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


def _shown(value: Any) -> str:
    text = repr(value)
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
