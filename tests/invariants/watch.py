"""What a process does outside, by Python's audit events: whatever library writes, renames, starts or sends, is seen.

SQLite opens its files by itself, so that a database's bytes are to be compared.
"""

from __future__ import annotations

import os
import sys
from typing import Any

LOG, CACHE, ARMED = "WATCH_LOG", "XDG_CACHE_HOME", "WATCH_ARMED"
"""Environment variables: where deeds are written, below which folder studio may remember what it has read."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DEEDS = frozenset({
    "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.setxattr", "os.removexattr", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
    "os.spawn", "os.kill", "os.killpg", "subprocess.Popen", "socket.__new__", "socket.bind", "socket.connect",
    "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname", "shutil.move", "shutil.rmtree",
    "shutil.copyfile", "shutil.copytree", "tempfile.mkstemp", "tempfile.mkdtemp", "pty.spawn", "urllib.Request",
})  # fmt: skip


class Watch:
    """Writes deeds to the log while it is armed."""

    def __init__(self, armed: bool) -> None:
        self.cache = os.environ[CACHE]
        self.log = os.open(os.environ[LOG], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.armed = armed

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.armed and (event in DEEDS or (event == "open" and _writes(*arguments))):
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
            if not path.startswith(self.cache) and "/.coverage." not in path:  # the tests' own measuring
                words = arguments[1] if event == "subprocess.Popen" else path or arguments
                os.write(self.log, f"{event} {words}\n".encode())


def _writes(path: Any, mode: str | None, flags: int) -> bool:
    if isinstance(path, int):
        return False
    return bool(flags & WRITING) if mode is None else any(letter in mode for letter in "wax+")


def start(*, armed: bool) -> Watch:
    watch = Watch(armed)
    sys.addaudithook(watch)
    return watch
