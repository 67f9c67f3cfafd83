"""One answer, token by token: told as it grows, ended by a stop text, a deadline or somebody who hung up.

transformers' own text streamers hold words back until the next space, lose spaces after line breaks with some
tokenizers, and tell no token counts; this one speaks the same protocol.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList, set_seed
from transformers.generation.streamers import BaseStreamer

from studio.jobs.model import generation

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
"""What a tokenizer decodes the first bytes of a character to."""
Say = Callable[[str], None]


class Reason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Question:
    """Token ids to go on from, and how. ``stop`` texts end the answer and are not part of it."""

    ids: list[int]
    config: GenerationConfig
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """``text`` without special tokens; ``tokens`` counts those generated, the one that ended the answer too."""

    text: str
    tokens: int
    reason: Reason
    prompt_tokens: int


class Halt(StoppingCriteria):
    """Ends an answer between two tokens. ``deadline`` as ``time.monotonic`` counts."""

    def __init__(self, deadline: float = float("inf")) -> None:
        self.deadline = deadline
        self.ended: Reason | None = None
        """Why an answer was ended; None for one that ended by itself."""
        self._cancelled = threading.Event()
        self._complete = False

    def cancel(self) -> None:
        """Nobody wants the answer any more; may be called from any thread."""
        self._cancelled.set()

    def complete(self) -> None:
        """The answer is whole although the model would go on."""
        self._complete = True

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        self.ended = self.ended or self._reason()
        return torch.full((input_ids.shape[0],), self.ended is not None, device=input_ids.device, dtype=torch.bool)

    def _reason(self) -> Reason | None:
        if self._complete:
            return Reason.STOP
        if self.is_cancelled:
            return Reason.CANCELLED
        return Reason.TIMEOUT if time.monotonic() > self.deadline else None


def answer(
    model: Any, tokenizer: PreTrainedTokenizerBase, question: Question, halt: Halt, say: Say | None = None
) -> Answer:
    """Generate; ``say`` is told each new piece of text as soon as no later token can change it."""
    if question.seed is not None:
        set_seed(question.seed)
    growing = _Growing(tokenizer, _Stops(question.stop), halt, say)
    ids = torch.tensor([question.ids], device=model.device)
    beams = (question.config.num_beams or 1) > 1  # which token comes first is known only at the end
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        stopping_criteria=StoppingCriteriaList([halt]),
        streamer=None if beams else growing,
        **generation.call_options(question.config, tokenizer),
    )
    if beams:
        growing.put(ids)
        growing.put(output[:, len(question.ids) :])
    growing.rest()
    return Answer(growing.told, len(growing.ids), growing.reason(question.config), len(question.ids))


@dataclass(slots=True)
class _Stops:
    """Looks for stop texts in what grows; what may be the beginning of one is held back."""

    texts: tuple[str, ...]
    held: str = ""
    found: bool = False

    def add(self, text: str) -> str:
        """What may be told of the text so far."""
        if not self.texts:
            return text
        self.held += text
        places = [place for place in map(self.held.find, self.texts) if place >= 0]
        if places:
            self.found = True
            told, self.held = self.held[: min(places)], ""
            return told
        keep = max(_overlap(self.held, stop) for stop in self.texts)
        told = self.held[: len(self.held) - keep]
        self.held = self.held[len(told) :]
        return told


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of ``text`` with which ``stop`` begins."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)


@dataclass(slots=True)
class _Growing(BaseStreamer):
    """The text of an answer as its tokens come.

    A token's text depends on the one before it, so each is decoded together with those since the last complete piece.
    """

    tokenizer: PreTrainedTokenizerBase
    stops: _Stops
    halt: Halt
    say: Say | None
    ids: list[int] = field(default_factory=list)
    told: str = ""
    _decoded: str = ""
    _window: int = 0
    _complete: int = 0
    _begun: bool = False

    def put(self, value: torch.Tensor) -> None:
        """Token ids from the model; the first are the prompt's."""
        if not self._begun:
            self._begun = True
            return
        if self.stops.found:
            return
        self.ids += value.reshape(-1).tolist()
        if not self._is_watched:
            return
        before = self._text(self.ids[self._window : self._complete])
        now = self._text(self.ids[self._window :])
        if len(now) > len(before) and not now.endswith(INCOMPLETE):
            self._window, self._complete = self._complete, len(self.ids)
            self._decoded += now[len(before) :]
            self._tell(now[len(before) :])

    def end(self) -> None:
        """Part of the protocol; ``rest`` does it, beams or not."""

    def rest(self) -> None:
        """Tell what is left once the last token is known, as the whole answer decodes."""
        if self.stops.found:
            return
        whole = self._text(self.ids)
        if not self._is_watched:
            self.told = whole
        elif whole.startswith(self._decoded):
            self._tell(whole[len(self._decoded) :])
        if not self.stops.found:
            self._pass_on(self.stops.held)

    @property
    def _is_watched(self) -> bool:
        """Whether the text matters before it is complete."""
        return self.say is not None or bool(self.stops.texts)

    def reason(self, config: GenerationConfig) -> Reason:
        """A stop text, an end token or a stop string of the settings; else who halted it, or the limit."""
        ended = self.stops.found or not {*self.ids[-1:]}.isdisjoint(generation.end_tokens(config))
        if not ended and self.halt.ended:
            return self.halt.ended
        return Reason.STOP if ended or len(self.ids) < int(config.max_new_tokens or 0) else Reason.LENGTH

    def _tell(self, text: str) -> None:
        self._pass_on(self.stops.add(text))
        if self.stops.found:
            self.halt.complete()

    def _pass_on(self, text: str) -> None:
        self.told += text
        if self.say and text:
            self.say(text)

    def _text(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))
