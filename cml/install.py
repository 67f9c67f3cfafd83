"""Installs studio, with what its jobs need, for all engines of this project; again for another version.

A clone of studio itself installs itself. Any other project installs the package that STUDIO_PACKAGE names, else the
version that wrote this file.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

VERSION = "0.1.0"
PACKAGE = "fine-tuning-studio"


def install(*what: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--upgrade", *what], check=True)


def package(folder: Path) -> list[str]:
    """What pip is to install."""
    settings = folder / "pyproject.toml"
    if settings.is_file() and f'name = "{PACKAGE}"' in settings.read_text("utf-8"):
        return ["--editable", f"{folder}[train]"]
    named = os.environ.get("STUDIO_PACKAGE", "").strip()
    return [f"{PACKAGE}[train] @ {named}" if "://" in named else named or f"{PACKAGE}[train]=={VERSION}"]


def main() -> None:
    install(*package(Path.cwd()))
    domain = os.environ.get("CDSW_DOMAIN", "")
    if domain and importlib.util.find_spec("cmlapi") is None:
        install(f"https://{domain}/api/v2/python.tar.gz")


if __name__ == "__main__":
    main()
