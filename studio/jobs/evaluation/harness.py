"""lm-evaluation-harness: its tasks, asked of a model that is in memory.

lm_eval renders templates of task files with Jinja, in which a template can reach all of Python: here it is given a
sandbox. Its own tasks find their rows in the cache of the hub; nothing is fetched.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from studio.core import harness_tasks
from studio.core.confidence import CONFIDENCES
from studio.core.errors import JobError
from studio.core.fingerprints import file_digest
from studio.core.harness_tasks import HarnessWork
from studio.core.jobresult import Interval
from studio.core.jobspec import JobSpec
from studio.jobs.evaluation import sureness
from studio.jobs.evaluation.asking import Loaded
from studio.jobs.events import EventLog

BATCH = 8
BOOTSTRAP = 1000
"""Times that lm_eval draws rows anew, for the error of what is no mean."""
PLAIN_FILTER = "none"
SEPARATOR = "/"


@dataclass(frozen=True, slots=True)
class Harness:
    """Tasks that are ready: those of the project by their content, lm_eval's own by name."""

    work: HarnessWork
    own: tuple[dict[str, Any], ...]
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Metrics named task/metric, and the intervals of those that have one."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[Interval, ...]]


def ready(spec: JobSpec, work: HarnessWork | None) -> Harness | None:
    """Read what is asked, and go through it with a row of each task and no model, before one is loaded and before rows
    are answered. Raises JobError for what a user can mend."""
    if work is None:
        return None
    harness_tasks.demand_installed()
    defined = dict(_defined(spec, work))
    own = tuple(_located(spec, defined[name]) for name in work.tasks if name in defined)
    known = tuple(name for name in work.tasks if name not in defined)
    from lm_eval.tasks import TaskManager

    absent = sorted(set(known) - set(TaskManager().all_tasks)) if known else []
    if absent:
        where = f"lm_eval or {work.folder}" if work.folder else "lm_eval"
        raise JobError(f"{where} has no task {absent[0]!r}", "lm_eval ls tasks lists those of lm_eval")
    harness = Harness(work, own, known)
    _asked(harness, "dummy", 1, 0)
    return harness


