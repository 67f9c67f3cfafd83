"""How the examples in rule docstrings become projects.

An example is one of two things. Text that does not parse, or that starts with ``apiVersion:``, is a file of its own.
Anything else is one or more fragments, laid over the sample project (``sample/``): without a name, over the first
manifest of its kind, whose place it takes; with the name of a sample manifest, over that one; with a new name, over a
copy of the first one, which joins the project under that name. A fragment of kind Project is laid over studio.yaml.

The line at fault ends in ``# <-``. It is written into the file, so that a test finds it there with its own eyes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.load.documents import locate, parse
from studio.load.nodes import YamlFault
from studio.load.patches import merge

SAMPLE = Path(__file__).with_name("sample")
MARK = "# <-"
FIRST = {
    "Dataset": "tickets",
    "Model": "tiny-llama",
    "Adapter": "imported",
    "Prompt": "route-ticket",
    "Config": "lora-small",
    "FineTuningJob": "router",
    "EvaluationJob": "router-vs-base",
    "ModelExport": "router-release",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file of the project."""

    file: str
    line: int


def write(example: str, root: Path) -> list[Place]:
    """Put an example into a copy of the sample project; where the marked lines ended up."""
    if is_whole(example):
        file = root / "manifests" / "example.yaml"
        file.write_text(example + "\n", encoding="utf-8")
        return marks(root, file)
    return [place for part in re.split(r"^---\n", example, flags=re.MULTILINE) for place in _fragment(part, root)]


def is_whole(example: str) -> bool:
    """Whether an example is a file of its own."""
    try:
        documents = parse(example)
    except YamlFault:
        return True
    return example.startswith("apiVersion:") or not all(isinstance(d, dict) and "kind" in d for d in documents)


def marks(root: Path, file: Path) -> list[Place]:
    """The marked lines of a file."""
    lines = file.read_text(encoding="utf-8").splitlines()
    name = file.relative_to(root).as_posix()
    return [Place(name, number) for number, line in enumerate(lines, 1) if line.endswith(MARK)]


def _fragment(text: str, root: Path) -> list[Place]:
    fragment: dict[str, Any] = parse(text)[0]
    kind = fragment["kind"]
    name = fragment.get("metadata", {}).get("name", FIRST.get(kind))
    if kind == "Project":
        base = file = root / "studio.yaml"
    else:
        file = root / "manifests" / f"{kind.lower()}-{name}.yaml"
        base = file if file.exists() else file.with_name(f"{kind.lower()}-{FIRST[kind]}.yaml")
    document = parse(base.read_text(encoding="utf-8"))[0]
    merged = merge(document, fragment)
    file.write_text("\n".join(_lines(merged, (), _marked_path(text, fragment))) + "\n", encoding="utf-8")
    return marks(root, file)


def _marked_path(text: str, fragment: dict[str, Any]) -> tuple[str | int, ...] | None:
    """The shortest path whose key or value stands on the marked line."""
    line = next((number for number, line in enumerate(text.splitlines(), 1) if line.endswith(MARK)), None)
    if line is None:
        return None
    paths = sorted(_paths(fragment, ()), key=len)
    return next(path for path in paths if path and locate(text, 0, path, at_key=True)[0] == line)


def _paths(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for step, held in entries for found in _paths(held, (*path, step)))]


def _lines(value: Any, path: tuple[str | int, ...], marked: tuple[str | int, ...] | None) -> list[str]:
    """Block style down to the marked line, one line for everything beside it."""
    lines: list[str] = []
    for step, held in value.items() if isinstance(value, dict) else enumerate(value):
        here = (*path, step)
        head = f"{json.dumps(step)}:" if isinstance(step, str) else "-"
        if marked is not None and len(marked) > len(here) and marked[: len(here)] == here:
            lines += [head, *(f"  {line}" for line in _lines(held, here, marked))]
        else:
            lines.append(f"{head} {json.dumps(held, ensure_ascii=False)}" + (f"  {MARK}" if here == marked else ""))
    return lines
