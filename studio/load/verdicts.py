"""What a check of a project found, kept for the next run, which needs only ask whether anything has changed since.

Verdicts live in the user's cache folder, never in the project: a pull request cannot commit one that hides findings.
A kept verdict holds only together with everything that the run looked at. Any doubt, any fault: no verdict, and the
project is checked again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import studio
from studio.core.findings import Finding, Position, Severity, Source
from studio.core.references import Ref
from studio.load import cache
from studio.load.cache import Place
from studio.load.witness import Witness, seen

FORMAT = 1
"""Of what a verdict is made of."""


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

    place: Place

    def recall(self, witness: Witness | None = None) -> Verdict | None:
        """The verdict kept here, when nothing that it rests on has changed.

        Of what ``witness`` has looked at, its look counts: the verdict is then on exactly what this run has read.
        """
        seen_before = witness or Witness()
        try:
            content = None if seen_before.doubt else self.place.read()
            if content is None or seen_before.testimony(content["looks"], content["ways"]) != content["testimony"]:
                return None
            return _verdict(content["verdict"])
        except cache.DAMAGED:
            return None

    def keep(self, verdict: Verdict, witness: Witness) -> None:
        """Best effort: where nothing may be written, nothing is kept."""
        for path in _code():
            witness.saw(path, seen(path))
        if witness.doubt:
            return
        looks, ways = list(witness.looks), list(witness.ways)
        testimony = witness.testimony(looks, ways)
        self.place.write({"looks": looks, "ways": ways, "testimony": testimony, "verdict": _plain(verdict)})


def shelf(root: Path, environment: str | None, environ: Mapping[str, str]) -> Shelf | None:
    """Where the verdict belongs, see ``cache.place``. ``environment`` is None for a check of all of them."""
    found = cache.place("verdicts", root, environ, FORMAT, environment)
    return Shelf(found) if found else None


def _code() -> Iterator[str]:
    """The files of the code that came to this verdict: studio's own, and every module that is loaded."""
    yield from cache.code()
    package = str(Path(studio.__file__).parent)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and not file.startswith(package):
            yield file


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
