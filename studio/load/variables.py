"""Variables: declared in studio.yaml, set by an environment or by hand, named in manifests and patches.

A reference is written ``${var.name}``. As the whole value it takes the variable's type, within a text it becomes text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from studio.core.errors import UsageError
from studio.core.findings import Finding, Path, Source
from studio.core.references import Ref
from studio.core.secrets import secret_in
from studio.core.suggest import did_you_mean
from studio.load.problems import Fault, Problem
from studio.load.scalars import resolve
from studio.load.settings import Environment, ProjectSpec, Scalar

MARK = "${var."
REFERENCE = re.compile(r"(\$?)\$\{var\.(?:([^{}\n]*)\})?")
"""A reference; a second ``$`` before it makes it plain text. Without a name it was never closed."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
IDENTITY = ("metadata", "name")
MAX_ADDED = 1_000_000
"""Characters that variables may add to a document: a long value, named a thousand times, would fill the memory."""
_LOST: Any = object()
"""Stands for a value that a faulty reference was to make."""


class VariableError(UsageError):
    """A value that a variable cannot have."""


@dataclass(slots=True)
class Variables:
    """What is declared, and what has a value in an environment. ``used`` fills as manifests are read."""

    environment: str = ""
    declared: frozenset[str] = frozenset()
    values: Mapping[str, Scalar] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


def variables(spec: ProjectSpec, environment: str, chosen: Environment | None) -> Variables:
    """What holds in an environment: its own values over the defaults."""
    defaults = {name: each.default for name, each in spec.variables.items() if each.default is not None}
    own = {name: value for name, value in (chosen.variables if chosen else {}).items() if name in spec.variables}
    return Variables(environment, frozenset(spec.variables), {**defaults, **own})


def set_by_hand(known: Variables, spec: ProjectSpec, given: Mapping[str, str]) -> Variables:
    """The same with values from the command line over all others. Raises VariableError for what cannot be set."""
    values = dict(known.values)
    for name, text in given.items():
        if name not in known.declared:
            hint = did_you_mean(name, known.declared) if known.declared else "declare it: spec.variables in studio.yaml"
            raise VariableError(f"--var {name}: studio.yaml declares no such variable", hint)
        if secret_in(text):
            hint = "a secret is always the name of an environment variable, never a value"
            raise VariableError(f"--var {name}: this looks like {secret_in(text)}", hint)
        values[name] = _typed(name, text, spec.variables[name].default)
    return replace(known, values=values)


def _typed(name: str, text: str, default: Scalar | None) -> Scalar:
    """The value that a text on the command line means, as the default's type has it."""
    if isinstance(default, str):
        return text
    value = resolve(text)
    if default is None:
        return text if value is None else value
    if value is None or not fits(value, default):
        hint = f"write {kind(default)}, such as {spelled(default)}"
        raise VariableError(f"--var {name}: {text!r} is not {kind(default)}, as the default is", hint)
    return value


def fits(value: Scalar, default: Scalar) -> bool:
    """Whether a value is of its default's type; a whole number is a number too."""
    return type(value) is type(default) or (type(value) is int and type(default) is float)


def kind(value: Scalar) -> str:
    """A value's type in words."""
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[type(value)]


