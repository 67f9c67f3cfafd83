"""Ctrl-C, once and twice: the first stops waiting in good order, the second leaves at once."""

from __future__ import annotations

import os
import signal
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
    """Within it, the first signal raises KeyboardInterrupt; the second prints ``last_words`` and ends the process."""

    last_words: Callable[[], str]
    _stopping: bool = False
    _before: dict[signal.Signals, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        for each in SIGNALS:
            if signal.getsignal(each) is not signal.SIG_IGN:  # nohup, or a shell's background job
                self._before[each] = signal.signal(each, self._signalled)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _signalled(self, _: int, __: FrameType | None) -> None:
        if self._stopping:
            _say(f"{self.last_words()}\n")
            os._exit(Exit.INTERRUPTED)
        self._stopping = True
        _say(STOPPING)
        raise KeyboardInterrupt


def _say(text: str) -> None:
    """Past Python's buffers, whose locks the interrupted code may hold."""
    try:
        os.write(2, text.encode())
    except OSError:
        return  # the terminal is gone, which may be why the signal came
