"""A wire to a server that can be cut: before a word goes out, after it was heard, or for a while."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Wire:
    """Listens on ``port`` and passes everything on to a server, unless told otherwise."""

    server: int
    listener: socket.socket
    cut_before: bytes = b""
    """Once a client sends this, it is not passed on and the wire is cut."""
    cut_after: bytes = b""
    """Once a client sends this, the server's answer is not passed back and the wire is cut."""
    is_down: bool = False
    """Whether new connections are cut at once."""
    is_mute: bool = False
    """Whether the next answer is kept back."""
    cuts: int = 0
    ends: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def cut(self) -> None:
        """Cut whatever is connected now."""
        self.cuts += 1
        for end in self.ends:
            _hang_up(end)
        self.ends.clear()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed: the test is over
                return
            if self.is_down:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.server))
            self.ends += [client, server]
            for work in ((self._speak, client, server), (self._answer, server, client)):
                threading.Thread(target=work[0], args=work[1:], daemon=True).start()

    def _speak(self, client: socket.socket, server: socket.socket) -> None:
        for data in _heard(client):
            if self.cut_before and self.cut_before in data:
                self.cut_before = b""
                self.cut()
                return
            if self.cut_after and self.cut_after in data:
                self.is_mute = True
                server.sendall(data)
                continue
            with suppress(OSError):
                server.sendall(data)
        _hang_up(server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        for data in _heard(server):
            if self.is_mute:
                self.is_mute, self.cut_after = False, b""
                self.cut()
                return
            with suppress(OSError):
                client.sendall(data)
        _hang_up(client)


def _heard(end: socket.socket) -> Iterator[bytes]:
    with suppress(OSError):
        while data := end.recv(65536):
            yield data


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(server: int) -> Iterator[Wire]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Wire(server, listener)
        threading.Thread(target=made.serve, daemon=True).start()
        try:
            yield made
        finally:
            made.cut()
