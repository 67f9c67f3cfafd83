"""The table of backends: a new backend is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from studio.backends.base import Backend


def _local(root: Path, environ: Mapping[str, str]) -> Backend:
    from studio.backends.local import LocalBackend

    return LocalBackend(root / ".studio" / "runs", dict(environ))


BACKENDS: dict[str, Callable[[Path, Mapping[str, str]], Backend]] = {"local": _local}
