"""What a database refused, in words: where, what, and what to do. Decided by error codes, never by text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from studio.core.errors import StateLockedError, StudioError

BUSY = "another program has been writing to it for too long; end it or wait, then try again"
_SQLITE = {
    sqlite3.SQLITE_FULL: "the disk is full: make room, then run the command again; what it had written is kept",
    sqlite3.SQLITE_READONLY: "it can only be read: check the rights on the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "check that the folder exists, and the rights on it and on the file",
    sqlite3.SQLITE_IOERR: "the disk failed: check it, and the quota",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: put a backup in its place",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database: check the path in studio.yaml",
}
_POSTGRESQL = {
    "28": "check user and password in the state's URL",
    "3D000": "create the database, or check its name in the state's URL",
    "42501": "grant the user USAGE and CREATE on the schema, and rights on the tables in it",
    "25006": "the server only reads, as a standby does: name the primary in the state's URL",
    "53100": "the server's disk is full: make room there, then run the command again",
    "53": "the server has no room for this connection: try again later",
}
_UNREACHED = "check host, port, database, user and password in the state's URL, and that the server runs"


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Errors of the database inside become StudioErrors."""
    try:
        yield
    except DBAPIError as error:
        raise explain(error, url) from error


def explain(error: DBAPIError, url: URL) -> StudioError:
    """StateLockedError where another program is in the way, else what else is wrong."""
    where = place(url)
    reason = " ".join(str(error.orig).split())
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StateLockedError(f"the state at {where} is busy: {reason}", BUSY)
        return StudioError(f"the state at {where}: {reason}", _SQLITE.get(code, "check the file and its disk"))
    code = sqlstate(error)
    if code == "55P03":
        return StateLockedError(f"the state at {where} is busy: {reason}", BUSY)
    hint = _POSTGRESQL.get(code) or _POSTGRESQL.get(code[:2], "check the server's log")
    return StudioError(f"the state at {where}: {reason}", hint if code else _UNREACHED)


def place(url: URL) -> str:
    """The state's URL as it may be shown: without password, and without options, which may hold one."""
    return url.set(query={}).render_as_string(hide_password=True)


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's code; empty where the server was not reached, and for SQLite."""
    return getattr(error.orig, "sqlstate", None) or ""


def is_lost(error: DBAPIError) -> bool:
    """Whether the connection to a server broke or could not be made, so that a new one may help."""
    if isinstance(error.orig, sqlite3.Error):
        return False
    code = sqlstate(error)
    return error.connection_invalidated or not code or code.startswith(("08", "57P0"))
