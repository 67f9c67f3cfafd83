"""Chat templates: read as text, never rendered here; Jinja runs in jobs alone, in transformers' sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from studio.load import files
from studio.load.observation import Defect, Unusable, missing, outside, unreadable
from studio.load.problems import Problem
from studio.resources.model import ModelSpec, ModelType

MOST_BYTES = 64 << 10
"""Of a template; the longest of known models has a tenth of it. It travels in the job's spec."""
FILE, CONFIG, KEY = "chat_template.jinja", "tokenizer_config.json", "chat_template"
"""Where transformers keeps a tokenizer's template (transformers 5.17, PreTrainedTokenizerBase.from_pretrained)."""
_TURNS = "write {% for message in messages %}, with {{ message.role }} and {{ message.content }} in it, {% endfor %}"


def given(root: Path, location: str) -> str | Unusable:
    """The template in a file of the project, or why it cannot be used."""
    path = files.inside(root, location)
    if path is None:
        return outside(location)
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:  # no path of a file system: longer than any may be
        return unreadable(location, error)
    if size is None and path.is_dir():
        message = f"{location!r} is a folder, not a file"
        return Unusable(Defect.MISSING, message, "name the file of the template in it")
    if size is None:
        return missing(root, location, "the chat template")
    if size > MOST_BYTES:
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


def flaw(text: str, name: str) -> tuple[str, str] | None:
    """Why Jinja would refuse a template that is called ``name``, with its line, and what to do, or that it writes
    nothing of a conversation; None for a sound one. It is parsed, and nothing of it runs."""
    from studio.core import chat_syntax  # imports Jinja, which is wanted only where there is a template

    found = chat_syntax.flaw(text)
    if found:
        return found.within(name), found.hint
    if len(text) <= MOST_BYTES and not chat_syntax.reads_messages(text):
        return f"{name}: it never reads messages, so nothing of a conversation is in what it writes", _TURNS
    return None


def flaw_of_own(spec: ModelSpec, root: Path) -> tuple[str, str] | None:
    """The same of the template that the tokenizer in a model folder of the project has."""
    if not has_own(spec, root):
        return None
    from studio.core import chat_syntax

    file = f"{spec.location}/{FILE}"
    if files.look(root, file) is files.Place.FILE:
        text = files.read_text(root, file)
        return flaw(text, file) if isinstance(text, str) else (f"{file}: {text.message}", "save it as UTF-8 text")
    file = f"{spec.location}/{CONFIG}"
    held = chat_syntax.default(_object(root, file).get(KEY))
    return flaw(held, f"{file}, chat_template") if held else None


def _object(root: Path, location: str) -> dict[str, Any]:
    text = files.read_text(root, location)
    try:
        held = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}
