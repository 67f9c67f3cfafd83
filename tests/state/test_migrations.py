"""Every schema that was released is read as it is, and brought forward with all its rows, on both databases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, Engine, inspect, text

import studio.state.engine as database
from studio.core.errors import StateLockedError, StudioError
from studio.core.references import Ref
from studio.state import schema
from studio.state.base import Artifact, Lineage, Operation, Record, RecordStatus, Run, RunStatus
from studio.state.lease import held
from studio.state.sql import SqlState, open_engine, open_reader
from tests.cli.front_door import ask, environment

RELEASED = Path(__file__).with_name("released")
EARLIER = schema.REVISIONS[:-1]
TRAIN = Ref("FineTuningJob", "train")
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    return config


def made_by(url: str, root: Path, revision: str, *, rows: bool = True) -> Engine:
    """A database as an earlier studio left it."""
    (root / ".studio").mkdir(exist_ok=True)
    engine = database.connect(database.locate(url, root))
    config = migrations()
    with database.writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        if rows:
            for statement in (RELEASED / f"{revision}.sql").read_text().split(";\n"):
                connection.exec_driver_sql(statement)
    return engine


@pytest.fixture(params=EARLIER)
def earlier(request: pytest.FixtureRequest, state_url: str, tmp_path: Path) -> Iterator[Engine]:
    engine = made_by(state_url, tmp_path, request.param)
    yield engine
    engine.dispose()


def holds_what_0001_wrote(state: SqlState) -> bool:
    """Every value of the rows that ``released/0001.sql`` inserts; what came later has its default."""
    record = Record(
        TRAIN, "uid-2", {"num_epochs": 2}, {"name": "train", "protect": True}, "bb", {"Dataset/tickets": "aa"},
        RecordStatus.FAILED, {}, {"run_key": "k"}, "out of memory", "all.yaml:9", "abc-dirty", EARLY,
        "2026-01-03T00:00:00Z",
    )  # fmt: skip
    output = {"task": "training", "adapter": "out"}
    artifact = Artifact("FineTuningJob", "bb", output, "k", ".studio/runs/k", "m", "1", 61.5, {"cpu": 2}, LATE)
    run = Run("k", 1, "default", TRAIN, "bb", "local", RunStatus.FAILED, {"pid": 7}, "out of memory", LATE)
    summary = {"FineTuningJob/train": "failed"}
    operation = Operation("op-1", "default", "apply", "octocat", "abc", LATE, "2026-01-02T00:02:00Z", "failed", summary)
    assert state.lineage() == Lineage("11111111-2222-3333-4444-555555555555", 7)
    assert [ref.name for ref in state.records()] == ["tickets", "train"] and state.records()[TRAIN] == record
    assert state.artifacts() == [artifact] == [state.artifact("FineTuningJob", "bb")]
    assert state.outputs("FineTuningJob") == {"bb": output}
    assert [each.attempt for each in state.runs()] == [2, 1] and [each.attempt for each in state.active()] == [2]
    assert state.attempts("k")[1].handle == run.handle and state.attempts("k")[1].error == run.error
    assert state.operations() == [operation] and state.lease() is None
    return True


def test_the_schemas_that_are_read_are_those_of_the_migrations_in_one_line() -> None:
    scripts = [script.revision for script in ScriptDirectory.from_config(migrations()).walk_revisions()]
    assert (*reversed(scripts),) == schema.REVISIONS and schema.REVISIONS[-1] == database.HEAD
    assert sorted(file.stem for file in RELEASED.iterdir()) == [*EARLIER]


def test_the_migrations_make_exactly_the_tables_of_the_schema(state_url: str, tmp_path: Path) -> None:
    engine = open_engine(state_url, tmp_path)
    assert differences(engine) == []
    assert set(inspect(engine).get_table_names()) == {*schema.metadata.tables, "alembic_version"}
    engine.dispose()


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": _differ}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata))


def _differ(_: Any, __: Any, column: Column[Any], found: str | None, ___: Any, wanted: str | None) -> bool | None:
    """PostgreSQL cannot compare JSON, so its defaults are compared as text; the rest as the library does."""
    texts = {(each or "").split("::")[0].strip("'") for each in (found, wanted)}
    return len(texts) > 1 if isinstance(column.type, JSON) else None


@pytest.mark.parametrize("revision", schema.REVISIONS)
def test_every_column_says_since_which_schema_it_is_there(state_url: str, tmp_path: Path, revision: str) -> None:
    engine = made_by(state_url, tmp_path, revision, rows=False)
    there = inspect(engine)
    for table in schema.metadata.tables.values():
        expected = {column.name for column in schema.columns(table, revision)}
        assert {column["name"] for column in there.get_columns(table.name)} == expected, table.name
    engine.dispose()


def test_an_earlier_schema_is_read_as_it_is_and_not_changed(earlier: Engine, state_url: str, tmp_path: Path) -> None:
    before = database.revision(earlier)
    reader = open_reader(state_url, tmp_path, "default")
    assert isinstance(reader, SqlState) and holds_what_0001_wrote(reader)
    other = open_reader(state_url, tmp_path, "prod").lease()
    assert other is not None and other.holder.startswith("process 8 on build-8") and other.token == 9
    reader.engine.dispose()
    assert database.revision(earlier) == before != database.HEAD


def test_an_earlier_schema_comes_forward_with_all_its_rows(earlier: Engine, state_url: str, tmp_path: Path) -> None:
    engine = open_engine(state_url, tmp_path)
    assert database.revision(engine) == database.HEAD and differences(engine) == []
    assert holds_what_0001_wrote(SqlState(engine, "default"))
    with held(engine, "default", "studio apply") as state:
        state.delete_record(TRAIN)
        lease = state.lease()
        assert lease is not None and lease.token == 4 and state.lineage().serial == 8
    with pytest.raises(StateLockedError, match="locked by process 8 on build-8"), held(engine, "prod", "studio apply"):
        pytest.fail("it was held by an earlier studio")
    engine.dispose()


def test_plan_reads_an_earlier_schema_and_apply_brings_it_forward(data_only: Path) -> None:
    engine = made_by("sqlite:///.studio/state.db", data_only, "0001")
    engine.dispose()
    planned = ask(data_only, "plan")
    assert planned.code == 0 and "Dataset/tickets" in planned.out, planned
    assert "which the next apply brings forward to" in ask(data_only, "doctor").out
    assert database.revision(engine) == "0001"
    assert ask(data_only, "apply", "--yes").code == 0
    assert database.revision(engine) == database.HEAD
    assert ask(data_only, "plan", "--detailed-exitcode").code == 0


OPENER = """
import sys
from pathlib import Path
from studio.state.sql import open_engine
print("ready", flush=True)
sys.stdin.readline()
open_engine(sys.argv[1], Path(sys.argv[2])).dispose()
"""


@pytest.mark.slow
@pytest.mark.parametrize("start", ["new", *EARLIER])
def test_of_six_processes_that_bring_a_state_forward_at_once_none_is_in_the_way(
    state_url: str, tmp_path: Path, start: str
) -> None:
    if start != "new":
        made_by(state_url, tmp_path, start).dispose()
    pipe = subprocess.PIPE
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, state_url, str(tmp_path)],
            stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment(),
        )
        for _ in range(6)
    ]  # fmt: skip
    for each in openers:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    assert [each.communicate("\n", timeout=60)[1] for each in openers] == [""] * 6
    engine = database.connect(database.locate(state_url, tmp_path))
    assert database.revision(engine) == database.HEAD and differences(engine) == []
    engine.dispose()


def test_a_state_of_a_newer_studio_is_refused_and_left_alone(state_url: str, tmp_path: Path) -> None:
    engine = open_engine(state_url, tmp_path)
    with database.writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for attempt in (lambda: open_reader(state_url, tmp_path, "default"), lambda: open_engine(state_url, tmp_path)):
        with pytest.raises(StudioError) as error:
            attempt()
        assert "has schema 9999" in error.value.message and "newer studio" in error.value.hint
        assert "hunter2" not in error.value.message
    assert database.revision(engine) == "9999"
    engine.dispose()
