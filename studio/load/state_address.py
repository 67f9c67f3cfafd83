"""Whether studio may connect to the state's address that ``studio.yaml`` spells out.

``studio.yaml`` comes with a pull request, and ``plan`` reads state: whoever opens one could have a runner connect to
any host that it reaches, and send the password there that libpq finds in the environment. What a variable holds is its
owner's word, and so is ``STUDIO_STATE_HOSTS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.core.errors import StudioError
from studio.load.disclosure import LOOPBACK

HOSTS = "STUDIO_STATE_HOSTS"
PORT = "5432"
IDENTITY = frozenset({"host", "port", "dbname", "user", "password"})
HARMLESS = frozenset(
    {
        "application_name", "connect_timeout", "keepalives", "keepalives_count", "keepalives_idle",
        "keepalives_interval", "sslmode", "target_session_attrs", "tcp_user_timeout",
    }
)  # fmt: skip
"""Settings of a connection that name neither another host nor a file."""


def demand_known(url: str, root: Path, environ: Mapping[str, str]) -> None:
    """Raise StudioError unless the state is on this machine, or the environment names its host.

    The driver's own reading of the URL counts, so nothing reads it otherwise.
    """
    if url.partition(":")[0] in ("sqlite", "sqlite+pysqlite"):
        return
    from studio.state.engine import locate

    located = locate(url, root)
    if located.get_backend_name() == "sqlite":
        return
    asked = located.get_dialect()().create_connect_args(located)[1]
    beyond = sorted(set(asked) - IDENTITY - HARMLESS)
    if beyond:
        hint = "take it out of the URL, or keep the whole URL in a variable: state: {env: STUDIO_STATE_URL}"
        raise StudioError(f"the state's URL in studio.yaml sets {beyond[0]!r}, which is not for a project to say", hint)
    known = {_spelled(each) for each in environ.get(HOSTS, "").replace(",", " ").split()}
    for host, port in _servers(asked):
        if not _is_local(host) and (host.lower(), port) not in known:
            at = f"{host}:{port}"
            raise StudioError(
                f"the state is at {at}, and only studio.yaml names that host",
                f"set {HOSTS}={at} where studio runs if it is yours, or keep the URL in a variable: "
                "state: {env: STUDIO_STATE_URL}",
            )


def _servers(asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Hosts and ports that the driver will try; the environment's own where the URL names none."""
    hosts = str(asked.get("host", "")).split(",")
    ports = str(asked.get("port", PORT)).split(",")
    for index, host in enumerate(hosts):
        yield host, ports[min(index, len(ports) - 1)] or PORT


def _is_local(host: str) -> bool:
    """Whether a connection stays on this machine: a socket's folder, the loopback, or what libpq is set to here."""
    return not host or host.startswith("/") or host.lower() in LOOPBACK


def _spelled(named: str) -> tuple[str, str]:
    """``host``, ``host:port`` or ``[::1]:port`` as host and port."""
    host, colon, port = named.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.startswith("[")):
        host, port = named, PORT
    return host.strip("[]").lower(), port
