"""What somebody else wrote into the database is told as damage, with its place, by every command."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.cli.front_door import ask

COMMANDS = (["plan"], ["apply", "--yes"], ["status"], ["state", "list"], ["destroy", "--yes"], ["drift"])


def spoil(root: Path, statement: str) -> None:
    with sqlite3.connect(root / ".studio" / "state.db") as connection:
        assert connection.execute(statement).rowcount
    connection.close()


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("spec='not json'", "spec"), ("spec='[]'", "spec"), ("metadata='7'", "metadata"), ("inputs='[]'", "inputs"),
        ("status='weird'", "status"),
    ],
)  # fmt: skip
def test_a_record_that_studio_did_not_write_is_named(data_only: Path, change: str, column: str) -> None:
    assert ask(data_only, "apply", "--yes").code == 0
    spoil(data_only, f"UPDATE resources SET {change} WHERE kind = 'Dataset'")
    for command in COMMANDS:
        answer = ask(data_only, *command)
        assert answer.code == 1 and f"the record Dataset/tickets has an unreadable {column}" in answer.err, command


def test_an_operation_that_studio_did_not_write_is_named(data_only: Path) -> None:
    assert ask(data_only, "apply", "--yes").code == 0
    for value in ("[]", "not json"):
        spoil(data_only, f"UPDATE operations SET summary = '{value}'")
        answer = ask(data_only, "history")
        assert answer.code == 1 and "the state is damaged" in answer.err


def test_a_database_that_does_not_say_its_schema_is_not_taken_for_an_empty_one(data_only: Path) -> None:
    assert ask(data_only, "apply", "--yes").code == 0
    spoil(data_only, "DELETE FROM alembic_version")
    for command in COMMANDS:
        answer = ask(data_only, *command)
        assert answer.code == 1 and "does not say which schema it has" in answer.err, command
