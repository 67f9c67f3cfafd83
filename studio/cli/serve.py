"""``studio serve``."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.cli.errors import Exit
from studio.core.errors import StudioError, UsageError

if TYPE_CHECKING:
    from studio.core.references import Ref
    from studio.core.servingspec import ServingSpec
    from studio.jobs.serving.sockets import Address
    from studio.load.project import Loaded
    from studio.workflow.serving import Shelf

NEEDED = ("torch", "transformers", "peft", "mlflow", "starlette", "uvicorn")
SHORTEST_TOKEN = 16
"""Characters; shorter ones can be guessed."""
QUIET = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@click.command(epilog="Example: studio serve ModelExport/router-release --port 8080")
@click.argument("name", metavar="[KIND/]NAME")
@options.project
@options.variables
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen at.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), metavar="N",
    help="Port to listen at; 0 takes a free one.",
)  # fmt: skip
@click.option("--token-env", metavar="NAME", help="Variable that holds a token, which every request must then show.")
@click.option(
    "--max-queue", default=16, show_default=True, type=click.IntRange(0, 1000), metavar="N",
    help="Requests that may wait while one is answered; more are refused.",
)  # fmt: skip
@click.option(
    "--timeout", default=120, show_default=True, type=click.IntRange(1, 86_400), metavar="SECONDS",
    help="What a request may take, its waiting included.",
)  # fmt: skip
@click.option(
    "--generation", default="", metavar="NAME",
    help="Config of type generation_config.  [default: that of the export, else the project's default]",
)  # fmt: skip
def command(
    name: str, folder: Path, environment: str, given: dict[str, str], host: str, port: int, token_env: str | None,
    max_queue: int, timeout: int, generation: str,
) -> int:  # fmt: skip
    """Serve a model on this machine: a registered version, a trained adapter on its base, or a base model.

    Answers the guide's request form at /predict and /model, and OpenAI's at /v1/chat/completions and /v1/completions,
    one request at a time. What is served is what was applied. Listens on loopback; another host demands a token. Ctrl-C
    ends it, after the answer that is being given.
    """
    from studio.load.project import load_project
    from studio.workflow import places
    from studio.workflow.serving import SERVED, Shelf

    loaded = load_project(options.root_of(folder), environment, given)
    shelf = Shelf(loaded, places.open_state(loaded))
    ref = find(name, shelf, loaded, SERVED)
    demand_libraries()
    spec = shelf.spec(ref, len(os.sched_getaffinity(0)), generation)
    return _serve(spec, _address(host, port, token_env), max_queue, timeout)


def find(name: str, shelf: Shelf, loaded: Loaded, kinds: Sequence[str]) -> Ref:
    """The one resource of these kinds that is meant; raises UsageError for none, for several, and for one that answers
    nothing."""
    from studio.cli import resource

    known = shelf.names()
    others = resource.matching(name, shelf.others())
    if others and not resource.matching(name, known):
        raise UsageError(f"{others[0]} answers no prompts", f"name one of these kinds: {', '.join(kinds)}")
    return resource.recorded(name, known, loaded)


def demand_libraries() -> None:
    """Raise StudioError where what answers is not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise StudioError(f"{', '.join(missing)} not installed here", "pip install 'fine-tuning-studio[serve]'")


def _address(host: str, port: int, token_env: str | None) -> Address:
    from studio.jobs.serving.sockets import Address, is_loopback

    if not is_loopback(host) and token_env is None:
        hint = "say --token-env NAME; 'openssl rand -hex 32' makes a token to put into that variable"
        raise UsageError(f"--host {host} lets others in, and there is no token to tell them apart by", hint)
    return Address(host, port, _token(token_env) if token_env is not None else None)


def _token(variable: str) -> str:
    token = os.environ.get(variable, "")
    if not token:
        raise UsageError(f"--token-env: the variable {variable!r} is not set", "it holds the token itself")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(
            f"the token in {variable} holds a character that no header can carry", "use letters and digits"
        )
    if len(token) < SHORTEST_TOKEN:
        hint = "'openssl rand -hex 32' makes one"
        raise UsageError(f"the token in {variable} is shorter than {SHORTEST_TOKEN} characters", hint)
    return token


def prepare(cores: int) -> None:
    """Set what the libraries read when they are loaded."""
    from studio.core.jobspec import Resources
    from studio.jobs import threads

    for name, value in {**QUIET, **threads.environment(Resources(cpu=cores))}.items():
        os.environ.setdefault(name, value)


def _serve(spec: ServingSpec, address: Address, waiting: int, seconds: int) -> int:
    """Open the port, then load: whoever asks meanwhile is told that it is not ready."""
    from studio.jobs.serving import sockets

    began = time.monotonic()
    opened = sockets.listen(address)
    at = sockets.url(opened, address.host)
    with opened:
        click.echo(f"{spec.title} at {at}: loading; Ctrl-C ends it")
        prepare(spec.resources.cpu)
        from studio.jobs.serving import server

        def ready() -> None:
            click.echo(f"ready after {time.monotonic() - began:.1f} s\n{_example(at, address.token is not None)}")

        stopped = server.serve(spec, opened, address, server.Limits(waiting, seconds), log=click.echo, ready=ready)
    click.echo(f"ended; {stopped.answered} answered")
    gc.freeze()  # looking through all that torch left behind took the end of a process four seconds, for nothing
    return Exit.INTERRUPTED if stopped.signal == signal.SIGINT else Exit.OK


def _example(at: str, token: bool) -> str:
    header = " -H 'Authorization: Bearer TOKEN'" if token else ""
    body = """-d '{"request": {"prompt": "Hello"}}'"""
    return f"  curl {at}/predict -H 'Content-Type: application/json'{header} {body}\n  OpenAI clients: {at}/v1"
