"""What a check of a project found, kept for the next run, which needs only ask whether anything has changed since.

Verdicts live in the user's cache folder, never in the project: a pull request cannot commit one that hides findings.
A kept verdict holds only together with everything that the run looked at. Any doubt, any fault: no verdict, and the
project is checked again.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import studio
from studio.core.findings import Finding, Position, Severity, Source
from studio.core.references import Ref
from studio.load.witness import Witness, seen

FORMAT = 1
FOLDER = "fine-tuning-studio/verdicts"
MAX_BYTES = 128 << 20
"""Of one verdict; that of 100,000 manifests takes about 25 MiB."""
MAX_KEPT, MAX_AGE = 64, 30 * 86_400
"""Verdicts, and seconds; what is beyond is removed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A checked project, as far as a report may tell of it. ``resources`` holds the file of each manifest."""

    findings: list[Finding]
    resources: Mapping[Ref, str]
    files: int

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity is Severity.ERROR]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The place of the verdict on one project in one environment."""

    file: Path
    question: list[str | int | None]

    def recall(self, witness: Witness | None = None) -> Verdict | None:
        """The verdict kept here, when nothing that it rests on has changed.

        Of what ``witness`` has looked at, its look counts: the verdict is then on exactly what this run has read.
        """
        seen_before = witness or Witness()
        try:
            content = None if seen_before.doubt else _read(self.file)
            if content is None or content["question"] != self.question:
                return None
            if seen_before.testimony(content["looks"], content["ways"]) != content["testimony"]:
                return None
            return _verdict(content["verdict"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def keep(self, verdict: Verdict, witness: Witness) -> None:
        """Best effort: where nothing may be written, nothing is kept."""
        for path in _code():
            witness.saw(path, seen(path))
        if witness.doubt:
            return
        content = {
            "question": self.question,
            "looks": list(witness.looks),
            "ways": list(witness.ways),
            "testimony": witness.testimony(witness.looks, witness.ways),
            "verdict": _plain(verdict),
        }
        try:
            self.file.parent.mkdir(0o700, parents=True, exist_ok=True)
            _write(self.file, json.dumps(content, separators=(",", ":")).encode())
            _clear(self.file.parent)
        except OSError:
            return


def shelf(root: Path, environment: str | None, environ: Mapping[str, str]) -> Shelf | None:
    """Where the verdict belongs; None when there is no folder for it that is the user's own and outside the project.

    ``environment`` is None for a check of all of them.
    """
    base = Path(environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else ""))
    if not base.is_absolute():  # as the specification of these folders demands
        return None
    folder = base.resolve() / FOLDER
    if folder.is_relative_to(root):
        return None
    asked: list[str | int | None] = [FORMAT, studio.__version__, sys.version, str(root), environment, os.geteuid()]
    return Shelf(folder / f"{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]}.json", asked)


def _code() -> Iterator[str]:
    """The files of the code that came to this verdict: studio's own, and every module that is loaded."""
    package = str(Path(studio.__file__).parent)
    for folder, names, found in os.walk(package):
        names[:] = [name for name in names if name != "__pycache__"]
        yield folder
        yield from (f"{folder}/{name}" for name in found)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and not file.startswith(package):
            yield file


def _read(file: Path) -> dict[str, Any] | None:
    """A kept file's content; None when it is damaged, or could have been written by somebody else."""
    with file.open("rb") as stream:
        status = os.fstat(stream.fileno())
        shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if shared or status.st_uid != os.geteuid() or status.st_size > MAX_BYTES:
            return None
        told, _, body = stream.read(MAX_BYTES).partition(b"\n")
    found = json.loads(body) if told == _checksum(body) else None
    return found if isinstance(found, dict) else None


def _write(file: Path, body: bytes) -> None:
    """Renamed into place, so that two runs at once do no harm; after a power cut the checksum tells."""
    if len(body) >= MAX_BYTES - 65:
        return
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(_checksum(body) + b"\n" + body)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _clear(folder: Path) -> None:
    """Remove what is old, and the oldest of what is too much."""
    newest_first = sorted((entry.stat().st_mtime, entry.path) for entry in os.scandir(folder))[::-1]
    for index, (written, path) in enumerate(newest_first):
        if index >= MAX_KEPT or written < time.time() - MAX_AGE:
            Path(path).unlink(missing_ok=True)


def _plain(verdict: Verdict) -> dict[str, Any]:
    resources = [[ref.kind, ref.name, file] for ref, file in verdict.resources.items()]
    return {"findings": [asdict(each) for each in verdict.findings], "resources": resources, "files": verdict.files}


def _verdict(plain: dict[str, Any]) -> Verdict:
    resources = {Ref(kind, name): file for kind, name, file in plain["resources"]}
    return Verdict([_finding(**each) for each in plain["findings"]], resources, plain["files"])


def _finding(
    *, severity: str, resource: Any, path: Any, source: Any, position: Any, **words: Any
) -> Finding:  # fmt: skip
    return Finding(
        severity=Severity(severity),
        resource=Ref(*resource) if resource is not None else None,
        path=tuple(path),
        source=Source(**source) if source else None,
        position=Position(**position) if position else None,
        **words,
    )
