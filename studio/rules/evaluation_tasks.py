"""EV: tasks of lm-evaluation-harness."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core import harness_tasks
from studio.core.findings import Severity
from studio.core.suggest import nearest
from studio.load import task_files
from studio.load.files import Place, look
from studio.resources.evaluation_job import EvaluationJob, TaskFacts, folder_of_tasks
from studio.rules.base import Breach, View, rule


def _defined(job: EvaluationJob, view: View) -> list[tuple[str, dict[str, object] | str]]:
    facts = view.facts(job.ref, TaskFacts)
    return list(task_files.defined(view.root, facts.files)) if facts else []


@rule("EV-037", EvaluationJob)
def bad_task_name(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A task has a name that no task can have, or is listed twice.

    Bad:
        kind: EvaluationJob
        spec:
          tasks: [tasks/hellaswag.yaml]  # <-
    Good:
        kind: EvaluationJob
        spec:
          tasks: [hellaswag]
    """
    for index, name in enumerate(job.spec.tasks):
        path = f"spec.tasks.{index}"
        if not harness_tasks.NAME.match(name):
            hint = "write the task's name, such as hellaswag; tasks_dir says where files of your own are"
            yield Breach(path, f"{name!r} is not the name of a task", hint)
        elif name in job.spec.tasks[:index]:
            yield Breach(path, f"the task {name} is listed twice", "remove one")


@rule("EV-038", EvaluationJob, severity=Severity.WARNING)
def misspelt_task(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A task is named almost like one in the folder of tasks.

    It would be looked for among the tasks of lm_eval itself, once the job has its machine.

    Bad:
        kind: EvaluationJob
        spec:
          tasks: [queue-choise]  # <-
          tasks_dir: tasks
    Good:
        kind: EvaluationJob
        spec:
          tasks: [queue-choice]
          tasks_dir: tasks
    """
    own = [str(held["task"]) for _, held in _defined(job, view) if isinstance(held, dict)]
    for index, name in enumerate(job.spec.tasks):
        near = nearest(name, own) if name not in own else None
        if near:
            yield Breach(f"spec.tasks.{index}", f"{folder_of_tasks(job.spec)} has no task {name!r}",
                         f"did you mean {near!r}?")  # fmt: skip


@rule("EV-039", EvaluationJob)
def unusable_task_file(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The folder of tasks is not one, or a file in it says what is not taken from a project.

    Task files come with pull requests. One that runs a function, or reads rows from elsewhere than its own folder, is
    refused: by this rule, and by the job once more.

    Bad:
        kind: EvaluationJob
        spec:
          tasks: [queue-choice]
          tasks_dir: tsks  # <-
    Good:
        kind: EvaluationJob
        spec:
          tasks: [queue-choice]
          tasks_dir: tasks
    """
    spec = job.spec
    if not spec.tasks_dir:
        return
    path, folder = "spec.tasks_dir", folder_of_tasks(spec)
    place = look(view.root, spec.tasks_dir)
    if place is not Place.FOLDER or folder == ".":
        what = "leaves the project" if place is Place.OUTSIDE else "is not a folder of tasks in the project"
        yield Breach(
            path, f"{spec.tasks_dir!r} {what}", "write the path of a folder that holds task files and their rows"
        )
        return
    files = task_files.names(spec, view.root)
    if len(files) > task_files.MOST_FILES:
        message = f"{folder} holds {len(files)} files; {task_files.MOST_FILES} can be read"
        yield Breach(path, message, "name a folder of its own")
    found: dict[object, str] = {}
    for name, held in _defined(job, view):
        if isinstance(held, str):
            yield Breach(
                path, f"{name}: {held}", "correct it; a task file is plain YAML, without tags such as !function"
            )
        elif held["task"] in spec.tasks:
            if (first := found.setdefault(held["task"], name)) != name:
                message = f"{name}: the task {held['task']} is defined in {first} as well"
                yield Breach(path, message, "remove one of them")
            for message, hint in harness_tasks.faults(held, folder):
                yield Breach(path, f"{name}: {message}", hint)
            yield from _absent(path, name, held, folder, files)


def _absent(path: str, name: str, held: dict[str, object], folder: str, files: list[str]) -> Iterator[Breach]:
    if any(harness_tasks.faults(held, folder)):
        return
    for each in sorted(set(harness_tasks.data_files(held).values()) - set(files)):
        yield Breach(path, f"{name}: there is no data file {each!r}", "put it there, or correct data_files")


@rule("EV-040", EvaluationJob, severity=Severity.WARNING)
def idle_task_setting(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """Something is said about tasks, and no task is asked for.

    Bad:
        kind: EvaluationJob
        spec:
          num_fewshot: 5  # <-
    Good:
        kind: EvaluationJob
        spec:
          tasks: [hellaswag]
          num_fewshot: 5
    """
    if job.spec.tasks:
        return
    for name in ("tasks_dir", "num_fewshot", "limit"):
        if getattr(job.spec, name) not in (None, ""):
            yield Breach(f"spec.{name}", f"{name} has no effect: there are no tasks", f"list tasks, or remove {name}")


@rule("EV-043", EvaluationJob)
def task_setting_too_small(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A number of rows or examples of tasks is below the smallest that means something.

    No row at all measures nothing, and there are no fewer examples than none.

    Bad:
        kind: EvaluationJob
        spec:
          tasks: [hellaswag]
          limit: 0  # <-
    Good:
        kind: EvaluationJob
        spec:
          tasks: [hellaswag]
          limit: 100
    """
    for name, least in (("limit", 1), ("num_fewshot", 0)):
        value = getattr(job.spec, name)
        if value is not None and value < least:
            message = f"{name} is {value}; it must be at least {least}"
            yield Breach(f"spec.{name}", message, f"write {name}: {least}, or remove it")
