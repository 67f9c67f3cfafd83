"""Ctrl-C, once and twice: the first stops waiting in good order, the second leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, Self

from studio.cli.errors import Exit

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal, a CI runner and a closed terminal send. None of them stops a job."""
STOPPING = "\nStopping; jobs that run go on. Once more leaves at once.\n"


@dataclass(slots=True)
class Interrupts:
    """Within it, the first signal raises KeyboardInterrupt; the second prints ``last_words`` and ends the process.

    Python calls its handlers between two steps of the main thread, which may wait for a database for half a minute. So
    signals are also counted by a thread, which speaks and leaves when the main thread cannot.
    """

    last_words: Callable[[], str]
    _before: dict[signal.Signals, Any] = field(default_factory=dict)
    _stopping: bool = False
    _said: bool = False
    _voice: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever says that we stop: the thread or the handler, which comes first."""
    _reader: int = -1
    _writer: int = -1
    _wakeup: int = -1

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        for each in SIGNALS:
            if signal.getsignal(each) is not signal.SIG_IGN:  # nohup, or a shell's background job
                self._before[each] = signal.signal(each, self._interrupt)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        threading.Thread(target=self._count, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for each, handler in self._before.items():
            signal.signal(each, handler)
        os.close(self._writer)  # which ends the thread

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        if not self._stopping:
            self._stopping = True
            self._announce()
            raise KeyboardInterrupt

    def _announce(self) -> None:
        with self._voice:
            if not self._said:
                self._said = True
                _say(STOPPING)

    def _count(self) -> None:
        came = 0
        while received := os.read(self._reader, 1):
            if received[0] not in self._before:
                continue
            came += 1
            if came > 1:
                _say(f"{self.last_words()}\n")
                os._exit(Exit.INTERRUPTED)
            self._announce()
        os.close(self._reader)


def _say(text: str) -> None:
    """Past Python's buffers, whose locks the interrupted code may hold."""
    try:
        os.write(2, text.encode())
    except OSError:
        return  # the terminal is gone, which may be why the signal came
