"""Databases of the old studio: random ones, and its own import, which takes whatever file it is given."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from studio.state.guide import TABLES

Row = dict[str, Any]
SHORT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
NAMES = st.sampled_from(["Alpaca", "alpaca", "My Data!", "数据", "a.b", "-", "x" * 300]) | SHORT


def imported_by_the_guide(text: str) -> tuple[sqlite3.Connection, list[str]]:
    """``import_from_json`` of the guide: make each table, insert each row, log what fails; and the log."""
    database = sqlite3.connect(":memory:")
    log: list[str] = []
    for name, table in json.loads(text).items():
        database.execute(table["schema"])
        for row in table["data"]:
            columns = ", ".join(f'"{column}"' for column in row)
            try:
                marks = ", ".join("?" for _ in row)
                database.execute(f"INSERT INTO {name} ({columns}) VALUES ({marks})", list(row.values()))
            except sqlite3.Error as error:
                log.append(f"{name}: {error}")
    return database, log


def exported_by_the_guide(tables: Mapping[str, list[Row]]) -> str:
    """``export_to_json`` of the guide, with the table of its migrations."""
    made = {name: {"schema": f"CREATE TABLE IF NOT EXISTS {name} (...)", "data": rows} for name, rows in tables.items()}
    made["alembic_version"] = {"schema": "CREATE TABLE alembic_version (...)", "data": [{"version_num": "ab12"}]}
    return json.dumps(made)


def row(table: str, **values: Any) -> Row:
    """A row as a database gives it: every column is there."""
    return dict.fromkeys(column.name for column in TABLES[table]) | values


@st.composite
def databases(draw: st.DrawFn) -> dict[str, list[Row]]:
    """Good databases: every id that is needed leads to a row."""
    tables: dict[str, list[Row]] = {name: [] for name in TABLES}

    def ids(table: str) -> st.SearchStrategy[str]:
        return st.sampled_from([each["id"] for each in tables[table]])

    def maybe(table: str) -> str | None:
        return draw(st.none() | ids(table)) if tables[table] else None

    def add(table: str, **values: Any) -> None:
        tables[table].append(row(table, id=str(draw(st.uuids())), **values))

    words = st.none() | SHORT
    sizes = st.none() | st.integers(0, 64)
    config = st.dictionaries(st.sampled_from(["r", "lora_alpha", "bias"]), st.integers(0, 9), max_size=3)
    for _ in range(draw(st.integers(1, 3))):
        add("models", type="huggingface", name=draw(NAMES), description=draw(words), mlflow_run_id=draw(words))
        features = draw(st.none() | st.lists(SHORT, max_size=3).map(json.dumps))
        add("datasets", type="project_csv", name=draw(NAMES), location=draw(words), features=features)
    for _ in range(draw(st.integers(0, 3))):
        content, default = json.dumps(draw(config)), draw(st.sampled_from([None, 0, 1]))
        add("configs", type="lora_config", description=draw(words), config=content, is_default=default)
        add("configs", type="axolotl", description=draw(words), config="base_model: x\n")
    for _ in range(draw(st.integers(1, 2))):
        add("prompts", type="in_place", name=draw(NAMES), dataset_id=draw(ids("datasets")), prompt_template=draw(words))
    for _ in range(draw(st.integers(0, 3))):
        add(
            "fine_tuning_jobs", base_model_id=draw(ids("models")), dataset_id=draw(ids("datasets")),
            prompt_id=maybe("prompts"), num_cpu=draw(sizes), num_epochs=draw(st.none() | st.integers(1, 9)),
            learning_rate=draw(st.none() | st.floats(0, 1)), lora_config_id=maybe("configs"),
            lora_config=draw(st.none() | config.map(json.dumps)), cml_job_id=draw(words), adapter_name=draw(NAMES),
            framework_type="legacy",
        )  # fmt: skip
        job = tables["fine_tuning_jobs"][-1]
        add("adapters", type="project", name=draw(NAMES), model_id=job["base_model_id"], fine_tuning_job_id=job["id"])
        job["adapter_id"] = tables["adapters"][-1]["id"]
    for _ in range(draw(st.integers(0, 2))):
        parent, dataset, prompt = draw(st.none() | st.uuids().map(str)), draw(ids("datasets")), draw(ids("prompts"))
        for _ in range(draw(st.integers(1, 3)) if parent else 1):
            add(
                "evaluation_jobs", type="mlflow", parent_job_id=parent, base_model_id=draw(ids("models")),
                adapter_id=maybe("adapters"), dataset_id=dataset, prompt_id=prompt, num_cpu=draw(sizes),
                evaluation_dir=draw(words),
            )  # fmt: skip
    return tables
