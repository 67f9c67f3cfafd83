"""A workspace with template jobs, and the backend that works with it; nothing waits in real time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.backends import cml
from studio.backends.base import Site
from studio.backends.workspace.templates import EVALUATION, GENERAL, TRAINING
from studio.core.jobspec import (
    AdapterInput,
    Combination,
    DatasetInput,
    EvaluationWork,
    JobSpec,
    ModelInput,
    Resources,
    Templates,
    Tracking,
    TrainingWork,
    Work,
)
from tests.fakes.cml_server import Workspace, workspace

SCRIPT, RUNTIME = "cml/run_job.py", "docker.example/ml-runtime-cuda:1"
MODEL = ModelInput(name="m", type="project", location="models/m")
ROWS = DatasetInput(name="d", type="project_csv", location="data/d.csv")
VERSIONS = Templates(prompt="{a}")
KEY = "finetuningjob-x-0123456789abcdef"


class Clock:
    """Moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def prepared(folder: Path, **settings: Any) -> Iterator[Workspace]:
    """A workspace whose project has the template jobs; without ``limit`` its runs wait for ever."""
    with workspace(folder, **{"limit": 0, **settings}) as found:
        for name in (TRAINING, EVALUATION, GENERAL):
            add_template(found, name)
        found.calls.clear()
        yield found


def add_template(found: Workspace, name: str, **more: Any) -> str:
    body = {"name": name, "script": SCRIPT, "runtime_identifier": RUNTIME, "kernel": "python3", **more}
    return str(found.client.create_job(body, found.project_id).id)


def backend(found: Workspace, environ: Mapping[str, str] | None = None, key: str = "") -> cml.CmlBackend:
    site = Site(Path(), environ or {}, found.url, found.project_id, key or found.key, "CDSW_APIV2_KEY")
    clock = Clock()
    return cml.backend(site, cml.Time(clock, clock.sleep, jitter=lambda: 0.0))


def training(key: str = KEY, attempt: int = 1, **more: Any) -> JobSpec:
    work = TrainingWork(model=MODEL, dataset=ROWS, templates=VERSIONS, adapter_name="a", epochs=1, learning_rate=0.001)
    return spec(work, key, attempt, **more)


def evaluation(combinations: int = 2, key: str = "evaluationjob-x-0123456789abcdef", attempt: int = 1) -> JobSpec:
    several = [Combination(model=MODEL, adapter=_adapter(number)) for number in range(combinations)]
    work = EvaluationWork(combinations=tuple(several), dataset=ROWS, templates=VERSIONS, metrics=("exact_match",))
    return spec(work, key, attempt)


def _adapter(number: int) -> AdapterInput | None:
    return AdapterInput(name=f"a{number}", type="project", location="a") if number else None


def spec(work: Work, key: str = KEY, attempt: int = 1, **more: Any) -> JobSpec:
    fields: dict[str, Any] = {
        "resources": Resources(cpu=2, gpu=0, memory=4),
        "tracking": Tracking(tracking_uri="sqlite:///.studio/mlflow.db", experiment="x"),
        "secrets": {"hf_token": "HUGGINGFACE_ACCESS_TOKEN"},
    }
    return JobSpec(
        key=key, attempt=attempt, kind="FineTuningJob", name="x", fingerprint="f" * 64, environment="default",
        project_dir="/home/somebody/desk", run_dir=f".studio/runs/{key}", work=work, **{**fields, **more},
    )  # fmt: skip
