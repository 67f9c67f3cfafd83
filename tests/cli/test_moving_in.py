"""From the old studio's database to manifests that a team can review, and a plan that finds nothing to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.core.references import Ref
from studio.load.manifests import parse_manifest
from tests import projects
from tests.state.guide_databases import Row, exported_by_the_guide, row

from .front_door import Answer, ask
from .states import reading

TRAIN = Ref("FineTuningJob", "router")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A project folder of the old studio: data, a model and an adapter, and no manifest yet."""
    root = projects.write(tmp_path / "old", ())
    (root / "manifests" / "all.yaml").unlink()
    projects.write_adapter(root / "adapters" / "router")
    return root


def database(root: Path, **changes: Row) -> dict[str, list[Row]]:
    """A project that trained once, tried to train another time, and evaluated; paths begin at the machine's root."""
    lora = json.dumps({**projects.LORA, "target_modules": ["q_proj", "v_proj"]})
    job = {"base_model_id": "m", "dataset_id": "d", "prompt_id": "p", "lora_config_id": "c", "framework_type": "legacy",
           "num_cpu": 1, "num_memory": 2, "num_epochs": 1, "learning_rate": 0.001}  # fmt: skip
    tables = {
        "models": [row("models", id="m", type="project", name="Tiny", location=f"{root}/models/tiny")],
        "datasets": [row("datasets", id="d", type="project_csv", name="Tickets", location=f"{root}/data/tickets.csv")],
        "configs": [row("configs", id="c", type="lora_config", description="small", config=lora, is_default=0)],
        "prompts": [
            row("prompts", id="p", type="in_place", name="Route", dataset_id="d",
                prompt_template="### {text}\n> {queue}", input_template="### {text}\n>", completion_template=" {queue}")
        ],
        "fine_tuning_jobs": [
            row("fine_tuning_jobs", id="j", adapter_id="a", adapter_name="router", cml_job_id="cml-7", **job),
            row("fine_tuning_jobs", id="k", adapter_name="failed", **job),
        ],
        "adapters": [
            row("adapters", id="a", type="project", name="router", model_id="m", fine_tuning_job_id="j",
                location=f"{root}/adapters/router")
        ],
        "evaluation_jobs": [
            row("evaluation_jobs", id="e", type="mlflow", base_model_id="m", adapter_id="a", dataset_id="d",
                prompt_id="p", num_cpu=1, num_gpu=0, num_memory=2)
        ],
    }  # fmt: skip
    for table, values in changes.items():
        tables[table][0] |= values
    return tables


def moved(root: Path, tables: dict[str, list[Row]], *arguments: str) -> Answer:
    file = root.parent / "old.json"
    file.write_text(exported_by_the_guide(tables))
    return ask(root, "state", "import", str(file), "--manifests", str(root / "manifests" / "moved"), *arguments)


def actions(root: Path) -> dict[str, str]:
    plan = json.loads(ask(root, "plan", "--json").out)
    return {each["resource"]: each["action"] for each in plan["actions"] if each["action"] != "none"}


def manifests(root: Path) -> list[str]:
    folder = root / "manifests" / "moved"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_project_of_the_old_studio_becomes_manifests_and_plan_finds_nothing_to_do(old: Path) -> None:
    answer = moved(old, database(old))
    assert answer.code == 0, answer.out
    assert manifests(old) == [
        "adapters/router.yaml", "configs/lora-config-small.yaml", "datasets/tickets.yaml",
        "evaluation_jobs/evaluation.yaml.aside", "fine_tuning_jobs/failed.yaml.aside", "fine_tuning_jobs/router.yaml",
        "models/tiny.yaml", "prompts/route.yaml",
    ]  # fmt: skip
    assert "Wrote 6 manifests" in answer.out and "6 are taken over" in answer.out
    assert "FineTuningJob/failed: it would run again: no adapter of it is known" in answer.out
    assert ask(old, "validate").code == 0 and ask(old, "fmt", "--check").code == 0
    assert actions(old) == {}
    with reading(old) as state:
        record = state.records()[TRAIN]
    assert record.uid == "j" and record.outcome["output"]["adapter"] == "adapters/router"
    exported = json.loads(ask(old, "state", "export").out)
    job = next(each for each in exported["fine_tuning_jobs"]["data"] if each["id"] == "j")
    assert job["cml_job_id"] == "cml-7" and job["adapter_id"] == "a"


def test_a_job_whose_adapter_is_another_s_is_put_aside_and_the_adapter_stands_for_itself(old: Path) -> None:
    tables = database(old, configs={"config": json.dumps(projects.LORA | {"r": 64})})
    answer = moved(old, tables)
    assert answer.code == 0 and "has rank 8, and FineTuningJob/router asks for r: 64" in answer.out
    assert "fine_tuning_jobs/router.yaml.aside" in manifests(old)
    assert "fine_tuning_job" not in (old / "manifests/moved/adapters/router.yaml").read_text()
    assert ask(old, "validate").code == 0 and actions(old) == {}


def test_where_the_project_has_errors_nothing_is_taken_over_and_no_job_may_run(old: Path) -> None:
    answer = moved(old, database(old, datasets={"location": "data/gone.csv"}))
    assert answer.code == 1 and "the project has 1 errors; 'studio validate' shows them" in answer.out
    assert [name for name in manifests(old) if name.startswith("fine")] == [
        "fine_tuning_jobs/failed.yaml.aside", "fine_tuning_jobs/router.yaml.aside",
    ]  # fmt: skip
    assert ask(old, "validate").code == 1
    with reading(old) as state:
        assert all(record.fingerprint == "" for record in state.records().values())


def test_doing_it_again_overwrites_nothing_and_takes_nothing_over_twice(old: Path) -> None:
    assert moved(old, database(old)).code == 0
    file = old / "manifests/moved/prompts/route.yaml"
    file.write_text(file.read_text().replace("title: Route", "title: Mine"))
    before = projects.snapshot(old / "manifests")
    again = json.loads(moved(old, database(old), "--json").out)
    assert again["imported"] == [] and again["manifests"]["written"] == []
    assert "is there already, and stays" in again["manifests"]["not_written"]["EvaluationJob/evaluation"]
    assert projects.snapshot(old / "manifests") == before


def test_dry_run_writes_no_manifest_and_a_folder_that_is_not_read_is_refused(old: Path) -> None:
    assert moved(old, database(old), "--dry-run").code == 0
    assert list((old / "manifests").iterdir()) == [] and not (old / ".studio" / "state.db").exists()
    file = old.parent / "old.json"
    for folder in (old / "elsewhere", old.parent, old / "manifests" / ".." / "data"):
        answer = ask(old, "state", "import", str(file), "--manifests", str(folder))
        assert answer.code == 64 and "would not be read" in answer.err
    assert not (old / ".studio").exists()


def test_every_manifest_that_is_written_parses_to_what_was_recorded(old: Path) -> None:
    import yaml

    from studio.core.findings import Source

    moved(old, database(old))
    with reading(old) as state:
        records = state.records()
    for name in manifests(old):
        document: Any = yaml.safe_load((old / "manifests" / "moved" / name).read_text())
        manifest, problems = parse_manifest(document, Source(name))
        assert manifest is not None and problems == []
        assert manifest.resource.metadata.uid == records[manifest.resource.ref].uid
