"""A project folder that was moved: its own MLflow database still names the folder's old place.

MLflow stores every artifact's place as an absolute address. Without this, runs of a moved project would go on writing
to where it was, and its registered models would not load. Only SQLite's own module is used: whoever only wants to know
need not import MLflow. Tables and columns: mlflow 3.17, store/tracking/dbmodels/models.py and
store/model_registry/dbmodels/models.py; those that another version lacks are passed over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

EXPERIMENTS = ("experiments", "artifact_location")
CONTENT = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Columns that hold an address below an experiment's."""
BUSY_SECONDS = 30.0


def local_path(address: str) -> Path | None:
    """The folder behind an artifact's address; None for one that is not a path of a machine."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(address) if not parts.scheme and address.startswith("/") else None


def moved(folder: Path, project: Path, location: str) -> Path | None:
    """Where a stored folder is now, if it went along with the project; ``location`` is that of all artifacts in it."""
    before, within, tail = str(folder).rpartition(f"/{location}/")
    return project / location / tail if within and Path(before) != project else None


def old_addresses(database: Path, project: Path, location: str) -> list[str]:
    """What experiments of the project say of their place, where it is another than the project's.

    Empty for a database outside the project: several projects may share it, and each has its own place.
    """
    if not database.is_file() or not database.is_relative_to(project):
        return []
    with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as opened:
        if not _has(opened, *EXPERIMENTS):
            return []
        rows = opened.execute("SELECT DISTINCT artifact_location FROM experiments ORDER BY 1").fetchall()
    return [address for (address,) in rows if address and _is_old(address, project, location)]


def mend(database: Path, project: Path, location: str) -> list[str]:
    """Name the project's place where its old one is named; returns the old addresses, none when nothing was wrong.

    Where only the database was brought along, what is stored stays known by its old place; new runs go to the new one.
    """
    old = old_addresses(database, project, location)
    if not old:
        return old
    new = (project / location).as_uri()
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as opened, opened:
        for address in old:
            left = local_path(address)
            whole = (project / location).is_dir() or left is None or not left.is_dir()
            for table, column in (EXPERIMENTS, *(CONTENT if whole else ())):
                if _has(opened, table, column):
                    opened.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                        f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (new, len(address) + 1, address, len(address) + 1, f"{address}/"),
                    )
    return old


def _is_old(address: str, project: Path, location: str) -> bool:
    folder = local_path(address)
    return folder is not None and str(folder).endswith(f"/{location}") and folder != project / location


def _has(opened: sqlite3.Connection, table: str, column: str) -> bool:
    return column in _columns(opened, table)


def _columns(opened: sqlite3.Connection, table: str) -> Iterator[str]:
    return (str(name) for (name,) in opened.execute("SELECT name FROM pragma_table_info(?)", (table,)))
