"""The socket of a server, opened before torch is imported: a port in use is found at once, not after a minute."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, field

from studio.core.errors import StudioError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names in a Host header that mean this machine."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; ``token`` is None for nobody's but this machine's own use."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server there."""
    return host.lower() in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdigit())


def listen(address: Address) -> socket.socket:
    """An open socket. Raises StudioError for a port that is taken and for an address that this machine has not."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
    except (socket.gaierror, UnicodeError) as error:
        raise StudioError(f"{address.host} is no address: {error}", "name one of this machine's with --host") from error
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(place)
        opened.listen()
    except OSError as error:
        opened.close()
        raise _not_opened(address, error) from error
    return opened


def _not_opened(address: Address, error: OSError) -> StudioError:
    where = f"port {address.port} of {address.host}"
    match error.errno:
        case errno.EADDRINUSE:
            return StudioError(f"{where} is in use", "stop what listens there, or say --port N; 0 takes a free one")
        case errno.EACCES:
            return StudioError(f"{where} may not be opened by this user", "say --port N with N above 1023")
        case errno.EADDRNOTAVAIL:
            return StudioError(f"this machine has no address {address.host}", "say --host 127.0.0.1")
    return StudioError(f"{where} cannot be opened: {error.strerror}", "name another with --host and --port")


def url(opened: socket.socket, host: str) -> str:
    """The address as a client writes it."""
    port = opened.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
