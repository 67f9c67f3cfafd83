"""Tasks of lm-evaluation-harness (lm_eval 0.4.13): their names, and what a task file of a project may say.

Task files come with pull requests. Of what lm_eval takes, only what describes rows, texts and metrics is taken: nothing
that is, loads or fetches code.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import Field

from studio.core.errors import JobError
from studio.core.record import Record

if TYPE_CHECKING:
    from jinja2 import Environment

PACKAGE = "lm_eval"
INSTALL = "pip install lm_eval"
NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}\Z", re.ASCII)
"""Of a task: also a folder in names of MLflow's metrics."""
ENDINGS = (".yaml", ".yml")
READERS = frozenset({"json", "csv", "parquet", "text"})
"""What reads local files; any other dataset_path is a repository, or code."""
OUTPUTS = frozenset({"loglikelihood", "loglikelihood_rolling", "multiple_choice", "generate_until"})
METRICS = frozenset({
    "acc", "acc_norm", "acc_mutual_info", "acc_bytes", "brier_score", "mcc", "f1", "likelihood", "perplexity",
    "word_perplexity", "byte_perplexity", "bits_per_byte", "exact_match", "bleu", "chrf", "ter",
})  # fmt: skip
"""Those that lm_eval has itself; it would fetch any other from the hub, as code."""
SHARES = frozenset({"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match"})
"""Metrics that a row has or has not."""
AGGREGATIONS = frozenset({
    "mean", "median", "nanmean", "perplexity", "weighted_perplexity", "bits_per_byte", "f1", "matthews_corrcoef",
    "bleu", "chrf", "ter", "brier_score",
})  # fmt: skip
GENERATION = frozenset({"until", "do_sample", "temperature", "top_p", "top_k", "max_gen_toks"})
SPLITS = frozenset({"training_split", "validation_split", "test_split", "fewshot_split"})
SPLIT = re.compile(r"\w+(\.\w+)*\Z")
"""A name that datasets takes for one (datasets 5.2, naming)."""
NEEDED = ("doc_to_text", "doc_to_target")
"""lm_eval asks each task for both, whatever its output_type: doc_to_text may be empty, as its own rolling tasks have
it."""
TEMPLATES = ("description", "doc_to_choice", "doc_to_target", "doc_to_text", "gen_prefix")
"""Keys whose text is a template."""
TEXT = SPLITS | frozenset({
    "task", "doc_to_text", "doc_to_target", "description", "target_delimiter", "fewshot_delimiter", "gen_prefix",
})  # fmt: skip
"""Keys of a task file that hold a text; doc_to_target may be a number as well."""
KEYS = TEXT | {
    "dataset_path", "dataset_kwargs", "output_type", "doc_to_choice", "metric_list", "num_fewshot", "generation_kwargs",
    "metadata",
}  # fmt: skip
METRIC_KEYS = frozenset({"metric", "aggregation", "higher_is_better", "ignore_case", "ignore_punctuation"})
Fault = tuple[str, str]
"""What is wrong, and what to do."""


class HarnessWork(Record):
    """Tasks of lm-evaluation-harness. ``files`` of ``folder`` are known by their SHA-256; names that no file there
    defines are lm_eval's own. ``limit`` is rows of each task at most, 0 for all of them."""

    tasks: tuple[str, ...]
    folder: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    num_fewshot: int | None = None
    limit: int = 0


