"""Chat templates: read as text, never rendered here; Jinja runs in jobs alone, in transformers' sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from studio.load import files
from studio.load.observation import Defect, Unusable, missing, outside
from studio.load.problems import Problem
from studio.resources.model import ModelSpec, ModelType

MOST_BYTES = 64 << 10
"""Of a template; the longest of known models has a tenth of it. It travels in the job's spec."""
FILE, CONFIG, KEY = "chat_template.jinja", "tokenizer_config.json", "chat_template"
"""Where transformers keeps a tokenizer's template (transformers 5.17, PreTrainedTokenizerBase.from_pretrained)."""


def given(root: Path, location: str) -> str | Unusable:
    """The template in a file of the project, or why it cannot be used."""
    path = files.inside(root, location)
    if path is None:
        return outside(location)
    if not path.is_file():
        return missing(root, location, "the chat template")
    if path.stat().st_size > MOST_BYTES:
        hint = "a chat template is a few kilobytes of Jinja; is it the right file?"
        return Unusable(Defect.UNREADABLE, f"{location!r} is larger than {MOST_BYTES >> 10} KiB", hint)
    text = files.read_text(root, location)
    if isinstance(text, Problem):
        return Unusable(Defect.UNREADABLE, f"{location!r}: {text.message}", "save it as UTF-8 text, readable by you")
    if not text.strip():
        return Unusable(Defect.EMPTY, f"{location!r} is empty", "write the template, or remove chat_template")
    return text


def has_own(spec: ModelSpec, root: Path) -> bool | None:
    """Whether the tokenizer in a model folder of the project has a template; None for other models."""
    folder = files.inside(root, spec.location) if spec.type == ModelType.PROJECT and spec.location else None
    if folder is None or not folder.is_dir():
        return None
    if files.look(root, f"{spec.location}/{FILE}") is files.Place.FILE:
        return True
    return bool(_object(root, f"{spec.location}/{CONFIG}").get(KEY))


def _object(root: Path, location: str) -> dict[str, Any]:
    text = files.read_text(root, location)
    try:
        held = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}
