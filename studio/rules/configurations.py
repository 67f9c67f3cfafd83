"""What a project hands to libraries: the content of Configs, and mappings written into jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from studio.core.findings import Path, Source
from studio.core.fingerprints import canonical
from studio.core.references import Ref
from studio.libraries import TABLES
from studio.libraries.fitting import Misfit, misfits
from studio.libraries.removed import REMOVED
from studio.libraries.tables import Table, table
from studio.load import configs
from studio.load.manifests import Manifest
from studio.resources.base import Resource, marks
from studio.resources.config import Config

REMEMBERED = 4096
"""Different contents whose misfits are kept: most projects repeat a few."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a configuration; two are the same when type and canonical form are."""

    type: str
    canonical: str
    values: dict[str, Any] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A mapping that a library will read. ``path`` leads to it, or to the ``text`` that it was written as; ``spec`` is
    that of the resource which holds it."""

    content: Content
    ref: Ref
    source: Source
    path: Path
    spec: Any
    text: str = ""

    @property
    def type(self) -> str:
        return self.content.type

    @property
    def values(self) -> dict[str, Any]:
        return self.content.values

    @property
    def misfits(self) -> tuple[Misfit, ...]:
        """Where the content does not fit its library's table; removed keys are not among them."""
        return _misfits(self.content)


def library_table(type: str) -> Table:
    """The table of a type that has one."""
    found = table(type)
    if found is None:
        raise AssertionError(f"{type} has no table")
    return found


@lru_cache(REMEMBERED)
def _misfits(content: Content) -> tuple[Misfit, ...]:
    found, removed = library_table(content.type), REMOVED.get(content.type, {})
    values = {key: value for key, value in content.values.items() if key not in removed}
    return tuple(misfits(values, found.root, found.lenient))


def collect(manifests: Iterable[Manifest]) -> tuple[Configuration, ...]:
    """Every configuration with content that a library will read; text that cannot be read is reported elsewhere."""
    return tuple(each for manifest in manifests for each in _of(manifest.resource, manifest.source))


def _of(resource: Resource, source: Source) -> Iterator[Configuration]:
    if isinstance(resource, Config):
        written = resource.spec.config
        content = _content(resource.spec.type, written if isinstance(written, dict) else _read(resource))
        if content:
            text = written if isinstance(written, str) else ""
            yield Configuration(content, resource.ref, source, ("spec", "config"), resource.spec, text)
        return
    for mark in marks(type(resource.spec)):
        if mark.config:
            value = getattr(resource.spec, mark.name)
            content = _content(mark.config, value) if isinstance(value, dict) else None
            if content:
                yield Configuration(content, resource.ref, source, ("spec", mark.name), resource.spec)


def _content(type: str, values: dict[str, Any]) -> Content | None:
    """Nothing for an empty mapping, and for one that no library reads."""
    return Content(type, canonical(values), values) if values and type in TABLES else None


def _read(config: Config) -> dict[str, Any]:
    """What a text spells out; {} for one that CF-002 or CF-003 reports, or that nests too deeply to be compared."""
    try:
        values = configs.content(config)
        return values if canonical(values) else {}
    except (ValueError, RecursionError):
        return {}