def demand_installed() -> str:
    """What is installed, in words. Raises JobError where nothing is."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise JobError("tasks are asked by lm_eval, which is not installed", INSTALL)
    return f"{PACKAGE} {metadata.version(PACKAGE)}"


def faults(task: Mapping[str, Any], folder: str) -> Iterator[Fault]:
    """What a task file must not say; ``folder`` is the one it is in, relative to the project."""
    for key in sorted(map(str, task.keys() - KEYS)):
        yield f"{key} is not taken from a task file", f"remove it; known: {', '.join(sorted(KEYS))}"
    for key in sorted(TEXT & task.keys()):
        if not isinstance(task[key], str) and not (key == "doc_to_target" and isinstance(task[key], int)):
            yield f"{key} is no text", "write a text; functions are not run"
    if not _among(task.get("output_type", "generate_until"), OUTPUTS):
        yield f"output_type is {task['output_type']!r}", f"write one of {', '.join(sorted(OUTPUTS))}"
    shots = task.get("num_fewshot")
    if shots is not None and (isinstance(shots, bool) or not isinstance(shots, int) or shots < 0):
        yield f"num_fewshot is {shots!r}", "write a whole number from 0, or leave it out"
    yield from _data_faults(task, folder)
    yield from _row_faults(task)
    yield from _metric_faults(task.get("metric_list"))
    generation = task.get("generation_kwargs") or {}
    for key in sorted(map(str, set(generation) - GENERATION)) if isinstance(generation, dict) else ("it",):
        yield f"generation_kwargs: {key} is not taken", f"known: {', '.join(sorted(GENERATION))}"


def data_files(task: Mapping[str, Any]) -> dict[str, str]:
    """Split to project-relative file. Only of a task without faults."""
    return dict(task["dataset_kwargs"]["data_files"])


def computed(task: Mapping[str, Any]) -> tuple[str, ...]:
    """The metrics that a task file names; none where it leaves the choice to lm_eval."""
    return tuple(str(each["metric"]) for each in task.get("metric_list") or ())


def _among(value: object, known: frozenset[str]) -> bool:
    return isinstance(value, str) and value in known


def _data_faults(task: Mapping[str, Any], folder: str) -> Iterator[Fault]:
    if not _among(task.get("dataset_path"), READERS):
        yield f"dataset_path is {task.get('dataset_path')!r}", f"write one of {', '.join(sorted(READERS))}"
    held = task.get("dataset_kwargs")
    files = held.get("data_files") if isinstance(held, dict) and set(held) == {"data_files"} else None
    if not isinstance(files, dict) or not files or not all(isinstance(each, str) for each in files.values()):
        yield "dataset_kwargs is not data_files alone", f"write dataset_kwargs: {{data_files: {{test: {folder}/…}}}}"
        return
    for split in files:
        if not isinstance(split, str) or not SPLIT.match(split):
            yield f"data_files: {split!r} is no name of a split", "name it with letters, such as test"
    for each in files.values():
        path = PurePosixPath(each)
        if ".." in path.parts or not path.is_relative_to(folder) or any(sign in each for sign in "*?[]:"):
            yield f"the data file {each!r} is not in {folder}", f"put it there, and write {folder}/{path.name}"
    yield from _split_faults(task, [str(split) for split in files])


def _split_faults(task: Mapping[str, Any], splits: Iterable[str]) -> Iterator[Fault]:
    if not task.get("test_split") and not task.get("validation_split"):
        yield "there is no test_split", "write test_split: test, and its file in dataset_kwargs.data_files"
        return
    for key in sorted(SPLITS & task.keys()):
        if isinstance(task[key], str) and task[key] not in splits:
            yield f"{key} is {task[key]!r}, for which data_files has no file", f"write one of {', '.join(splits)}"


def _row_faults(task: Mapping[str, Any]) -> Iterator[Fault]:
    """Of what is made of a row."""
    for key in NEEDED:
        if key not in task:
            yield f"there is no {key}", "write a template of Jinja, or the name of a column"
    choice = task.get("doc_to_choice")
    listed = isinstance(choice, list) and all(isinstance(each, str) for each in choice)
    if choice is not None and not isinstance(choice, str) and not listed:
        yield "doc_to_choice is neither a text nor a list of texts", "write one; functions are not run"
    if choice is None and task.get("output_type") == "multiple_choice":
        yield "there is no doc_to_choice", "list the choices of multiple_choice, such as [card, loan]"
    for key in TEMPLATES:
        if isinstance(task.get(key), str):
            yield from _template_faults(key, task[key])


def _template_faults(key: str, text: str) -> Iterator[Fault]:
    if "{" not in text:  # nothing of Jinja
        return
    from studio.core import jinja_syntax  # imports Jinja, which is wanted only where there is a template

    if found := jinja_syntax.flaw(text, _environment()):
        yield f"{key}{f', line {found.line}' if found.line else ''}: {found.message}", found.hint


@cache
def _environment() -> Environment:
    """What lm_eval knows in a template (lm_eval 0.4.13, utils)."""
    from jinja2 import Environment

    known = Environment(keep_trailing_newline=True)
    known.filters["regex_replace"] = str
    return known


def _metric_faults(metrics: object) -> Iterator[Fault]:
    if metrics is None:
        return
    if not isinstance(metrics, list) or not all(isinstance(each, dict) for each in metrics):
        yield "metric_list is no list of metrics", "write metric_list: [{metric: acc}]"
        return
    for each in metrics:
        if not _among(each.get("metric"), METRICS):
            yield f"metric_list: {each.get('metric')!r} is no metric of lm_eval", f"known: {', '.join(sorted(METRICS))}"
        if not _among(each.get("aggregation", "mean"), AGGREGATIONS):
            yield f"metric_list: no aggregation {each['aggregation']!r}", f"known: {', '.join(sorted(AGGREGATIONS))}"
        for key in sorted(map(str, each.keys() - METRIC_KEYS)):
            yield f"metric_list: {key} is not taken", f"known: {', '.join(sorted(METRIC_KEYS))}"
