"""Fixtures of the jobs' tests; what they are made of is in workbench.py."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from studio.core.jobspec import JobSpec

from . import workbench
from .workbench import MakeSpec

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workbench.build_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tickets() -> list[dict[str, str]]:
    """25 rows whose queue follows from their text."""
    return [{"text": f"{text} {queue}", "queue": queue} for text in workbench.TEXTS for queue in workbench.QUEUES]


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path, tickets: list[dict[str, str]], empty_tracking: Path) -> Path:
    """A project folder with the model, the rows as JSONL and CSV, and an MLflow database."""
    (tmp_path / ".studio").mkdir()
    shutil.copyfile(empty_tracking, tmp_path / ".studio" / "mlflow.db")
    return furnish(tmp_path, tiny_model, tickets)


def furnish(folder: Path, model: Path, tickets: list[dict[str, str]]) -> Path:
    (folder / "models").mkdir()
    (folder / "models" / "tiny").symlink_to(model)
    (folder / "data").mkdir()
    (folder / "data" / "tickets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tickets))
    lines = ["text,queue", *(f"{row['text']},{row['queue']}" for row in tickets)]
    (folder / "data" / "tickets.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def make_spec(project: Path) -> MakeSpec:
    """Build a spec for ``work`` in the project folder."""
    return lambda work, run="run", **changes: spec_in(project, work, run, **changes)


def spec_in(project: Path, work: dict[str, Any], run: str, **changes: Any) -> JobSpec:
    values = {
        "key": f"job-{run}",
        "kind": "FineTuningJob",
        "name": run,
        "fingerprint": "f" * 64,
        "environment": "dev",
        "project_dir": str(project),
        "run_dir": f".studio/runs/{run}",
        "work": work,
        "resources": {"cpu": 2},
        "tracking": {
            "tracking_uri": "sqlite:///.studio/mlflow.db",
            "experiment": "tests",
            "artifact_location": ".studio/artifacts",
        },
    }
    return JobSpec.model_validate(values | changes)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tickets: list[dict[str, str]]) -> Path:
    """A folder with an adapter that learned all 25 rows by heart, and its result.json."""
    home = furnish(tmp_path_factory.mktemp("trained"), tiny_model, tickets)
    work = workbench.training(
        split={"fraction": 1.0, "train": 1.0},
        epochs=30,
        learning_rate=2e-2,
        lora={**workbench.LORA, "r": 16, "lora_alpha": 32, "target_modules": "all-linear"},
        training_arguments={"per_device_train_batch_size": 5, "logging_steps": 20, "save_strategy": "no"},
    )
    spec = spec_in(home, work, "trained")
    result = workbench.perform(spec)
    assert result.output is not None, result.failure
    (spec.folder / "result.json").write_text(result.model_dump_json())
    return spec.folder


@pytest.fixture
def router(project: Path, trained: Path) -> str:
    """The location of that adapter in the project."""
    shutil.copytree(trained / "adapter", project / "adapters" / "router")
    return "adapters/router"