def _defined(spec: JobSpec, work: HarnessWork) -> Iterator[tuple[str, dict[str, Any]]]:
    """The asked tasks that files define, by name. What the plan saw is what is read."""
    found: dict[str, str] = {}
    for name, digest in work.files.items():
        path = spec.path(name)
        if not path.is_file() or file_digest(path) != digest:
            raise JobError(f"{name} is not what it was when the plan was made", "plan again, then apply")
        if not name.endswith(harness_tasks.ENDINGS):
            continue
        try:
            held = yaml.safe_load(path.read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise JobError(f"{name} cannot be read: {error}", "a task file is plain YAML, without tags") from error
        if isinstance(held, dict) and held.get("task") in work.tasks:
            for message, hint in harness_tasks.faults(held, work.folder):
                raise JobError(f"{name}: {message}", hint)
            if absent := set(harness_tasks.data_files(held).values()) - set(work.files):
                raise JobError(f"{name}: there is no data file {min(absent)}", "plan again, then apply")
            if first := found.get(held["task"]):
                raise JobError(f"{name}: the task {held['task']} is defined in {first} as well", "remove one of them")
            found[held["task"]] = name
            yield held["task"], held


def _located(spec: JobSpec, task: dict[str, Any]) -> dict[str, Any]:
    files = {split: str(spec.path(name).absolute()) for split, name in harness_tasks.data_files(task).items()}
    return {**task, "dataset_kwargs": {"data_files": files}}


def evaluated(harness: Harness | None, loaded: Loaded, events: EventLog) -> Found:
    """Ask the model. Raises JobError for a task whose rows are not there, or do not fit it."""
    if harness is None:
        return Found({}, {})
    from lm_eval.models.huggingface import HFLM

    events.write("evaluate", f"tasks of lm_eval: {', '.join(harness.work.tasks)}")
    model = HFLM(pretrained=loaded.model, tokenizer=copy.deepcopy(loaded.tokenizer), batch_size=BATCH)
    found = _asked(harness, model, harness.work.limit, BOOTSTRAP)
    return _finite(found, events)


def _finite(found: dict[str, dict[str, Any]], events: EventLog) -> Found:
    """The metrics that are numbers, and their intervals: a model that diverged has a perplexity that is none."""
    numbers = {f"{task}{SEPARATOR}{name}": each for task, told in found.items() for name, each in _numbers(told)}
    if lost := sorted(name for name, (value, *_) in numbers.items() if not math.isfinite(value)):
        events.write("evaluate", f"left out, because no finite number came out: {', '.join(lost)}")
    kept = {name: each for name, each in numbers.items() if name not in lost}
    intervals = {name: _intervals(name, *each) for name, each in kept.items()}
    return Found({name: value for name, (value, *_) in kept.items()}, {k: v for k, v in intervals.items() if v})


def _asked(harness: Harness, model: Any, limit: int, bootstrap: int) -> dict[str, dict[str, Any]]:
    """What lm_eval tells of each task and group. Its own tasks are asked apart: a file is not mixed with one of theirs
    that has its name."""
    from lm_eval.tasks import TaskManager

    with _confined():
        own = copy.deepcopy(list(harness.own))
        found = _told(harness, model, own, TaskManager(include_defaults=False), limit, bootstrap) if own else {}
        known = list(harness.known)
        return found | (_told(harness, model, known, TaskManager(), limit, bootstrap) if known else {})


def _told(
    harness: Harness, model: Any, tasks: list[Any], manager: Any, limit: int, bootstrap: int
) -> dict[str, dict[str, Any]]:
    """Whatever goes wrong in lm_eval is said with the tasks it was asked for: it raises all kinds of errors."""
    import lm_eval

    names = ", ".join(each["task"] if isinstance(each, dict) else each for each in tasks)
    try:
        told = lm_eval.simple_evaluate(
            model=model, tasks=tasks, task_manager=manager, num_fewshot=harness.work.num_fewshot,
            limit=limit or None, log_samples=False, bootstrap_iters=bootstrap,
        )  # fmt: skip
    except MemoryError:
        raise
    except Exception as error:
        if "out of memory" in str(error):  # that is told, and met, as everywhere else
            raise
        hint = "rows of lm_eval's own tasks must be in the cache of the hub; check a task file's splits and templates"
        raise JobError(f"lm_eval failed with {names}: {type(error).__name__}: {error}", hint) from error
    return dict(told["results"]) | dict(told.get("groups") or {})


@contextmanager
def _confined() -> Iterator[None]:
    """Templates in a sandbox; no network."""
    import datasets
    import huggingface_hub.constants
    import lm_eval.utils
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    theirs = lm_eval.utils.env
    sandbox = ImmutableSandboxedEnvironment(
        loader=theirs.loader, undefined=theirs.undefined, keep_trailing_newline=theirs.keep_trailing_newline
    )
    sandbox.filters.update(theirs.filters)
    with (
        _put(lm_eval.utils, "env", sandbox),
        _put(datasets.config, "HF_HUB_OFFLINE", True),
        _put(huggingface_hub.constants, "HF_HUB_OFFLINE", True),
    ):
        yield


@contextmanager
def _put(module: Any, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _numbers(told: dict[str, Any]) -> Iterator[tuple[str, tuple[float, float, int]]]:
    """Name, value, standard error (0 for none) and rows of each metric: lm_eval's keys are ``acc,none`` and
    ``acc_stderr,none``."""
    for key, value in told.items():
        metric, _, named = key.partition(",")
        if not named or metric.endswith("_stderr") or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        error = told.get(f"{metric}_stderr,{named}")
        name = metric if named == PLAIN_FILTER else f"{metric}{SEPARATOR}{named}"
        spread = float(error) if isinstance(error, int | float) else 0.0
        yield name, (float(value), spread, int(told.get("sample_len") or 0))


def _intervals(name: str, value: float, error: float, rows: int) -> tuple[Interval, ...]:
    is_share = name.split(SEPARATOR)[1] in harness_tasks.SHARES
    return tuple(each for level in CONFIDENCES if (each := sureness.told(value, error, rows, level, is_share)))
