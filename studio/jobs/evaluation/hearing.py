"""Many questions to one service, several at once, by threads that nobody waits for.

A thread pool would wait for requests under way, also when the process ends: a job that has failed, or is asked to stop,
would stay for minutes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

CONCURRENT = 8

Q = TypeVar("Q")
A = TypeVar("A")


def heard(
    questions: Sequence[Q], ask: Callable[[Q, threading.Event], A], patience: float
) -> Generator[tuple[Q, A], None, None]:
    """Each question and its answer, in the order of the answers.

    ``ask`` gets an event that is set when nobody listens any more. Raises what ``ask`` raises, and TimeoutError where
    nothing comes for ``patience`` seconds. Close it in order to end early.
    """
    waiting: SimpleQueue[Q] = SimpleQueue()
    said: SimpleQueue[tuple[Q, A | BaseException]] = SimpleQueue()
    for question in questions:
        waiting.put(question)
    over = threading.Event()
    for _ in range(min(CONCURRENT, len(questions))):
        threading.Thread(target=_ask, args=(waiting, said, ask, over), name="judge", daemon=True).start()
    try:
        for _ in questions:
            try:
                question, answer = said.get(timeout=patience)
            except Empty:
                raise TimeoutError from None
            if isinstance(answer, BaseException):
                raise answer
            yield question, answer
    finally:
        over.set()


def _ask(
    waiting: SimpleQueue[Q],
    said: SimpleQueue[tuple[Q, A | BaseException]],
    ask: Callable[[Q, threading.Event], A],
    over: threading.Event,
) -> None:
    while not over.is_set():
        try:
            question = waiting.get_nowait()
        except Empty:
            return
        try:
            said.put((question, ask(question, over)))
        except BaseException as error:  # raised again by whoever listens
            said.put((question, error))
            over.set()  # what ends it all ends the others too, before anybody has listened
