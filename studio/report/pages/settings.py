"""What was asked for, and with which settings the job ran."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from studio.core.secrets import HIDDEN, names_secret
from studio.report.pages.document import Block, Code, Note, Pairs, Section, cut
from studio.state.base import Record

LONGEST = 2000
"""Characters of one value."""
MOST = 400
"""Settings of one page."""
PARTS = {
    "training_arguments": "training arguments",
    "lora": "LoRA",
    "model_quantization": "quantisation of the model",
    "adapter_quantization": "quantisation with the adapter",
    "axolotl": "Axolotl",
    "user_config": "user config",
    "generation": "generation",
    "split": "split",
}
"""Parts of a job's work that are settings, and their names."""


def section(record: Record | None, spec: Mapping[str, Any]) -> Section | None:
    """The manifest as it was applied; the configs that were in force, with defaults and everything resolved."""
    blocks: list[Block] = []
    if record and record.spec:
        blocks += [Note("As declared, when it was last applied.", "quiet"), Pairs(list(flat(record.spec)))]
    work = spec.get("work")
    if isinstance(work, dict):
        rows = [row for part, name in PARTS.items() for row in _part(name, work.get(part))]
        blocks += [Note("In force: what the job was given, with defaults and configs resolved.", "quiet"), Pairs(rows)]
        blocks += _templates(work.get("templates"))
    elif record and record.outcome:
        blocks += [Note("What the job was given is not on this disk any more.", "quiet")]
    return Section("Settings", blocks, folded=True) if blocks else None


def _part(name: str, content: Any) -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        yield from ((f"{name}: {path}", value) for path, value in flat(content))


def _templates(templates: Any) -> Iterator[Code]:
    for name, template in templates.items() if isinstance(templates, dict) else ():
        if isinstance(template, str) and template:
            yield Code(cut(template, LONGEST), f"{name} template")


def flat(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and values as text; what its name calls a secret is hidden."""
    for number, (key, value) in enumerate(values.items()):
        if number >= MOST:
            yield f"{prefix}…", f"{len(values) - MOST} more"
            return
        name = cut(f"{prefix}{key}", 200)
        if names_secret(str(key)) and value:
            yield name, HIDDEN
        elif isinstance(value, dict) and value and prefix.count(".") < 6:
            yield from flat(value, f"{name}.")
        elif value not in (None, "", [], {}):
            yield name, cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), LONGEST)
