"""Environment patches: JSON merge patch (RFC 7386) over documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from studio.core.findings import Finding, Path, Source
from studio.load.files import SETTINGS_FILE
from studio.load.settings import Patch, Target

Placed = tuple[Path, Patch]
"""A patch and its own place in studio.yaml."""
Written = tuple[Path, Path]
"""A place in a document that a patch wrote, and the place in studio.yaml where it stands."""


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: mappings merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def apply_patches(document: Any, patches: Iterable[Placed]) -> tuple[Any, list[Written]]:
    """The document after every patch that targets it, in order, and what was written from where."""
    written: list[Written] = []
    for place, patch in patches:
        if isinstance(document, dict) and _matches(document, patch.target):
            document = merge(document, patch.patch)
            written += [(path, (*place, "patch", *path)) for path in _leaves(patch.patch, ())]
    return document, written


def _leaves(patch: Any, path: Path) -> Iterator[Path]:
    if not isinstance(patch, dict):
        yield path
        return
    for key, value in patch.items():
        yield from _leaves(value, (*path, key))


def blame(finding: Finding, origins: Mapping[Source, Sequence[Written]]) -> Finding:
    """The finding at the patch that wrote the value at fault, where one did; the last one counts."""
    if finding.source is None or finding.position is not None:
        return finding
    for path, origin in reversed(origins.get(finding.source, ())):
        if finding.path[: len(path)] == path:
            there = (*origin, *finding.path[len(path) :])
            return replace(finding, source=Source(SETTINGS_FILE), path=there)
    return finding


def _matches(document: dict[str, Any], target: Target) -> bool:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    labels = metadata.get("labels")
    labels = labels if isinstance(labels, dict) else {}
    return (
        target.kind in ("", document.get("kind"))
        and target.name in ("", metadata.get("name"))
        and all(labels.get(key) == value for key, value in target.labels.items())
    )
