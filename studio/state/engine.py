"""Opening the database: where it is, which schema it has, and bringing it forward."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from studio.core.errors import StudioError

BUSY_SECONDS = 30.0
"""How long to wait for another process's transaction."""
HEAD = "0002"
"""The schema this version of studio reads and writes; a test holds it against the migrations."""
_DECODER = json.JSONDecoder()


def locate(url: str, root: Path) -> URL:
    """The state's URL with a relative SQLite path taken from the project's root."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise StudioError(
            "the state URL is not valid (it is not shown: it may hold a secret)",
            "write sqlite:///path or postgresql+psycopg://user@host/db",
        ) from error
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(database=str(root / parsed.database))
    return parsed


def sqlite_file(url: URL) -> Path | None:
    """The file behind an SQLite URL."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def connect(url: URL, *, read_only: bool = False) -> Engine:
    """An engine; SQLite in WAL mode, and unable to write when ``read_only``."""
    if url.get_backend_name() != "sqlite":
        return _remote(url)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, json_deserializer=_decoded)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        else:
            _write_ahead(cursor)
            cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    return engine


def _decoded(text: str) -> Any:
    """``json.loads`` in half the time: planning reads a hundred thousand short texts."""
    text = text.strip()
    value, end = _DECODER.raw_decode(text)
    return value if end == len(text) else json.loads(text)


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Switch the journal. Where several processes open a new file at once, SQLite refuses instead of waiting."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _remote(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True)
    except NoSuchModuleError as error:
        hint = "write sqlite:///path or postgresql+psycopg://user@host/db"
        raise StudioError(f"no database speaks {url.drivername!r}", hint) from error
    except ImportError as error:
        hint = "pip install 'fine-tuning-studio[postgres]'"
        raise StudioError(f"the driver of {url.drivername!r} is not installed: {error}", hint) from error


def revision(engine: Engine) -> str | None:
    """The schema revision of a database; None when it has no schema yet."""
    try:
        if not inspect(engine).has_table("alembic_version"):
            return None
        with engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            return str(found) if found else None
    except DatabaseError as error:  # also a file that is no database
        raise StudioError(
            f"the state at {engine.url.render_as_string()} cannot be opened: {error.orig}",
            "check the URL and the server",
        ) from error


def demand_current(engine: Engine) -> None:
    """Raise when the schema is not the one this version reads."""
    found = revision(engine)
    if found not in (None, HEAD):
        raise StudioError(
            f"the state has schema {found}, this version of studio has {HEAD}",
            "run 'studio apply' to bring an older state forward, or use a newer studio",
        )


def migrate(engine: Engine) -> None:
    """Bring the schema forward to HEAD."""
    if revision(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = revision(engine)
    if found is not None and found not in known:
        raise StudioError(f"the state has the unknown schema {found}", "it was written by a newer studio; use that one")
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":  # whoever comes second waits, then finds nothing to do
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
