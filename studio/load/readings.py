"""Manifest files as they were read: once, however many environments look at what they say, and for later runs.

What a file says is told again without being read while everything that ``os.lstat`` says of it is as it was.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from studio.core.findings import Position, Source
from studio.load import cache, documents, files
from studio.load.cache import Place
from studio.load.comments import secrets_in_comments
from studio.load.manifests import Manifest, parse_manifest
from studio.load.nodes import YamlFault
from studio.load.problems import Fault, Problem
from studio.load.variables import MARK
from studio.load.witness import Witness, identity, note

FORMAT = 1
"""Of what is kept of a file."""
Parsed = tuple[Manifest | None, list[Problem]]


@dataclass(slots=True)
class Reading:
    """What one file says, before patches and variables. ``text`` is None when it cannot be read, ``documents`` when it
    is no YAML."""

    problems: list[Problem]
    text: str | None = None
    documents: list[tuple[int, Any]] | None = None
    recalled: bool = False
    """Whether it comes from an earlier run; the text is then left out."""
    _parsed: dict[Source, Parsed] = field(default_factory=dict)

    def parse(self, document: Any, source: Source) -> Parsed:
        """``parse_manifest`` of a document that is as the file says it."""
        if source not in self._parsed:
            self._parsed[source] = parse_manifest(document, source)
        return self._parsed[source]


@dataclass(slots=True)
class Readings:
    """The files of one run; only what is ``lasting`` is kept for another look, and at ``place`` for another run."""

    lasting: bool = False
    place: Place | None = None
    _kept: dict[str, Reading] = field(default_factory=dict)
    _known: dict[str, tuple[str, list[Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            content = self.place.read() if self.place else None
            self._known = {name: (was, list(said)) for name, was, said in content["files"]} if content else {}
        except cache.DAMAGED:
            self._known = {}

    def of(self, root: Path, name: str) -> Reading:
        found = self._kept.get(name)
        if found is None:
            found = self._recalled(root, name) or _read(root, name)
            if self.lasting:
                self._kept[name] = found
        return found

    def _recalled(self, root: Path, name: str) -> Reading | None:
        """The file as an earlier run read it, when it is the same file, no link, and unchanged."""
        was, said = self._known.get(name, ("", []))
        if not was:
            return None
        path = f"{root}/{name}"
        try:
            status = os.lstat(path)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode) or identity(status) != was:
            return None
        note(path, status)
        return Reading([], "", [(index, document) for index, document in said], recalled=True)

    def keep(self, root: Path, witness: Witness) -> None:
        """Leave to later runs what is plain, when ``witness`` saw nothing change; unless all of it is there already."""
        if self.place is None or witness.doubt:
            return
        known = [name for name, reading in self._kept.items() if reading.recalled]
        read = self._kept.keys() - known
        new = [name for name in read if _is_plain(self._kept[name]) and not os.path.islink(f"{root}/{name}")]
        if new:
            named = sorted((*known, *new))
            files = [[name, witness.looks[f"{root}/{name}"], self._kept[name].documents] for name in named]
            self.place.write({"files": files})


def place(root: Path, environ: Mapping[str, str]) -> Place | None:
    """Where the documents of a project outlive a run, see ``cache.place``; another parser asks another question."""
    code = Witness().testimony(cache.code(), ())
    return cache.place("manifests", root, environ, FORMAT, code, metadata.version("ryaml"))


def _is_plain(reading: Reading) -> bool:
    """Whether JSON gives a file's documents back as they are, and nothing else about the file matters."""
    if reading.problems or not reading.documents or MARK in (reading.text or ""):
        return False
    documents = [document for _, document in reading.documents]
    try:
        return bool(json.loads(json.dumps(documents)) == documents)
    except (TypeError, ValueError, RecursionError):
        return False


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
