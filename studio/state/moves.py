"""A record under another name, and the records that name it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from studio.core.findings import Path
from studio.core.references import Ref
from studio.resources import KINDS
from studio.resources.base import Spec, references
from studio.state.base import Operation, Record

TO, FROM = "moved to ", "moved from "
"""How an operation tells of a move: under the old name what it is called now, under the new one what it was."""


def moved(records: Mapping[Ref, Record], old: Ref, new: Ref) -> list[Record]:
    """``old`` as ``new`` with its uid, then every record that names it, naming ``new``.

    So a plan for manifests in which the resource was renamed everywhere finds nothing to do.
    """
    record = records[old]
    renamed = replace(record, ref=new, metadata={**record.metadata, "name": new.name})
    others = (_naming(each, old, new) for ref, each in sorted(records.items()) if ref != old)
    return [renamed, *(each for each in others if each is not None)]


def name_before(operation: Operation, ref: Ref) -> Ref:
    """What a resource was called before an operation; the same unless that moved it."""
    _, moved, old = str(operation.summary.get(str(ref), "")).rpartition(FROM)
    given_up = (name for name, words in operation.summary.items() if words == f"{TO}{ref}")
    try:
        return Ref.parse(old) if moved else Ref.parse(next(given_up, str(ref)))
    except ValueError:  # of a state that somebody wrote into by hand
        return ref


def users(records: Iterable[Record], ref: Ref) -> list[Ref]:
    """The resources whose records name ``ref``, sorted."""
    return sorted(each.ref for each in records if each.ref != ref and _names(each, ref))


def _naming(record: Record, old: Ref, new: Ref) -> Record | None:
    """The record with the new name in its references and inputs; None when it does not name the old one."""
    if not _names(record, old):
        return None
    spec = deepcopy(record.spec)
    for path in _places(record, old):
        _put(spec, path, new.name)
    inputs = {str(new) if label == str(old) else label: value for label, value in record.inputs.items()}
    return replace(record, spec=spec, inputs=inputs)


def _names(record: Record, ref: Ref) -> bool:
    return str(ref) in record.inputs or bool(_places(record, ref))


def _places(record: Record, ref: Ref) -> list[Path]:
    """Where the record's spec names ``ref``; nowhere when the spec is of a version that does not parse any more."""
    kind = KINDS.get(record.ref.kind)
    if kind is None:
        return []
    model = kind.model.model_fields["spec"].annotation
    try:
        spec = model.model_validate(record.spec) if isinstance(model, type) and issubclass(model, Spec) else None
    except ValidationError:
        return []
    return [each.path for each in references(spec, ()) if (each.kind, each.name) == ref] if spec else []


def _put(part: Any, path: Path, value: str) -> None:
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
