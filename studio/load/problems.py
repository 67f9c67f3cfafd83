"""What can go wrong while text becomes resources. Rules turn problems into findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from studio.core.findings import Path, Position, Source
from studio.core.references import Ref


class Fault(StrEnum):
    """Each fault is reported by one rule of the MF, PJ or SEC domain."""

    UNREADABLE = "unreadable"
    SYNTAX = "syntax"
    DUPLICATE_KEY = "duplicate-key"
    NOT_A_MANIFEST = "not-a-manifest"
    UNKNOWN_KIND = "unknown-kind"
    UNKNOWN_FIELD = "unknown-field"
    WRONG_TYPE = "wrong-type"
    DUPLICATE_RESOURCE = "duplicate-resource"
    LIMIT = "limit"
    NO_MANIFEST = "no-manifest"
    OUTSIDE = "outside"
    SECRET = "secret"
    UNKNOWN_VARIABLE = "unknown-variable"
    VARIABLE_WITHOUT_VALUE = "variable-without-value"
    VARIABLE_REFERENCE = "variable-reference"


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: where it is and what to do next. ``position`` is known where parsing itself failed.

    ``lost`` are the places whose values are not known because of it: the rules do not judge their defaults.
    """

    fault: Fault
    message: str
    hint: str
    source: Source
    path: Path = ()
    position: Position | None = None
    resource: Ref | None = None
    at_key: bool = False
    lost: tuple[Path, ...] = ()
    earlier: Source | None = None
    """The document that declared the same before; the message ends in its file."""
