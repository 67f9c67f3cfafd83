"""One request on its way: a thread answers it while the event loop listens to both sides."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

from starlette.requests import Request

from studio.jobs.serving.answering import Answer, Halt
from studio.jobs.serving.requests import Ask
from studio.jobs.serving.serving import Served

Item = str | Answer | BaseException


class Gone(Exception):
    """Whoever asked has hung up."""


@dataclass(slots=True)
class Crew:
    """Threads that are kept for the next work: one that computes for the first time makes a team of its own, which
    took a sixth of a short answer's processor time. They never keep the process from ending."""

    _works: SimpleQueue[Callable[[], None]] = field(default_factory=SimpleQueue)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _idle: int = 0

    def perform(self, work: Callable[[], None]) -> None:
        """In another thread, at once."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                threading.Thread(target=self._go_on, name="answer", daemon=True).start()
        self._works.put(work)

    def _go_on(self) -> None:
        while True:
            self._works.get()()
            with self._lock:
                self._idle += 1


class Flight:
    """An answer that is being made. Its thread ends soon after ``halt`` is cancelled."""

    def __init__(self, served: Served, ask: Ask, halt: Halt, crew: Crew, *, in_pieces: bool) -> None:
        """Takes a place in the queue; raises Busy at once when there is none."""
        self.halt = halt
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Item] = asyncio.Queue()
        ticket = served.join()
        say = self._put if in_pieces else None

        def perform() -> None:
            try:
                self._put(served.answer(ask, ticket, halt, say))
            except BaseException as error:  # whatever it is, somebody waits for it
                self._put(error)

        crew.perform(perform)

    async def next(self, request: Request) -> str | Answer:
        """The next piece of text, or the whole answer as the last. Raises what the answer failed with, and Gone when
        the client hangs up meanwhile; then nothing more is generated for it."""
        item = asyncio.create_task(self._items.get())
        gone = asyncio.create_task(_hung_up(request))
        try:
            await asyncio.wait({item, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not item.done():
                raise Gone()
            return self._said(item.result())
        finally:
            item.cancel()
            gone.cancel()
            if not item.done():
                self.halt.cancel()

    async def whole(self, request: Request) -> Answer:
        """The answer, once it is complete."""
        while not isinstance(item := await self.next(request), Answer):
            pass
        return item

    async def rest(self) -> AsyncIterator[str | Answer]:
        """What is left of a stream; a stream that is left early ends the answer."""
        try:
            while True:
                item = self._said(await self._items.get())
                yield item
                if isinstance(item, Answer):
                    return
        finally:
            self.halt.cancel()

    def _put(self, item: Item) -> None:
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self.halt.cancel()

    @staticmethod
    def _said(item: Item) -> str | Answer:
        if isinstance(item, BaseException):
            raise item
        return item


async def _hung_up(request: Request) -> None:
    """Returns when the client is gone; the body has been read, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
