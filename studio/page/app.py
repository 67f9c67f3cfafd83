"""The application of a workspace: ``studio sync`` in a process of its own, and the page beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from studio.core.errors import UsageError
from studio.jobs import launching
from studio.jobs.workspace import attending
from studio.page.content import Source
from studio.page.server import server

PORT_VARIABLE = "CDSW_APP_PORT"
"""Where a workspace expects its applications to listen."""
AGAIN_SECONDS = 60.0
"""Between two starts of a sync that ends by itself, as in a folder that is no project yet."""
STOP_SECONDS = 30.0


def run() -> None:
    """Serve and follow until SIGTERM. Raises UsageError outside an application."""
    port = os.environ.get(PORT_VARIABLE, "")
    if not port.isdecimal():
        raise UsageError(f"{PORT_VARIABLE} is not set", "this runs as an application of a workspace: cml/app.py")
    environment = os.environ.get("STUDIO_ENV") or "default"
    with attending.stopping() as stop:
        source = Source(Path.cwd(), environment, os.environ, time.monotonic)
        serving = server(int(port), Path.cwd().name, source)
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        try:
            _follow(command(environment, os.environ), stop)
        finally:
            serving.shutdown()
            serving.server_close()


def command(environment: str, environ: Mapping[str, str]) -> list[str]:
    """The command line of the sync."""
    ref = environ.get("STUDIO_REF") or "main"
    return [sys.executable, "-P", "-m", "studio", "sync", "--env", environment, "--ref", ref]


def _follow(line: list[str], stop: attending.Stop) -> None:
    """Keep a sync running; it is told to stop, and given time to end its round, when this process is."""
    while not stop.asked:
        sync = subprocess.Popen(line, stdin=subprocess.DEVNULL, preexec_fn=launching.tied())
        while sync.poll() is None and not stop.asked:
            time.sleep(attending.TICK_SECONDS)
        if stop.asked:
            sync.terminate()
            try:
                sync.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                sync.kill()
            return
        again = time.monotonic() + AGAIN_SECONDS
        while time.monotonic() < again and not stop.asked:
            time.sleep(attending.TICK_SECONDS)
