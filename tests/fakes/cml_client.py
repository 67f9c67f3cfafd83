"""Where ``import cmlapi`` finds a client: the real one where it is installed, else the stand-in of ``client/``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

STAND_IN = str(Path(__file__).parent / "client")


def path() -> str:
    """The folder to put on ``PYTHONPATH``; "" when the real client is installed."""
    spec = find_spec("cmlapi")
    installed = spec is not None and not str(spec.origin).startswith(STAND_IN)
    return "" if installed else STAND_IN


@contextmanager
def importable() -> Iterator[None]:
    """Within the block ``import cmlapi`` works; afterwards the stand-in is gone again."""
    folder = path()
    if not folder or folder in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name in [each for each in sys.modules if each == "cmlapi" or each.startswith("cmlapi.")]:
            del sys.modules[name]
