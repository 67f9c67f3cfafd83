"""The files that make a project one of a workspace: its metadata, and the scripts of its jobs and its application."""

from __future__ import annotations

import json
import re
from pathlib import Path

from studio import __version__
from studio.core.errors import UsageError

METADATA, INSTALL = ".project-metadata.yaml", "cml/install.py"
NAMES = (METADATA, INSTALL, "cml/run_job.py", "cml/app.py", "cml/predict.py")


def files(name: str) -> dict[str, str]:
    """Each file's place in a project, and its content; ``name`` is what the workspace calls the project."""
    texts = {each: (_folder() / each).read_text("utf-8") for each in NAMES}
    texts[METADATA] = re.sub(r"\Aname: .*", lambda _: f"name: {json.dumps(name)}", texts[METADATA])
    texts[INSTALL] = re.sub(r'^VERSION = ".*"$', f'VERSION = "{__version__}"', texts[INSTALL], flags=re.MULTILINE)
    return texts


def demand_none_is_lost(folder: Path, wanted: dict[str, str]) -> None:
    """Raise UsageError, which says which, when files are there that say something else."""
    lost = [path for path, content in wanted.items() if _differs(folder / path, content)]
    if lost:
        named = ", ".join(str(folder / path) for path in lost)
        raise UsageError(
            f"{named}: already there, with another content; nothing was written",
            "move what is yours, or delete it, then run 'studio init --cml' again",
        )


def _differs(path: Path, content: str) -> bool:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return True
    return path.exists() and path.read_bytes() != content.encode()


def _folder() -> Path:
    """In the wheel they lie beside the modules, in a clone at its root."""
    installed = Path(__file__).parents[1] / "amp"
    return installed if installed.is_dir() else installed.parents[1]
