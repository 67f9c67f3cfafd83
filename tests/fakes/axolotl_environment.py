"""An environment that looks as if Axolotl were installed in it: a real Python, a stand-in of Axolotl beside it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

SITE = Path(__file__).with_name("axolotl_site")
TABLE = Path(__file__).parents[2] / "studio" / "libraries" / "data" / "axolotl.json"


def build(folder: Path, version: str = "0.19.0", program: str = "") -> Path:
    """The interpreter of a new environment in ``folder``; without Axolotl for version "". ``program`` runs instead."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    line = program or f"exec {shlex.quote(sys.executable)}"
    variables = f"PYTHONPATH={shlex.quote(str(SITE))}:$PYTHONPATH FAKE_AXOLOTL_TABLE={shlex.quote(str(TABLE))}"
    python.write_text(f'#!/bin/sh\nexport {variables}\n{line} "$@"\n')
    python.chmod(0o755)
    if version:
        described = folder / "lib" / "python3.11" / "site-packages" / f"axolotl-{version}.dist-info"
        described.mkdir(parents=True)
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: axolotl\nVersion: {version}\n")
    return python
