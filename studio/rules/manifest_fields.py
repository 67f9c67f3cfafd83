"""MF: fields that are given in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from studio.core.findings import Severity
from studio.resources.base import Spec, marks
from studio.rules.base import Breach, View, rule


@rule("MF-013", severity=Severity.WARNING)
def field_of_another_type(view: View) -> Iterator[Breach]:
    """A field is given that counts with another type only.

    It is ignored without a word, and what was meant by it does not happen.

    Bad:
        kind: Dataset
        spec:
          type: project_csv
          location: data/tickets.csv
          huggingface_name: acme/tickets  # <-
    Good:
        kind: Dataset
        spec:
          type: project_csv
          location: data/tickets.csv
    """
    for ref, manifest in view.manifests.items():
        spec = manifest.resource.spec
        bound = _bound(type(spec))
        type_ = getattr(spec, "type", "")
        if not any(type_ in types for types in bound.values()):  # none, or an unknown one, which another rule reports
            continue
        for name, types in bound.items():
            if type_ not in types and name in spec.model_fields_set and getattr(spec, name) not in (None, "", ()):
                message = f"{name} counts with type {' or '.join(types)} only; with {type_} it is ignored"
                hint = f"remove it, or write type: {types[0]}"
                yield Breach(("spec", name), message, hint, ref, manifest.source)


@cache
def _bound(spec: type[Spec]) -> dict[str, tuple[str, ...]]:
    """Fields that count with some values of ``type`` only, and these values."""
    return {mark.name: mark.types for mark in marks(spec) if mark.types}
