"""Which state addresses of a studio.yaml are connected to: those on this machine, and those that their owner names."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.errors import StudioError
from studio.load.state_address import demand_known
from tests import projects
from tests.cli.front_door import ask

ROOT = Path("/project")


def refused(url: str, hosts: str = "") -> str:
    try:
        demand_known(url, ROOT, {"STUDIO_STATE_HOSTS": hosts})
    except StudioError as error:
        assert error.hint
        return error.message
    return ""


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///.studio/state.db", "sqlite+pysqlite:///state.db", "postgresql:///studio",
        "postgresql://studio@localhost/studio", "postgresql+psycopg://studio@127.0.0.1:5433/studio",
        "postgresql://studio@[::1]/studio", "postgresql://studio@/studio?host=/var/run/postgresql",
    ],
)  # fmt: skip
def test_this_machine_needs_no_word(url: str) -> None:
    assert refused(url) == ""


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://studio@db.example/studio", "db.example"),
        ("postgresql://studio@DB.example/studio", "other.example:1, db.Example:5432"),
        ("postgresql://studio@db.example:6432/studio?sslmode=require", "db.example:6432"),
        ("postgresql://studio@[fd00::7]:6432/studio", "[fd00::7]:6432"),
        ("postgresql://studio@[fd00::7]/studio", "fd00::7"),
        ("postgresql://studio@/studio?host=a.example:1&host=b.example:2", "a.example:1 b.example:2"),
    ],
)
def test_a_host_that_the_environment_names_is_connected_to(url: str, hosts: str) -> None:
    assert refused(url, hosts) == ""
    assert "only studio.yaml names that host" in refused(url)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("postgresql://studio@evil.example/studio", "evil.example:5432"),
        ("postgresql://studio@db.example:6432/studio", "db.example:6432"),
        ("postgresql://studio@db.example.evil.example/studio", "evil"),
        ("postgresql://db.example@evil.example/studio", "evil.example"),
        ("postgresql://db.example:5432@evil.example/studio", "evil.example"),
        ("postgresql://a:b@db.example@evil.example/studio", "evil.example"),
        ("postgresql://studio@db.example/studio?host=evil.example", "evil.example"),
        ("postgresql://studio@db.example,evil.example/studio", "evil.example"),
        ("postgresql://studio@/studio?host=db.example:5432&host=evil.example:5432", "evil.example"),
        ("postgresql://studio@db.example/studio?hostaddr=192.0.2.6", "'hostaddr'"),
        ("postgresql://studio@db.example/studio?service=evil", "'service'"),
        ("postgresql://studio@db.example/studio?passfile=/etc/passwd", "'passfile'"),
        ("postgresql://studio@db.example/studio?sslrootcert=own.pem", "'sslrootcert'"),
        ("postgresql://studio@db.example /studio", "db.example "),
    ],
)
def test_whatever_else_a_url_leads_to_is_refused(url: str, word: str) -> None:
    assert word in refused(url, "db.example")


@given(st.from_regex(r"[a-z0-9.@:/?&=%,\[\]-]{0,30}", fullmatch=True))
def test_no_text_reaches_a_host_that_nobody_named(text: str) -> None:
    """What passes is on this machine, by the reading of the driver that connects."""
    from studio.state.engine import locate

    url = f"postgresql://{text}"
    if refused(url) == "":
        located = locate(url, ROOT)
        asked = located.get_dialect()().create_connect_args(located)[1]
        for host in str(asked.get("host", "")).split(","):
            assert not host or host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")
        assert "hostaddr" not in asked and "service" not in asked


@pytest.fixture
def ear() -> Iterator[tuple[int, list[int]]]:
    """A port where somebody listens, and a list that fills when one connects."""
    heard: list[int] = []
    with socket.create_server(("0.0.0.0", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                heard.append(1)  # before whoever connected learns of anything
                connection.close()

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("command", [("plan",), ("status",), ("apply", "--yes"), ("history",), ("doctor",), ("drift",)])
def test_a_hostile_pull_request_makes_no_command_connect(
    tmp_path: Path, ear: tuple[int, list[int]], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    port, heard = ear
    own = socket.gethostname()
    settings = projects.SETTINGS + f"spec: {{state: 'postgresql://studio@{own}:{port}/studio'}}\n"
    root = projects.write(tmp_path / "desk", projects.data_resources(), settings)
    answer = ask(root, *command)
    assert answer.code == 1 and f"{own}:{port}" in answer.out + answer.err and not heard
    monkeypatch.setenv("STUDIO_STATE_HOSTS", f"{own}:{port}")
    ask(root, "plan")
    assert heard, "named by its owner it is connected to"
