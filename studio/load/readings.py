"""Manifest files as they were read: once, however many environments look at what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.core.findings import Position, Source
from studio.load import documents, files
from studio.load.comments import secrets_in_comments
from studio.load.manifests import Manifest, parse_manifest
from studio.load.nodes import YamlFault
from studio.load.problems import Fault, Problem

Parsed = tuple[Manifest | None, list[Problem]]


@dataclass(slots=True)
class Reading:
    """What one file says, before patches and variables. ``text`` is None when it cannot be read, ``documents`` when it
    is no YAML."""

    problems: list[Problem]
    text: str | None = None
    documents: list[tuple[int, Any]] | None = None
    _parsed: dict[Source, Parsed] = field(default_factory=dict)

    def parse(self, document: Any, source: Source) -> Parsed:
        """``parse_manifest`` of a document that is as the file says it."""
        if source not in self._parsed:
            self._parsed[source] = parse_manifest(document, source)
        return self._parsed[source]


@dataclass(slots=True)
class Readings:
    """The files of one run; only what is ``lasting`` is kept for another look."""

    lasting: bool = False
    _kept: dict[str, Reading] = field(default_factory=dict)

    def of(self, root: Path, name: str) -> Reading:
        found = self._kept.get(name)
        if found is None:
            found = _read(root, name)
            if self.lasting:
                self._kept[name] = found
        return found


def _read(root: Path, name: str) -> Reading:
    text = files.read_text(root, name)
    if isinstance(text, Problem):
        return Reading([text])
    problems = secrets_in_comments(text, name)
    try:
        content = documents.parse(text)
    except YamlFault as fault:
        return Reading([*problems, yaml_problem(fault, Source(name))], text)
    real = [(index, document) for index, document in enumerate(content) if document is not None]
    if not real:
        hint = "delete it, or write a manifest into it"
        problems.append(Problem(Fault.NO_MANIFEST, "the file holds no manifest", hint, Source(name)))
    return Reading(problems, text, real)


def yaml_problem(fault: YamlFault, source: Source) -> Problem:
    kind = Fault.LIMIT if fault.limit else Fault.DUPLICATE_KEY if fault.duplicate else Fault.SYNTAX
    hints = {
        Fault.LIMIT: "split the document, or write the values out",
        Fault.DUPLICATE_KEY: "remove one of them: which one wins is not defined",
        Fault.SYNTAX: fault.hint,
    }
    return Problem(kind, fault.message, hints[kind], source, position=Position(source.file, fault.line, fault.column))
