"""Export and import through the front door: nothing lost, nothing half done, nothing executed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.core.references import Ref
from studio.resources.base import stored
from studio.state.base import RecordStatus
from tests import projects
from tests.state.guide_databases import exported_by_the_guide, imported_by_the_guide, row
from tests.state.test_interchange import studio

from .front_door import ask
from .states import reading, writing


def fresh(tmp_path: Path) -> Path:
    return projects.write(tmp_path / "fresh", projects.data_resources())


def test_an_export_goes_into_another_state_and_plan_finds_nothing_to_do(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "state.json"
    answer = ask(trained, "state", "export", "--out", str(out))
    assert answer.code == 0 and answer.out == ""
    assert ask(trained, "state", "export").out == out.read_text()
    other = projects.write(tmp_path / "other", projects.support_desk())
    assert ask(other, "plan", "--detailed-exitcode").code == 2
    answer = ask(other, "state", "import", str(out))
    assert answer.code == 0 and answer.out.startswith("Imported 7 records: 1 Config, 1 Dataset, 1 EvaluationJob,")
    assert ask(other, "plan", "--detailed-exitcode").code == 0
    again = json.loads(ask(other, "state", "export").out)
    assert [each["command"] for each in again["studio_operations"].pop("data")] == ["state import"]
    before = json.loads(out.read_text())
    before["studio_operations"].pop("data")
    assert again == before
    repeated = ask(other, "state", "import", str(out))
    assert repeated.code == 0 and repeated.out == "Imported 0 records.\n7 were there already.\n"
    with reading(other) as state:
        assert [each.command for each in state.operations()] == ["state import"]


def test_the_old_studio_takes_an_export_and_every_id_leads_to_a_row(trained: Path) -> None:
    with writing(trained) as state:
        job = state.records()[Ref("FineTuningJob", "train")]
        output = {"task": "training", "adapter": ".studio/runs/x/adapter", "digest": "d", "metrics": {}}
        state.save_record(job.__class__(**{**_values(job), "outcome": {"output": output, "mlflow_run_id": "r1"}}))
    database, log = imported_by_the_guide(ask(trained, "state", "export").out)
    assert log == [] and database.execute("PRAGMA foreign_key_check").fetchall() == []
    joined = database.execute(
        "SELECT m.name, d.name, p.name, c.description, a.name, a.location, json_extract(j.lora_config, '$.r')"
        " FROM fine_tuning_jobs j JOIN models m ON m.id = j.base_model_id JOIN datasets d ON d.id = j.dataset_id"
        " JOIN prompts p ON p.id = j.prompt_id JOIN configs c ON c.id = j.lora_config_id"
        " JOIN adapters a ON a.id = j.adapter_id AND a.fine_tuning_job_id = j.id"
    ).fetchall()
    assert joined == [("tiny", "tickets", "route", "lora", "router", ".studio/runs/x/adapter", 8)]
    evaluated = database.execute(
        "SELECT a.name FROM evaluation_jobs e LEFT JOIN adapters a ON a.id = e.adapter_id ORDER BY e.rowid"
    ).fetchall()
    assert evaluated == [(None,), ("router",)]


def _values(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}  # type: ignore[attr-defined]


def test_a_database_of_the_old_studio_becomes_records_and_its_bad_rows_are_listed(tmp_path: Path) -> None:
    root, file = fresh(tmp_path), tmp_path / "old.json"
    tables = studio()
    tables["prompts"].append(row("prompts", id="q", name="Lost", dataset_id="gone"))
    file.write_text(exported_by_the_guide(tables))
    dry = ask(root, "state", "import", str(file), "--dry-run")
    assert dry.code == 1 and dry.out.startswith("Would import 7 records:")
    assert not (root / ".studio" / "state.db").exists()
    answer = ask(root, "state", "import", str(file))
    assert answer.code == 1
    assert "1 row was not imported:\n  prompts q: dataset_id gone is no row of datasets" in answer.out
    with reading(root) as state:
        records = state.records()
        (noted,) = state.operations()
    assert {record.uid for record in records.values()} == {"m", "d", "p", "c", "j", "a", "e"}
    assert all(record.status is RecordStatus.READY for record in records.values())
    assert noted.command == "state import" and noted.summary == {str(ref): "imported" for ref in records}
    shown = json.loads(ask(root, "state", "import", str(file), "--json").out)
    assert shown["imported"] == [] and len(shown["there_already"]) == 7
    assert shown["failed"] == [{"table": "prompts", "id": "q", "reason": "dataset_id gone is no row of datasets"}]


def test_names_that_are_taken_here_are_not_taken_away(applied: Path, tmp_path: Path) -> None:
    with reading(applied) as state:
        before = dict(state.records())
    file = tmp_path / "old.json"
    same = [row("datasets", id=f"d{n}", type="project_csv", name="Tickets") for n in range(2)]
    file.write_text(exported_by_the_guide({"datasets": same}))
    assert ask(applied, "state", "import", str(file)).code == 0
    with reading(applied) as state:
        after = state.records()
    assert {ref: after[ref] for ref in before} == before
    added = sorted(str(ref) for ref in set(after) - set(before))
    assert len(added) == 2 and all(name.startswith("Dataset/tickets-") for name in added)


def test_a_record_that_differs_from_the_one_here_is_listed_and_does_not_replace_it(
    applied: Path, tmp_path: Path
) -> None:
    file = tmp_path / "state.json"
    exported = json.loads(ask(applied, "state", "export").out)
    rows = {each["name"]: each for each in exported["studio_records"]["data"]}
    rows["tickets"]["error"], rows["tiny"]["uid"] = "changed", "another"
    exported["datasets"]["data"], exported["models"]["data"], exported["prompts"]["data"] = [], [], []
    file.write_text(json.dumps(exported))
    with reading(applied) as state:
        before = state.records()
    answer = ask(applied, "state", "import", str(file))
    assert answer.code == 1
    assert "studio_records Dataset/tickets: it is recorded here already, and the two differ" in answer.out
    assert "studio_records Model/tiny: another one is recorded here under that name, with uid" in answer.out
    with reading(applied) as state:
        assert state.records() == before


def test_sql_in_a_file_is_never_executed(applied: Path, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    hostile = "x'); DROP TABLE resources; --"
    tables = {
        "datasets": {
            "schema": "DROP TABLE resources; DELETE FROM operations;",
            "data": [row("datasets", id=hostile[:36], name=hostile)],
        }
    }
    file.write_text(json.dumps(tables))
    assert ask(applied, "state", "import", str(file)).code == 0
    with reading(applied) as state:
        assert len(state.records()) == 5 and len(state.operations()) == 2


def test_of_an_import_that_is_interrupted_nothing_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from studio.state.sql import SqlState

    root, file = fresh(tmp_path), tmp_path / "old.json"
    file.write_text(exported_by_the_guide(studio()))

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SqlState, "save_operation", dies)
    assert ask(root, "state", "import", str(file)).code == 130
    with reading(root) as state:
        assert state.records() == {} and state.operations() == []


@pytest.mark.parametrize("content", [None, "nonsense", '{"models": 3}'])
def test_what_is_no_export_is_refused_before_anything_is_made(tmp_path: Path, content: str | None) -> None:
    root, file = fresh(tmp_path), tmp_path / "old.json"
    if content is not None:
        file.write_text(content)
    answer = ask(root, "state", "import", str(file))
    assert answer.code == 64 and "state export" in answer.err
    assert not (root / ".studio").exists()


def test_an_import_waits_for_nobody_and_an_export_needs_no_lock(applied: Path, tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(exported_by_the_guide(studio()))
    with writing(applied):
        assert ask(applied, "state", "import", str(file)).code == 3
        assert ask(applied, "state", "export", "--out", str(tmp_path / "out.json")).code == 0
    refused = ask(applied, "state", "export", "--out", str(tmp_path / "nowhere" / "out.json"))
    assert refused.code == 64 and "does not exist" in refused.err


def test_what_was_imported_is_planned_as_what_it_is(tmp_path: Path) -> None:
    """A row that a manifest describes to the letter keeps its uid; plan only says that it was never looked at."""
    root, file = fresh(tmp_path), tmp_path / "old.json"
    tickets = row("datasets", id="d", type="project_csv", name="tickets", location="data/tickets.csv")
    file.write_text(exported_by_the_guide({"datasets": [tickets]}))
    assert ask(root, "state", "import", str(file)).code == 0
    with reading(root) as state:
        assert state.records()[Ref("Dataset", "tickets")].spec == stored(
            projects.wanted(root).items[Ref("Dataset", "tickets")].resource.spec
        )
    plan = json.loads(ask(root, "plan", "--json").out)
    actions = {each["resource"]: each["action"] for each in plan["actions"]}
    assert actions["Dataset/tickets"] == "update"
    assert ask(root, "apply", "--yes").code == 0
    with reading(root) as state:
        assert state.records()[Ref("Dataset", "tickets")].uid == "d"
    assert '"id": "d"' in ask(root, "state", "export").out
