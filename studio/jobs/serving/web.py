"""What is served where: the guide's form, OpenAI's two, and whether the server is well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from studio.jobs.serving import front, openai_form, refusals, requests
from studio.jobs.serving.answering import Answer, Halt
from studio.jobs.serving.flights import Crew, Flight, Gone
from studio.jobs.serving.front import BELOW, NOTES, Door, Front, Handler, Routes
from studio.jobs.serving.openai_form import Reply
from studio.jobs.serving.refusals import Refusal
from studio.jobs.serving.requests import Ask
from studio.jobs.serving.serving import Served

MODELS = "/v1/models"
READING_SECONDS = 60.0
"""What a client may take, beyond the answer's own time, to read a stream."""


@dataclass(slots=True)
class Desk:
    """What handlers share: the model once it is loaded, its names, and the answers under way.

    ``clock`` is monotonic; ``seconds`` is what a request may take, its waiting included.
    """

    names: tuple[str, ...]
    """What requests may call the model; the first is the one told to them."""
    seconds: float
    created: int
    clock: Callable[[], float]
    served: Served | None = None
    door: Door = field(default_factory=Door)
    closing: bool = False
    under_way: set[Halt] = field(default_factory=set)
    answered: int = 0
    crew: Crew = field(default_factory=Crew)

    def model(self) -> Served:
        """Raises Loading until it is there, Closing when it soon will not be."""
        if self.closing:
            raise refusals.Closing()
        if self.served is None:
            raise refusals.Loading()
        return self.served

    def demand(self, name: str) -> None:
        """Raise unless a request means the model that is here."""
        if name not in self.names:
            hint = f"this server has {self.names[0]!r}"
            raise refusals.NotFound("there is no model of that name", hint, param="model", code="model_not_found")

    def take_off(self, ask: Ask, *, in_pieces: bool) -> Flight:
        """Begin to answer. Raises Busy when too many wait."""
        halt = Halt(self.clock() + self.seconds)
        flight = Flight(self.model(), ask, halt, self.crew, in_pieces=in_pieces)
        self.under_way.add(halt)
        return flight

    def land(self, flight: Flight) -> None:
        self.under_way.discard(flight.halt)

    def note(self, request: Request, answer: Answer, manner: str = "") -> None:
        """Count an answer, and leave its size for the log."""
        self.answered += 1
        request.scope[NOTES] = f"{answer.tokens} tokens{manner}"

    def close(self) -> None:
        """Let nobody in any more, and send away who waits."""
        self.closing = True
        if self.served:
            self.served.turns.close()

    def halt(self) -> None:
        """End what is under way between two tokens."""
        for halt in self.under_way:
            halt.cancel()


def application(desk: Desk, log: Callable[[str], None]) -> ASGIApp:
    """The whole application."""
    guide = {"POST": _guide(desk)}
    routes: Routes = {
        "/health": {"GET": _health},
        "/ready": {"GET": _ready(desk)},
        "/predict": guide,
        "/model": guide,
        MODELS: {"GET": _models(desk)},
        MODELS + BELOW: {"GET": _one_model(desk)},
        "/v1/completions": {"POST": _openai(desk, "completion")},
        "/v1/chat/completions": {"POST": _openai(desk, "chat")},
    }
    return Front(routes, desk.door, log)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "live"})


def _ready(desk: Desk) -> Handler:
    async def ready(_: Request) -> Response:
        desk.model()
        return JSONResponse({"status": "ready"})

    return ready


def _models(desk: Desk) -> Handler:
    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_described(desk)]})

    return models


def _one_model(desk: Desk) -> Handler:
    async def model(request: Request) -> Response:
        desk.demand(request.url.path.removeprefix(f"{MODELS}/"))
        return JSONResponse(_described(desk))

    return model


def _described(desk: Desk) -> dict[str, Any]:
    return {"id": desk.names[0], "object": "model", "created": desk.created, "owned_by": "studio"}


def _guide(desk: Desk) -> Handler:
    """The guide's request form, answered as a CML model answers."""

    async def predict(request: Request) -> Response:
        sent = requests.guide(requests.read_object(await front.body_of(request)))
        answer = await _whole(desk, request, Ask(sent.request.prompt))
        return JSONResponse({"success": True, "response": answer.text})

    return predict


def _openai(desk: Desk, form: Literal["chat", "completion"]) -> Handler:
    async def complete(request: Request) -> Response:
        values = requests.read_object(await front.body_of(request))
        sent, ask = requests.chat(values) if form == "chat" else requests.completion(values)
        desk.demand(sent.model)
        reply = Reply(form, desk.names[0])
        if not sent.stream:
            return JSONResponse(reply.whole(await _whole(desk, request, ask)))
        usage = bool(sent.stream_options and sent.stream_options.include_usage)
        return await _streamed(desk, request, ask, reply, usage)

    return complete


async def _whole(desk: Desk, request: Request, ask: Ask) -> Answer:
    flight = desk.take_off(ask, in_pieces=False)
    try:
        answer = await flight.whole(request)
    finally:
        desk.land(flight)
    desk.note(request, answer)
    return answer


async def _streamed(desk: Desk, request: Request, ask: Ask, reply: Reply, usage: bool) -> Response:
    """Server-sent events. The first piece is waited for, so that what cannot be answered has a status of its own."""
    flight = desk.take_off(ask, in_pieces=True)
    try:
        first = await flight.next(request)
    except BaseException:
        desk.land(flight)
        raise
    return _Stream(desk, flight, _events(desk, request, flight, first, reply, usage))


class _Stream(StreamingResponse):
    """A stream whose answer ends with it, whether it was read to its end or never begun."""

    def __init__(self, desk: Desk, flight: Flight, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._desk, self._flight = desk, flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self._flight.halt.deadline - self._desk.clock()
        try:
            async with asyncio.timeout(left + READING_SECONDS):
                await super().__call__(scope, receive, send)
        except TimeoutError as error:
            raise Gone() from error
        finally:
            self._flight.halt.cancel()
            self._desk.land(self._flight)


async def _events(
    desk: Desk, request: Request, flight: Flight, first: str | Answer, reply: Reply, usage: bool
) -> AsyncIterator[bytes]:
    try:
        for chunk in reply.first():
            yield chunk
        async for item in _joined(first, flight):
            if isinstance(item, Answer):
                desk.note(request, item, ", streamed")
                for chunk in reply.last(item, usage):
                    yield chunk
            else:
                yield reply.piece(item)
    except Refusal as refusal:
        request.scope[NOTES] = f"{refusal.status} in the stream"
        yield openai_form.event(openai_form.error(refusal))
    except Exception as error:
        request.scope[NOTES] = "500 in the stream"
        yield openai_form.event(openai_form.error(front.bug(error)))


async def _joined(first: str | Answer, flight: Flight) -> AsyncIterator[str | Answer]:
    yield first
    if not isinstance(first, Answer):
        async for item in flight.rest():
            yield item
