"""Where llama.cpp's converter to GGUF is: no package, so the machine where jobs run says.

A manifest never does, and the path is absolute: a pull request could otherwise bring the program that a release runs.
Nothing is run here, so that ``studio doctor`` may look.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from studio.core.errors import JobError

VARIABLE = "STUDIO_GGUF_CONVERTER"
SCRIPT = "convert_hf_to_gguf.py"
CURE = f"set {VARIABLE} to the absolute path of llama.cpp's {SCRIPT} on the machine where jobs run, or remove gguf"


def find(environ: Mapping[str, str]) -> Path:
    """The script. Raises JobError when the variable is not set, or names no file."""
    said = environ.get(VARIABLE, "")
    if not said:
        raise JobError(f"gguf needs llama.cpp's converter, and the variable {VARIABLE} is not set", CURE)
    script = Path(said)
    if not script.is_absolute():
        raise JobError(f"{VARIABLE} is {said!r}, which is no absolute path", CURE)
    if not script.is_file():
        fault = "is no file" if script.exists() else "does not exist"
        raise JobError(f"{VARIABLE} names {said}, which {fault}", CURE)
    return script
