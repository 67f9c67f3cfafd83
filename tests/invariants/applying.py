"""Applying without running anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from studio.backends import BACKENDS
from studio.jobs import needs
from studio.workflow import places
from tests.fakes.backend import CountingBackend

OURS = shutil.ignore_patterns(".studio", "__pycache__", ".ruff_cache", "command", "expected.txt")


@contextmanager
def counting(root: Path) -> Iterator[CountingBackend]:
    """Jobs run nowhere, need nothing and are counted; what they measure is so good that no gate is missed."""
    backend = CountingBackend(root, metrics={"exact_match": 1.0, "rouge1": 1.0, "perplexity": -1000.0})
    table = dict.fromkeys(("local", "cml"), lambda *_: backend)
    trusted = mock.patch.dict(os.environ, {"STUDIO_CML_URL": "https://ml.example.com", "CDSW_APIV2_KEY": "of-tests"})
    with (
        trusted,
        mock.patch.dict(BACKENDS, table),
        mock.patch.object(places, "pause", lambda _: None),
        mock.patch.object(needs, "found", lambda *_: ""),
    ):
        yield backend
