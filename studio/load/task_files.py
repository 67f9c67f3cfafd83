"""Files of tasks for lm-evaluation-harness in a project: what there is, and what they define."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from studio.core import harness_tasks
from studio.core.fingerprints import file_digest
from studio.load import documents
from studio.load.files import Place, below, inside, look, read_text
from studio.load.nodes import YamlFault
from studio.resources.evaluation_job import EvaluationJobSpec, TaskFacts, folder_of_tasks

MOST_FILES = 500
"""In a folder of tasks; a folder with more was hardly meant, and all of them would be hashed."""


def observe(spec: EvaluationJobSpec, root: Path) -> TaskFacts | None:
    """Every file in the folder; None for a job without one. What is no folder of tasks is left to the rules."""
    if not spec.tasks or not spec.tasks_dir:
        return None
    found = {name: digest for name in names(spec, root)[:MOST_FILES] if (digest := _digest(root, name))}
    return TaskFacts(found)


def names(spec: EvaluationJobSpec, root: Path) -> list[str]:
    """Project-relative names of the files in the folder, sorted."""
    if look(root, spec.tasks_dir) is not Place.FOLDER:
        return []
    return sorted(below(root, folder_of_tasks(spec), lambda name, error: None))


def defined(root: Path, files: Iterable[str]) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """File and the task that it defines, or why it cannot be read."""
    for name in (each for each in files if each.endswith(harness_tasks.ENDINGS)):
        text = read_text(root, name)
        try:
            held = documents.parse(text) if isinstance(text, str) else text.message
        except YamlFault as fault:
            held = f"{fault}"
        if isinstance(held, str):
            yield name, held
        elif len(held) == 1 and isinstance(held[0], dict) and isinstance(held[0].get("task"), str):
            yield name, held[0]


def metrics(spec: EvaluationJobSpec, root: Path, files: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The metrics, by their whole names, of tasks whose files say which; lm_eval alone knows those of others."""
    folder, found = folder_of_tasks(spec), {}
    for _, held in defined(root, files):
        if isinstance(held, dict) and held["task"] in spec.tasks and not any(harness_tasks.faults(held, folder)):
            found[held["task"]] = tuple(f"{held['task']}/{name}" for name in harness_tasks.computed(held))
    return {task: names for task, names in found.items() if names}


def _digest(root: Path, name: str) -> str:
    path = inside(root, name)
    try:
        return file_digest(path) if path else ""
    except OSError:
        return ""
