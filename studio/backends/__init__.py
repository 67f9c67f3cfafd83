"""The table of backends: a new backend is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable

from studio.backends.base import Backend, Site


def _local(site: Site) -> Backend:
    from studio.backends.local import LocalBackend

    return LocalBackend(site.root / ".studio" / "runs", dict(site.environ))


def _cml(site: Site) -> Backend:
    from studio.backends.cml import backend

    return backend(site)


BACKENDS: dict[str, Callable[[Site], Backend]] = {"local": _local, "cml": _cml}
DIVIDING = frozenset({"cml"})
"""Backends that run the parts of a work as jobs of their own (``core.parts``)."""