def spelled(value: Scalar) -> str:
    """A value as YAML and JSON write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def mentioned(value: Any) -> Iterator[str]:
    """The names of all references in a value."""
    pending = [value]
    for held in pending:  # which grows meanwhile
        if isinstance(held, str) and MARK in held:
            yield from (found[2] for found in REFERENCE.finditer(held) if found[2] and not found[1])
        elif isinstance(held, dict):
            pending += held.values()
        elif isinstance(held, list | tuple):
            pending += held


@dataclass(slots=True)
class Substitution:
    """One document with its references replaced. ``told`` says which variables made the value at a path."""

    variables: Variables
    source: Source
    ref: Ref | None
    problems: list[Problem] = field(default_factory=list)
    told: dict[Path, str] = field(default_factory=dict)
    added: int = 0

    @property
    def lost(self) -> tuple[Path, ...]:
        return tuple(path for problem in self.problems for path in problem.lost)

    def value(self, held: Any, path: Path) -> Any:
        """``held`` with its references replaced; a list that loses an item is lost, for it would lose its order."""
        match held:
            case str():
                return self._text(held, path) if MARK in held else held
            case dict():
                made = {key: self.value(inner, (*path, key)) for key, inner in held.items()}
                return {key: inner for key, inner in made.items() if inner is not _LOST}
            case list():
                items = [self.value(inner, (*path, index)) for index, inner in enumerate(held)]
                return _LOST if any(item is _LOST for item in items) else items
        return held

    def _text(self, text: str, path: Path) -> Any:
        found = [each for each in REFERENCE.finditer(text) if not each[1]]
        faulty = [self._is_faulty(each[2], path) for each in found]
        if any(faulty):
            return _LOST
        values = self.variables.values
        self.told[path] = ", ".join(dict.fromkeys(f"{each[0]} is {_shown(values[each[2]])}" for each in found))
        if len(found) == 1 and found[0][0] == text:
            return values[found[0][2]]
        made = REFERENCE.sub(lambda each: each[0][1:] if each[1] else spelled(values[each[2]]), text)
        self.added += len(made) - len(text)
        if self.added > MAX_ADDED:
            words = f"variables add more than {MAX_ADDED:,} characters to the document"
            return self._fault(Fault.LIMIT, path, words, "write the text out, once")
        return made

    def _is_faulty(self, name: str | None, path: Path) -> bool:
        """Note a variable as used; report what is wrong with a reference."""
        known = self.variables
        if name is None or not NAME.match(name):
            hint = "write ${var.name}, or $${var. for the characters themselves"
            self._fault(Fault.VARIABLE_REFERENCE, path, "${var. begins a reference that names no variable", hint)
        elif path == IDENTITY:
            message = "the name says what a resource is, and cannot depend on a variable"
            self._fault(Fault.VARIABLE_REFERENCE, path, message, "write the name out")
        elif name not in known.declared:
            hint = did_you_mean(name, known.declared) if known.declared else "declare it: spec.variables in studio.yaml"
            self._fault(Fault.UNKNOWN_VARIABLE, path, f"studio.yaml declares no variable {name!r}", hint)
        elif name not in known.values:
            known.used.add(name)
            hint = f"give it a default, set it in the environment, or pass --var {name}=VALUE"
            message = f"the variable {name!r} has no value in environment {known.environment!r}"
            self._fault(Fault.VARIABLE_WITHOUT_VALUE, path, message, hint)
        else:
            known.used.add(name)
            return False
        return True

    def _fault(self, fault: Fault, path: Path, message: str, hint: str) -> Any:
        lost = path[: next((index for index, step in enumerate(path) if isinstance(step, int)), len(path))]
        self.problems.append(Problem(fault, message, hint, self.source, path, resource=self.ref, lost=(lost,)))
        return _LOST


def substituted(document: Any, known: Variables, source: Source) -> tuple[Any, Substitution]:
    """A document without references. Its kind and version say how to read it, and are taken as they are."""
    if not isinstance(document, dict):
        return document, Substitution(known, source, None)
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    about = Ref(str(document.get("kind", "")), name if isinstance(name, str) and MARK not in name else "")
    work = Substitution(known, source, about)
    fixed = {key: document[key] for key in ("apiVersion", "kind") if key in document}
    return work.value({key: held for key, held in document.items() if key not in fixed}, ()) | fixed, work


def explained(finding: Finding, told: Mapping[Source, Mapping[Path, str]]) -> Finding:
    """The finding with the value of the variable that made what is wrong."""
    words = told.get(finding.source, {}).get(finding.path, "") if finding.source and told else ""
    return replace(finding, message=f"{finding.message} ({words})") if words else finding


def _shown(value: Scalar) -> str:
    text = repr(value) if isinstance(value, str) else spelled(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
