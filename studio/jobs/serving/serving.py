"""Serving: a model in memory that answers, one request at a time; what ``studio serve`` and the predict script share.

Prompts become tokens, and tokens text, by the same code as in an evaluation (``generation``), so the same prompt gets
the same greedy answer. But where an evaluation cuts a prompt that is too long, a request with one is refused.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from jinja2.exceptions import TemplateError

from studio.core.errors import JobError
from studio.core.jobspec import Resources
from studio.core.servingspec import ServingSpec
from studio.jobs.events import EventLog
from studio.jobs.model import devices, generation, lora, models, tokenizers
from studio.jobs.model.models import Base
from studio.jobs.serving import answering, released
from studio.jobs.serving.answering import Answer, Halt, Question, Reason, Say
from studio.jobs.serving.refusals import Closing, Refusal, TimedOut, Unavailable
from studio.jobs.serving.released import Files
from studio.jobs.serving.requests import Ask
from studio.jobs.serving.turns import Ticket, Turns

BETWEEN = "\n\n"
"""What joins the messages of a chat for a tokenizer without a chat template."""
SEEDS = 2**32
"""numpy takes no larger ones."""
WAITING = 16


@dataclass(frozen=True, slots=True)
class Served:
    """A model that answers. ``settings`` are its generation settings, which a request may override."""

    spec: ServingSpec
    model: Any
    tokenizer: Any
    settings: dict[str, Any]
    turns: Turns
    _reading: threading.Lock = field(default_factory=threading.Lock)
    """A tokenizer written in Rust can be borrowed by one thread only."""

    def join(self) -> Ticket:
        """A place in the queue; raises Busy at once when it is full."""
        return self.turns.join()

    def answer(self, ask: Ask, ticket: Ticket, halt: Halt, say: Say | None = None) -> Answer:
        """The answer, when the ticket's turn has come. Raises Refusal for what the model cannot be asked, for a
        deadline that passed, and for an answer that nobody waits for."""
        try:
            question = self.question(ask)
        except BaseException:
            self.turns.leave(ticket)
            raise
        with self.turns.turn(ticket, lambda: halt.is_cancelled, halt.deadline):
            found = self._generate(question, halt, say)
        if found.reason is Reason.CANCELLED:
            raise Closing()
        if found.reason is Reason.TIMEOUT:
            raise TimedOut("the answer took too long", "ask for fewer tokens with max_tokens")
        return found

    def question(self, ask: Ask) -> Question:
        """Tokens and settings. Raises Refusal when the model has no room for them."""
        with self._reading:
            ids = self._ids(ask)
        config = self._config(ask)
        places = generation.positions(self.model)
        if places is not None:
            left = places - len(ids)
            wanted = int(config.max_new_tokens or 0)
            if left < 1 or (ask.max_tokens and wanted > left):
                raise Refusal(
                    f"the prompt has {len(ids)} tokens and asks for {ask.max_tokens or 'at least one'} more, "
                    f"the model has room for {places}",
                    "shorten the prompt, or lower max_tokens",
                    param="messages" if ask.messages else "prompt",
                    code="context_length_exceeded",
                )
            config.max_new_tokens = min(wanted, left)
        return Question(ids, config, ask.stop, self._seed(ask, config))

    def _ids(self, ask: Ask) -> list[int]:
        if not ask.messages:
            return generation.token_ids(self.tokenizer, [ask.prompt])[0]
        if not self.tokenizer.chat_template:
            joined = BETWEEN.join(message["content"] for message in ask.messages)
            if not joined:
                raise Refusal("the messages are empty", param="messages")
            return generation.token_ids(self.tokenizer, [joined])[0]
        try:
            text = self.tokenizer.apply_chat_template(
                list(ask.messages), tokenize=False, add_generation_prompt=True
            )  # the template writes special tokens itself
        except (TemplateError, TypeError, ValueError, SyntaxError, RecursionError) as error:
            raise Refusal(f"the model's chat template refuses the messages: {error}", param="messages") from error
        return generation.token_ids(self.tokenizer, [str(text)], special=False)[0]

    def _config(self, ask: Ask) -> Any:
        """The model's settings, with those of the request. A temperature above 0, or top_p, asks for sampling."""
        values = dict(self.settings)
        if ask.max_tokens:
            values["max_new_tokens"] = ask.max_tokens
        if ask.temperature == 0:
            values["do_sample"] = False
        elif ask.temperature is not None or ask.top_p is not None:
            given = {"temperature": ask.temperature, "top_p": ask.top_p}
            values |= {"do_sample": True, **{name: value for name, value in given.items() if value is not None}}
        return generation.settings(values, self.tokenizer, self.model.generation_config)

    @staticmethod
    def _seed(ask: Ask, config: Any) -> int | None:
        """The request's, else a new one: two requests that sample do not get the same answer."""
        if not config.do_sample:
            return None
        return secrets.randbelow(SEEDS) if ask.seed is None else ask.seed % SEEDS

    def _generate(self, question: Question, halt: Halt, say: Say | None) -> Answer:
        if halt.is_cancelled:
            raise Closing()
        try:
            return answering.answer(self.model, self.tokenizer, question, halt, say)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise Unavailable("not enough memory for this request", "shorten the prompt or lower max_tokens") from error


@contextmanager
def opened(spec: ServingSpec, waiting: int = WAITING) -> Iterator[Served]:
    """The model in memory, warmed up, for as long as the context lasts. Raises JobError for what a user can mend."""
    with released.files(spec) as files:
        base = loaded(spec, files, waiting)
        if files.adapter is None:
            yield base
            return
        with lora.attached(base.model, files.adapter, spec.adapter.name if spec.adapter else spec.title) as adapted:
            tokenizers.adopt_template(base.tokenizer, files.adapter)
            yield _warm(replace(base, model=adapted))


def loaded(spec: ServingSpec, files: Files, waiting: int) -> Served:
    """The model of these files without their adapter, in memory and warmed up; raises JobError as ``opened`` does."""
    transformers.utils.logging.disable_progress_bar()
    generation.check(files.generation)
    if (files.generation.get("num_return_sequences") or 1) != 1:
        raise JobError("generation_config: num_return_sequences must be 1 where a model is served")
    tokenizer = tokenizers.load(files.folder, files.model, files.adapter)
    events = EventLog(Path(os.devnull), muted=True)
    model = models.load(Base(files.model, files.folder), devices.choose(resources(spec), events), events)
    tokenizers.configure_padding(tokenizer, embeddings=models.embeddings(model))
    return _warm(Served(spec, model, tokenizer, files.generation, Turns(waiting)))


def resources(spec: ServingSpec) -> Resources:
    """What was asked for; a GPU is used where there is one."""
    return spec.resources.model_copy(update={"gpu": 1 if torch.cuda.is_available() else 0})


def _warm(served: Served) -> Served:
    """One answer of one token: the first request must not pay for what every process pays once, and what the model
    cannot do is found before anybody asks."""
    served.answer(Ask("Hello", max_tokens=1), served.join(), Halt())
    return served
