"""Opening the database: where it is, which schema it has, and bringing it forward."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from studio.core.errors import StudioError
from studio.state.encoding import dumps, loads
from studio.state.faults import explained, place
from studio.state.glance import opener, steadily
from studio.state.schema import REVISIONS

BUSY_SECONDS = 30.0
"""How long to wait for another process's transaction."""
HEAD = REVISIONS[-1]
"""The schema this version of studio writes; a test holds it against the migrations."""
IMMEDIATE = "studio_immediate"
"""The option of a connection whose SQLite transactions take the lock when they begin, as one that writes must."""
_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
_FORMS = "write sqlite:///path or postgresql+psycopg://user@host/db"
_SERVER = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""libpq's words for: a host that does not answer is given up, at first after seconds, later within half a minute."""
_JSON = {"json_serializer": dumps, "json_deserializer": loads}
_SESSION = f"SET lock_timeout = '{BUSY_SECONDS:.0f}s'; SET idle_in_transaction_session_timeout = '60s'"
"""A process that was paused inside a transaction must not keep its locks for ever: the server ends its session."""
_MIGRATING = 0x66696E652D74756E
"""The key of the advisory lock of whoever migrates: the bytes of ``fine-tun``."""


def locate(url: str, root: Path) -> URL:
    """The state's URL with a relative SQLite path taken from the project's root."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise StudioError("the state URL is not valid (it is not shown: it may hold a secret)", _FORMS) from error
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in _DRIVERS:
        raise StudioError(f"the state cannot be kept in {parsed.drivername!r}", _FORMS)
    if parsed.get_backend_name() != "sqlite":
        return parsed
    if not parsed.database or ":memory:" in parsed.database:
        raise StudioError("a state in memory is lost when the command ends", "write sqlite:///.studio/state.db")
    return parsed.set(database=str(root / parsed.database))


def sqlite_file(url: URL) -> Path | None:
    """The file behind an SQLite URL."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def connect(url: URL, *, read_only: bool = False) -> Engine:
    """An engine; SQLite in WAL mode. ``read_only``: unable to write, and a file is left exactly as it was."""
    if url.get_backend_name() != "sqlite":
        return _remote(url, read_only)
    file = sqlite_file(url)
    if file and file.is_dir():
        raise StudioError(f"the state at {place(url)} is a folder", f"name a file in it, such as {file.name}/state.db")
    return _glance(url, file) if read_only and file else _file(url)


def _glance(url: URL, file: Path) -> Engine:
    """Connections last for one look, so that nothing stays open that a writer of this process would meet."""
    return create_engine(url, creator=opener(file, BUSY_SECONDS), poolclass=NullPool, **_JSON)


def _file(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None}, **_JSON)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(IMMEDIATE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


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


def _remote(url: URL, read_only: bool) -> Engine:
    settings = {key: value for key, value in _SERVER.items() if key not in url.query}
    try:
        engine = create_engine(url, pool_pre_ping=True, connect_args=settings, **_JSON)
    except ImportError as error:
        hint = "pip install 'fine-tuning-studio[postgres]'"
        raise StudioError(f"the driver of {url.drivername!r} is not installed: {error}", hint) from error

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)
            if read_only:
                cursor.execute("SET default_transaction_read_only = on")
        connection.commit()

    return engine


def revision(engine: Engine) -> str | None:
    """The schema revision of a database; None when it has no schema yet."""
    with explained(engine.url):  # also a file that is no database
        return steadily(engine, _revision)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if not found and inspect(connection).has_table("resources"):
        hint = "restore the database from a copy; nothing was changed"
        raise StudioError("the state is damaged: it does not say which schema it has", hint)
    return str(found) if found else None


def readable(engine: Engine) -> str | None:
    """The schema of a state; None when it has none yet. Raises StudioError when only a newer studio knows it."""
    found = revision(engine)
    if found not in (None, *REVISIONS):
        raise StudioError(
            f"the state at {place(engine.url)} has schema {found}, which this version of studio does not know",
            "it was written by a newer studio: use that one, or put a backup in its place",
        )
    return found


def migrate(engine: Engine) -> None:
    """Bring the schema forward to HEAD. Of several processes that want to, one does and the others wait."""
    if readable(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with explained(engine.url), writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that will write: on SQLite it takes the file's lock at once, not in its middle."""
    with engine.connect().execution_options(**{IMMEDIATE: True}) as connection, connection.begin():
        yield connection
