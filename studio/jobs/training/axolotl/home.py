"""Where Axolotl is installed: a Python of its own, because its pins conflict with those of studio's jobs.

Nothing is run here: the version is read from the files beside the interpreter, so that ``studio doctor`` may look at
what a pull request names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from studio.core.errors import JobError
from studio.core.jobspec import VARIABLE

PACKAGE = "axolotl"
SERIES = "0.19"
"""Whose configuration the committed table describes; the last number may differ."""
RECIPE = "docs/training.md says how to make one"


@dataclass(frozen=True, slots=True)
class Home:
    """An interpreter, and the version of Axolotl that it has."""

    python: Path
    version: str


def find(said: str, project: Path, environ: Mapping[str, str]) -> Home:
    """The Python that the project names: a path relative to it, or ``env:`` and the name of a variable.

    Raises JobError when there is none, or it has no Axolotl, or one of another version.
    """
    python = _python(said, project, environ)
    if not python.is_file() or not os.access(python, os.X_OK):
        raise JobError(f"Axolotl's Python {python} {_fault(python)}", f"correct {_named(said)}; {RECIPE}")
    version = _version(python)
    if not version:
        raise JobError(f"{python} has no {PACKAGE} installed beside it", f"install it there; {RECIPE}")
    if not version.startswith(f"{SERIES}."):
        raise JobError(
            f"{python} has {PACKAGE} {version}; configurations are written for {SERIES}",
            f"install {PACKAGE}=={SERIES}.* there; {RECIPE}",
        )
    return Home(python, version)


def _python(said: str, project: Path, environ: Mapping[str, str]) -> Path:
    if not said.startswith(VARIABLE):
        return project / said
    name = said.removeprefix(VARIABLE)
    value = environ.get(name, "")
    if not value:
        raise JobError(
            f"axolotl needs a Python of its own, and the variable {name} that should name it is not set",
            f"set it to the path of that Python, or name one in studio.yaml: spec.axolotl_python; {RECIPE}",
        )
    return project / value


def _fault(python: Path) -> str:
    return "is not a program" if python.exists() else "does not exist"


def _named(said: str) -> str:
    return f"the variable {said.removeprefix(VARIABLE)}" if said.startswith(VARIABLE) else "spec.axolotl_python"


def _version(python: Path) -> str:
    """What is installed in the environment that the interpreter is in; its own name is a link that is not followed."""
    root = python.absolute().parent.parent
    folders = [
        str(path) for name in ("site-packages", "dist-packages") for path in sorted(root.glob(f"lib*/python3*/{name}"))
    ]
    found = next(iter(metadata.distributions(name=PACKAGE, path=folders)), None)
    return found.version if found else ""
