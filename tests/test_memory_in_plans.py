"""The estimate where users meet it: in plans, beside what a training asks for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from studio.apply.recording import Recorder
from studio.core.references import Ref
from studio.plan.actions import to_json
from studio.report.plans import to_text
from studio.resources.model import ModelFacts
from studio.state.base import Record
from studio.workflow import planning
from tests.projects import ROOT

JOB = Ref("FineTuningJob", "router")


@pytest.fixture
def quickstart(tmp_path: Path) -> Path:
    for name in ("studio.yaml", "manifests", "data", "models"):
        source = ROOT / "examples" / "quickstart" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    return tmp_path


def plan(root: Path) -> planning.Planned:
    made = planning.plan(root, "default")
    assert isinstance(made, planning.Planned), made.findings
    return made


def test_a_plan_shows_it_for_trainings_that_will_run_and_for_nothing_else(quickstart: Path) -> None:
    made = plan(quickstart)
    text = to_text(made.plan, made.desire, color=False)
    assert "FineTuningJob/router  job: 2 CPU, about 1.2 GB of 4 GB, time unknown\n" in text
    known = {each["resource"]: each["estimated_memory_bytes"] for each in to_json(made.plan)["actions"]}
    assert 1.0e9 < known.pop(str(JOB)) < 1.3e9
    assert set(known.values()) == {None}


def test_longer_rows_need_more(quickstart: Path) -> None:
    before = next(each.memory for each in plan(quickstart).plan.actions if each.ref == JOB)
    with (quickstart / "data" / "tickets.csv").open("a") as file:
        file.write(f"{'word ' * 500},other\n")
    after = next(each.memory for each in plan(quickstart).plan.actions if each.ref == JOB)
    assert before and after and after > 1.5 * before


def test_nothing_is_said_where_the_model_is_not_known(quickstart: Path) -> None:
    config = quickstart / "models" / "tiny-llama" / "config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps({**content, "hidden_size": "wide"}))
    made = plan(quickstart)
    assert "FineTuningJob/router  job: 2 CPU, 4 GB, time unknown\n" in to_text(made.plan, made.desire, color=False)


def test_a_model_s_shape_has_no_place_in_its_record(quickstart: Path) -> None:
    class Store:
        """Keeps what is saved."""

        saved: Record

        def save_records(self, records: list[Record]) -> None:
            (self.saved,) = records

    item = plan(quickstart).desire.items[Ref("Model", "tiny-llama")]
    assert isinstance(item.facts, ModelFacts) and item.facts.shape
    store = Store()
    Recorder(store, {}, "", lambda: "", lambda: "id", {}).register(item)  # type: ignore[arg-type]
    assert set(store.saved.facts) == {"family", "digest", "mlflow_experiment_id", "mlflow_run_id"}
