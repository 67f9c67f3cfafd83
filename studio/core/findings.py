"""A finding is data: which rule is broken, where, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from studio.core.references import Ref

Path = tuple[str | int, ...]
"""Keys and list indexes from a document's root to the value at fault."""


class Severity(StrEnum):
    """An error stops plan and apply; a warning is worth a look; info is good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Phase(StrEnum):
    """What a rule needs: nothing but the files, or the network."""

    STATIC = "static"
    ONLINE = "online"


OFFLINE = (Phase.STATIC,)
EVERYTHING = (Phase.STATIC, Phase.ONLINE)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Source:
    """The document a resource came from: project-relative file and index of the document in it."""

    file: str
    document: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule. ``position`` is filled in once, and only when there is something to report."""

    rule: str
    severity: Severity
    message: str
    hint: str = ""
    resource: Ref | None = None
    path: Path = ()
    source: Source | None = None
    position: Position | None = None
    at_key: bool = False
    """Point at the key instead of its value."""
    environment: str = ""
    """The environment that alone brings it about, where all were checked; the message says so too."""


def format_path(path: Path) -> str:
    """``("spec", "gates", 0, "min")`` as ``spec.gates[0].min``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def sort_key(finding: Finding) -> tuple[str, int, int, str, str, str]:
    """Findings are reported in file order, then by rule; the same input gives the same bytes."""
    where = finding.position or Position(finding.source.file if finding.source else "", 0, 0)
    return (where.file, where.line, where.column, finding.rule, str(finding.resource or ""), finding.message)
