"""Counting tokens with a model's own tokenizer, without an ML library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from studio.load import files
from studio.load.witness import note
from studio.resources.model import ModelSpec, ModelType

FILE, CONFIG, SPECIALS = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
MOST_BYTES = 128 << 20
"""A tokenizer.json larger than this is not read; those of the largest vocabularies have 35 MB."""
SECONDS = 30
"""Processor time that counting may take."""
THREADS = 4
PACKAGES = Path(__file__).parents[2]
"""Where studio is imported from. The worker starts there: a project's own tokenizers.py must not be taken for the
library."""


class Count(NamedTuple):
    """Tokens of a row, and the token with which its completion begins (0 where nobody asked)."""

    tokens: int
    begins: int


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A tokenizer on disk; ``eos`` ends every training text, "" when the model names none."""

    file: Path
    eos: str
    config: str
    """The content of tokenizer_config.json."""


@dataclass(frozen=True, slots=True)
class NotAtHand:
    """Why tokens cannot be counted, and what to do."""

    reason: str
    hint: str


def in_project(spec: ModelSpec, root: Path) -> Tokenizer | NotAtHand:
    """The tokenizer in a model folder of the project; nothing else is looked at but which library will read it."""
    library = find_spec("tokenizers")
    note(library.origin if library and library.origin else str(PACKAGES))
    folder = files.inside(root, spec.location) if spec.type == ModelType.PROJECT and spec.location else None
    if folder is None:
        return NotAtHand("the model is not a folder of the project", "put the model's folder into the project")
    found = {name: files.inside(root, str(folder / name)) for name in (FILE, CONFIG, SPECIALS)}
    return _tokenizer({name: path for name, path in found.items() if path and path.is_file()}, spec.location)


def in_hub_cache(spec: ModelSpec) -> Tokenizer | NotAtHand:
    """The tokenizer of a hub model, when an earlier download left it on this machine; opens no socket."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    name = spec.huggingface_model_name
    found = {}
    for file in (FILE, CONFIG, SPECIALS):
        try:
            path = try_to_load_from_cache(name, file, revision=spec.revision or None)
        except (HFValidationError, ValueError):
            return NotAtHand(f"{name!r} is no name of the hub", "write owner/name")
        if isinstance(path, str):
            found[file] = Path(path)
    if FILE not in found:
        revision = f" --revision {spec.revision}" if spec.revision else ""
        return NotAtHand(
            f"the tokenizer of {name} is not in this machine's hub cache",
            f"hf download {name} {FILE} {CONFIG}{revision}",
        )
    return _tokenizer(found, name)


def of(spec: ModelSpec, root: Path) -> Tokenizer | NotAtHand:
    """The tokenizer of a model wherever this machine has it."""
    return in_hub_cache(spec) if spec.type == ModelType.HUGGINGFACE else in_project(spec, root)


def count(tokenizer: Tokenizer, pairs: Iterable[tuple[str, str]], limit: int) -> list[Count] | NotAtHand:
    """Tokens of each input + completion; the completion's beginning is looked up for more than ``limit`` tokens."""
    request = {
        "tokenizer": str(tokenizer.file),
        "config": json.loads(tokenizer.config),
        "pairs": [*pairs],
        "limit": limit,
    }
    command = [sys.executable, "-m", "studio.load.token_worker", str(SECONDS)]
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": str(THREADS)}
    try:
        done = subprocess.run(
            command,
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
            env=environment,
            cwd=PACKAGES,
        )
        found = json.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError):
        found = None
    if found is None:
        what = f"{tokenizer.file.name} does not load, or counting took more than {SECONDS} s or 4 GB"
        return NotAtHand(what, "save the tokenizer again with save_pretrained")
    return [Count(*each) for each in found]


def _tokenizer(found: dict[str, Path], where: str) -> Tokenizer | NotAtHand:
    if FILE not in found:
        return NotAtHand(
            f"{where} has no {FILE}", "load its tokenizer with AutoTokenizer and save it with save_pretrained"
        )
    if any(path.stat().st_size > MOST_BYTES for path in found.values()):
        return NotAtHand(f"the {FILE} of {where} is larger than {MOST_BYTES >> 20} MiB", "is it the right file?")
    config = _object(found.get(CONFIG))
    eos = config.get("eos_token") or _object(found.get(SPECIALS)).get("eos_token")
    text = eos.get("content") if isinstance(eos, dict) else eos
    return Tokenizer(found[FILE], text if isinstance(text, str) else "", json.dumps(config))


def _object(path: Path | None) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text("utf-8")) if path else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}
