"""The line between the first process of a distributed run and the others, each in an engine of its own.

A member calls in and stays on the line until it ends, and says how it ended. A line that breaks without a word means
that the other end is gone: its connection was closed by the system, or its machine does not answer any more. So neither
waits for a dead one until the rendezvous of torch gives up, which takes half an hour.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import Any

ADDRESS_VARIABLE, TOKEN_VARIABLE = "STUDIO_LIFELINE", "STUDIO_LIFELINE_TOKEN"
LONGEST_BYTES = 4096
"""Of what a member says in all; whoever says more is none."""
CALL_SECONDS = 120.0
"""How long a member tries to call in."""
KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
"""A machine that vanished is noticed after a minute."""


@dataclass(slots=True)
class _Call:
    """A connection; ``rank`` is 0 until it has said who it is."""

    line: socket.socket
    rank: int = 0
    heard: bytes = b""


@dataclass(slots=True)
class Exchange:
    """The first process's end. ``ended`` has the exit codes that members told, ``lost`` those that said nothing."""

    host: str
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    joined: set[int] = field(default_factory=set)
    ended: dict[int, int] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    _calls: list[_Call] = field(default_factory=list)
    _door: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._door = socket.create_server((self.host, 0))
        self._door.setblocking(False)

    @property
    def variables(self) -> dict[str, str]:
        """What a member needs to call in."""
        return {ADDRESS_VARIABLE: f"{self.host}:{self._door.getsockname()[1]}", TOKEN_VARIABLE: self.token}

    def hear(self) -> None:
        """Take in all that was said up to now; waits for nothing."""
        while (line := self._accepted()) is not None:
            _prepare(line)
            self._calls.append(_Call(line))
        self._calls = [call for call in self._calls if self._heard(call)]

    def close(self) -> None:
        """Hang up: members end when they notice."""
        self._door.close()
        for call in self._calls:
            call.line.close()
        self._calls = []

    def _accepted(self) -> socket.socket | None:
        try:
            return self._door.accept()[0]
        except (BlockingIOError, ConnectionAbortedError):
            return None

    def _heard(self, call: _Call) -> bool:
        """Whether the call goes on."""
        try:
            said = call.line.recv(LONGEST_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            said = b""
        call.heard += said
        *lines, call.heard = call.heard.split(b"\n")
        known = len(call.heard) <= LONGEST_BYTES and all(self._understood(call, line) for line in lines)
        if said and known:
            return True
        call.line.close()
        if call.rank and call.rank not in self.ended:
            self.lost.add(call.rank)
        return False

    def _understood(self, call: _Call, line: bytes) -> bool:
        said = _read(line)
        if call.rank:
            self.ended[call.rank] = int(said.get("code", 1))
            return True
        if not hmac.compare_digest(str(said.get("token", "")).encode(), self.token.encode()):
            return False
        call.rank = int(said["rank"])
        self.joined.add(call.rank)
        return True


@dataclass(slots=True)
class Line:
    """A member's end."""

    _line: socket.socket

    def is_broken(self) -> bool:
        """Whether the first process is gone, or has hung up."""
        try:
            return self._line.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def tell_end(self, code: int) -> None:
        """Say how this member ended, and hang up."""
        try:
            self._line.sendall(_line(code=code))
        except OSError:  # nobody is there to hear it
            return
        finally:
            self._line.close()


def call(address: str, token: str, rank: int, patience: float = CALL_SECONDS) -> Line | None:
    """Call the first process; None when it cannot be reached."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + patience
    while True:
        try:
            line = socket.create_connection((host, int(port)), timeout=10.0)
            line.sendall(_line(token=token, rank=rank))
        except OSError:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.5)
            continue
        _prepare(line)
        return Line(line)


def _prepare(line: socket.socket) -> None:
    line.setblocking(False)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        line.setsockopt(socket.IPPROTO_TCP, option, value)


def _line(**said: Any) -> bytes:
    return json.dumps(said).encode() + b"\n"


def _read(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):  # anybody in the cluster can call
        return {}
    return said if isinstance(said, dict) else {}
