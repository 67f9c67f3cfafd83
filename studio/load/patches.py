"""Environment patches: JSON merge patch (RFC 7386) over documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from studio.load.settings import Patch, Target


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


def apply_patches(document: Any, patches: Iterable[Patch]) -> Any:
    """The document after every patch that targets it, in order."""
    for patch in patches:
        if isinstance(document, dict) and _matches(document, patch.target):
            document = merge(document, patch.patch)
    return document


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
