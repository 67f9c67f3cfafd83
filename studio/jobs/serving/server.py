"""The server: a model that is loaded behind an open socket, and an end in good order."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from studio.core.servingspec import ServingSpec
from studio.jobs.serving import serving, web
from studio.jobs.serving.front import Door
from studio.jobs.serving.sockets import LOOPBACK_NAMES, Address, is_loopback
from studio.jobs.serving.web import Desk

GRACE_SECONDS = 10.0
"""What the answer under way gets when the server is asked to end."""
HEAD_SECONDS = 10.0
"""A connection that has not sent a request's head by then is closed."""
OTHERS = 64
"""Connections beside those whose requests wait: who asks how the server is, or keeps one open."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Limits:
    """``waiting`` requests behind the one that is answered; ``seconds`` for each, its waiting included."""

    waiting: int = serving.WAITING
    seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """Which signal ended a server, 0 for none, and how many requests it had answered."""

    signal: int
    answered: int


class Impatient(H11Protocol):
    """uvicorn waits for ever for a request's head; a handful of slow clients would keep everybody else out."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _expect(self) -> None:
        """A deadline from the first moment on at which nothing but a head can come."""
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._due is None:
            self._due = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _forget(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


class Server(uvicorn.Server):
    """Ends when it is asked to: who waits is told, the answer under way may finish, within limits."""

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self.desk = desk
        self.signals: list[int] = []

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The second signal does not wait for the answer under way."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._stop) for each in SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.desk.close()
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self.desk.halt)
        await super().shutdown(sockets)

    def _stop(self, number: int, _: FrameType | None) -> None:
        if self.signals:
            self.desk.halt()
            self.force_exit = True
        self.signals.append(number)
        self.should_exit = True


@dataclass(slots=True)
class Loading:
    """The model, loaded by a thread of its own while the server already answers that it is not ready."""

    spec: ServingSpec
    desk: Desk
    waiting: int
    ready: Callable[[], None]
    failed: Callable[[], None]
    error: BaseException | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def run(self) -> None:
        try:
            self.desk.served = self._stack.enter_context(serving.opened(self.spec, self.waiting))
            self.ready()
        except BaseException as error:  # raised again by whoever waits for the server to end
            self.error = error
            self.failed()

    def close(self) -> None:
        self._stack.close()


def serve(
    spec: ServingSpec,
    opened: socket.socket,
    address: Address,
    limits: Limits,
    *,
    log: Callable[[str], None],
    ready: Callable[[], None],
) -> Stopped:
    """Serve until a signal comes. Raises JobError when the model cannot be loaded."""
    desk = desk_of(spec, address, limits.seconds)
    server = Server(config_of(desk, limits.waiting, log), desk)

    def stop() -> None:
        server.should_exit = True

    loading = Loading(spec, desk, limits.waiting, ready, stop)
    thread = threading.Thread(target=loading.run, name="load", daemon=True)
    thread.start()
    server.run(sockets=[opened])
    if server.signals and thread.is_alive():  # there is nothing to end in order before the model is loaded
        return Stopped(server.signals[0], desk.answered)
    thread.join()
    if desk.served:
        desk.halt()
        desk.served.turns.settle(GRACE_SECONDS)
    loading.close()
    if loading.error:
        raise loading.error
    return Stopped(server.signals[0] if server.signals else 0, desk.answered)


def desk_of(spec: ServingSpec, address: Address, seconds: float) -> Desk:
    """A desk without a model yet."""
    names = (spec.name, spec.title) if spec.title != spec.name else (spec.name,)
    token = address.token.encode() if address.token is not None else None
    own = LOOPBACK_NAMES | {address.host.lower()}
    hosts = own if is_loopback(address.host) else None
    return Desk(names, seconds, int(time.time()), time.monotonic, door=Door(token, hosts))


def config_of(desk: Desk, waiting: int, log: Callable[[str], None]) -> uvicorn.Config:
    """uvicorn with the application, and nothing of its own that would answer, log or tell what it is."""
    options: dict[str, Any] = {
        "http": Impatient,
        "ws": "none",
        "lifespan": "off",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "limit_concurrency": waiting + OTHERS,
        "timeout_keep_alive": 30,
        "timeout_graceful_shutdown": int(2 * GRACE_SECONDS),
    }
    return uvicorn.Config(web.application(desk, log), **options)
