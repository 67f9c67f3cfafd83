"""A laptop with a project, the workspace that its jobs run in, and the command line between them.

The clock of the backend moves when somebody sleeps, so pauses cost no time and can still be counted.
"""

from __future__ import annotations

import io
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from studio.backends import BACKENDS, cml
from studio.backends.base import Backend, Site
from studio.backends.workspace.templates import EVALUATION, GENERAL, TRAINING
from studio.cli import errors
from studio.cli.main import studio
from studio.core import beacons, parts
from studio.core.beacons import Ended
from studio.core.envelope import unpack
from studio.core.jobspec import RESULT_FILE, JobSpec
from studio.workflow import places
from tests import projects
from tests.fakes.backend import result_of
from tests.fakes.cml_server import Workspace, workspace
from tests.fakes.workspace.running import Run

TOKEN = "hf_" + "plantedTokenOfTheTests" * 2
TRACKING = "https://desk:planted-password@mlflow.invalid"
SECRETS = {
    "HUGGINGFACE_ACCESS_TOKEN": TOKEN,
    "STUDIO_MLFLOW": TRACKING,
    "AWS_SECRET_ACCESS_KEY": "planted-and-not-named",
}
SIZE = {"num_cpu": 2, "num_gpu": 0, "num_memory": 4}
JOB = {
    "base_model": "tiny", "dataset": "tickets", "prompt": "route", "lora_config": "lora", "num_epochs": 1,
    "training_arguments_config": {"use_cpu": True, "bf16": False}, **SIZE,
}  # fmt: skip
SUBMITTING = frozenset(
    {"list_jobs", "create_job", "update_job", "delete_job", "create_job_run", "list_job_runs", "stop_job_run"}
)
"""Methods that get jobs under way; the others look after them."""


@dataclass
class Clock:
    """Seconds since the epoch, as far as the backend and the loop know."""

    now: float = field(default_factory=time.time)
    slept: float = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Of a call that is made again."""
        self.slept += seconds
        self.now += seconds

    def pause(self, seconds: float) -> None:
        """Of the loop between two looks; the workspace's threads get a moment."""
        self.now += seconds
        time.sleep(0.002)


@dataclass
class Desk:
    """``performed`` counts how often each attempt of each part really ran."""

    root: Path
    cml: Workspace
    clock: Clock = field(default_factory=Clock)
    performed: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def studio(self, *arguments: str) -> tuple[int, str]:
        """One command: its exit code, and what it printed."""
        said = io.StringIO()
        line = [arguments[0], "-C", str(self.root), *arguments[1:]]
        with redirect_stdout(said), redirect_stderr(said):
            code = errors.run(lambda: studio.main(line, prog_name="studio", standalone_mode=False))
        return code, said.getvalue()

    def backend(self, site: Site) -> Backend:
        clock = self.clock
        return cml.backend(site, cml.Time(clock, clock.sleep, clock))

    def jobs(self) -> Counter[str]:
        """How many jobs there are of each name, templates aside."""
        return Counter(each["name"] for each in self.cml.state.jobs.values() if each["name"] not in TEMPLATES)

    def runs(self) -> Counter[str]:
        """How many runs each job has that were not stopped."""
        names = {id: job["name"] for id, job in self.cml.state.jobs.items()}
        kept = (run.record for run in self.cml.state.runs.values() if run.status != "ENGINE_STOPPED")
        return Counter(names[run["job_id"]] for run in kept)

    def carrying(self, secret: str) -> Counter[str]:
        """Methods of the calls that carried a secret elsewhere than in the header that is for the key."""
        return Counter(call.method for call in self.cml.calls if secret.encode() in call.sent)


TEMPLATES = (TRAINING, EVALUATION, GENERAL)
TEMPLATE = {"script": "cml/run_job.py", "runtime_identifier": "docker.example/runtime:1", "kernel": "python3"}


@contextmanager
def desk(folder: Path, documents: list[projects.Document], limit: int = 8) -> Iterator[Desk]:
    """A project of these manifests on a laptop, and its clone in the project of a workspace."""
    root, clone = folder / "laptop", folder / "workspace"
    settings = projects.SETTINGS + "spec:\n  backend: {type: cml}\n  mlflow: {tracking_uri: {env: STUDIO_MLFLOW}}\n"
    projects.write(root, documents, settings)
    shutil.copytree(root, clone)
    found: list[Desk] = []
    with workspace(clone, limit=limit, stand_in=lambda run: _perform(found[0], run)) as running:
        for name in TEMPLATES:
            running.client.create_job({"name": name, **TEMPLATE}, running.project_id)
        running.calls.clear()
        found.append(Desk(root, running))
        with _in_place(found[0]):
            yield found[0]


@contextmanager
def _in_place(made: Desk) -> Iterator[None]:
    before, kept = (BACKENDS["cml"], places.pause, places.clock), dict(os.environ)
    BACKENDS["cml"], places.pause, places.clock = made.backend, made.clock.pause, made.clock
    os.environ.update({**SECRETS, **made.cml.environ(), "CDSW_PROJECT_ID": made.cml.project_id})
    try:
        yield
    finally:
        BACKENDS["cml"], places.pause, places.clock = before
        os.environ.clear()
        os.environ.update(kept)


def trainings(number: int) -> list[projects.Document]:
    """So many jobs, each of which trains an adapter of its own."""
    jobs = (
        projects.manifest("FineTuningJob", f"train-{at:03}", {**JOB, "adapter_name": f"adapter-{at:03}",
                                                              "learning_rate": 0.001 + at / 1e6})
        for at in range(number)
    )  # fmt: skip
    return [*projects.data_resources(), *jobs]


def comparison(*adapters: str) -> projects.Document:
    """One evaluation of the bare model and some adapters, each of which is a job."""
    combinations = [{"base_model": "tiny"}, *({"base_model": "tiny", "adapter": each} for each in adapters)]
    spec = {
        "dataset": "tickets", "prompt": "route", "metrics": ["exact_match"],
        "generation_config": {"do_sample": False}, "model_adapter_combinations": combinations, **SIZE,
    }  # fmt: skip
    return projects.manifest("EvaluationJob", "compare", spec)


def _perform(made: Desk, run: Run) -> int:
    """What the worker does for the project's files, in no time; only the first delivery of an attempt does anything."""
    spec = unpack(run.environment).model_copy(update={"project_dir": str(run.folder)})
    with made.lock:
        claim = spec.folder / f"claim-{spec.attempt}"
        if claim.exists():
            return 0
        spec.folder.mkdir(parents=True, exist_ok=True)
        claim.touch()
        made.performed[spec.key, spec.attempt, spec.part] += 1
        _leave_results(spec)
    return 0


def _leave_results(spec: JobSpec) -> None:
    whole = parts.part(spec, 0)
    _write(spec)
    if spec.part and all((parts.part(spec, at + 1).folder / RESULT_FILE).exists() for at in range(parts.count(spec))):
        _write(whole)
    end = Path(spec.project_dir, beacons.of(spec).end.path)
    end.parent.mkdir(parents=True, exist_ok=True)
    end.write_bytes(beacons.told_end(Ended(code=0)))


def _write(spec: JobSpec) -> None:
    (spec.folder / RESULT_FILE).write_text(result_of(spec).model_dump_json())
