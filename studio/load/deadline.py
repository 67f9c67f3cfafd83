"""Waiting no longer than agreed for what cannot be told to hurry, such as a name server that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, ask: Callable[[], T]) -> T:
    """What ``ask`` returns or raises; TimeoutError when it takes longer, and it goes on unheard until the end of the
    process."""
    answer: list[T] = []
    fault: list[Exception] = []

    def run() -> None:
        try:
            answer.append(ask())
        except Exception as error:  # the border of the thread: raised again below
            fault.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if fault:
        raise fault[0]
    if not answer:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answer[0]
