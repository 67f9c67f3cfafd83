"""The page of the application: what it shows, to whom, and that nothing from a project becomes markup."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from studio.page import html
from studio.page.content import Source
from studio.page.server import HEADERS, HOST, server
from tests import projects
from tests.cli.front_door import ask
from tests.projects import ROOT

NASTY = "<script>alert(1)</script>&\"'"
TOKEN = "hf_" + "a1B2" * 8


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the page of an applied project is served."""
    root = projects.write(tmp_path_factory.mktemp("page") / "desk", projects.data_resources())
    assert ask(root, "apply", "--yes").code == 0
    serving = server(0, "desk", Source(root, "default", os.environ, time.monotonic))
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield serving.server_address[1]
    serving.shutdown()
    serving.server_close()


def asked(port: int, path: str, method: str = "GET") -> tuple[HTTPResponse, str]:
    connection = HTTPConnection(HOST, port, timeout=20)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def test_the_page_shows_resources_and_history(port: int) -> None:
    answer, body = asked(port, "/")
    assert answer.status == 200 and "Dataset/" in body and "apply" in body and "not followed yet" in body
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    status = json.loads(asked(port, "/status.json")[1])
    assert status["fault"] == "" and {each["state"] for each in status["status"]} == {"ready"}
    assert json.loads(asked(port, "/history.json?x=1")[1])["history"][0]["command"] == "apply"
    assert asked(port, "/health")[1] == "ok\n"


@pytest.mark.parametrize("path", ["/studio.yaml", "/../studio.yaml", "/.studio/state.db", "/x", "/status.json/"])
def test_there_is_nothing_else_to_be_had(path: str, port: int) -> None:
    assert asked(port, path)[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_there_is_nothing_to_be_done(method: str, port: int) -> None:
    assert asked(port, "/", method)[0].status == 501


def test_a_head_has_no_body(port: int) -> None:
    answer, body = asked(port, "/", "HEAD")
    assert answer.status == 200 and int(answer.headers["Content-Length"]) > 0 and body == ""


def test_it_listens_to_this_machine_only(port: int) -> None:
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=5):
        pass


def test_what_comes_from_a_project_is_text() -> None:
    operation = {"started_at": NASTY, "command": NASTY, "actor": NASTY, "commit": NASTY, "outcome": NASTY}
    content = {
        "environment": NASTY, "fault": NASTY, "sync": {"remote": NASTY, "ref": NASTY, "seen": NASTY},
        "status": [{"resource": NASTY, "state": NASTY, "headline": NASTY}], "history": [operation],
    }  # fmt: skip
    page = html.page(NASTY, content)
    assert "<script" not in page and "&lt;script&gt;" in page


def test_secrets_are_hidden_and_faults_are_told(tmp_path: Path) -> None:
    (tmp_path / "studio.yaml").write_text(
        f"apiVersion: studio/v1\nkind: Project\nspec: {{state: 'x://u:{TOKEN}@h/d'}}\n"
    )
    content = Source(tmp_path, "default", {}, time.monotonic).content()
    assert content["fault"] and TOKEN not in json.dumps(content)


def test_a_folder_that_is_no_project_says_so(tmp_path: Path) -> None:
    fault = Source(tmp_path, "default", {}, time.monotonic).content()["fault"]
    assert "studio.yaml" in fault


def test_however_many_look_the_project_is_looked_at_once(data_only: Path) -> None:
    now = [0.0]
    source = Source(data_only, "default", os.environ, lambda: now[0])
    first = source.content()
    (data_only / "studio.yaml").unlink()
    assert source.content() is first
    now[0] += 5.0
    assert source.content()["fault"]


def test_the_application_follows_serves_and_ends_when_asked(data_only: Path) -> None:
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "cml" / "app.py")], cwd=data_only, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={**os.environ, "CDSW_APP_PORT": str(port), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while True:
        try:
            assert asked(port, "/health")[1] == "ok\n"
            break
        except ConnectionError:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed


def test_outside_an_application_it_says_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    from studio.core.errors import UsageError
    from studio.page import app

    monkeypatch.delenv("CDSW_APP_PORT", raising=False)
    with pytest.raises(UsageError, match="CDSW_APP_PORT is not set"):
        app.run()
