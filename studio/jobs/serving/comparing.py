"""Two models asked the same: a base model, and what was made of it. What ``studio try`` prints.

A base model is in memory once: it answers everything before the adapter is put on it, so that its answers are its own
whatever the adapter replaces. An exported version has weights of its own; the base is gone before they are loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from studio.core.errors import JobError
from studio.core.servingspec import ServingSpec
from studio.jobs.model import lora, tokenizers
from studio.jobs.serving import released, serving
from studio.jobs.serving.answering import Halt, Reason, Say
from studio.jobs.serving.refusals import Refusal
from studio.jobs.serving.requests import Ask
from studio.jobs.serving.serving import Served

ALONE = 0
"""Nobody else asks."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, or the reason why there is none; ``seconds`` from asking to its last token."""

    text: str
    tokens: int
    seconds: float
    is_cut: bool = False
    """The model would have gone on."""
    fault: str = ""


Pair = tuple[int, bool]
"""Which question, and whether it is asked of what was made, not of the base."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Who listens: told when a question is asked, what comes, and what came of it."""

    begin: Callable[[Pair], None]
    say: Callable[[Pair, str], None]
    end: Callable[[Pair, Told], None]


def compare(subject: ServingSpec, base: ServingSpec | None, asks: Sequence[Ask], telling: Telling) -> None:
    """Ask the base everything, then what was made of it. ``base`` is None where the subject names its own base model.

    Raises JobError for what cannot be loaded, and for a version that holds nothing but its base model.
    """
    for made, served in enumerate(_models(subject, base)):
        for number, ask in enumerate(asks):
            pair = (number, bool(made))
            telling.begin(pair)
            telling.end(pair, _told(served, ask, partial(telling.say, pair)))


def _models(subject: ServingSpec, base: ServingSpec | None) -> Iterator[Served]:
    """The base, and then what was made of it."""
    with released.files(subject) as files:
        if files.adapter is not None:
            served = serving.loaded(subject, files, ALONE)
            yield served
            with lora.attached(served.model, files.adapter, subject.title) as adapted:
                tokenizers.adopt_template(served.tokenizer, files.adapter)
                yield replace(served, model=adapted)
            return
        if base is None:
            raise JobError(f"{subject.title} is a base model: there is nothing to compare it with")
        with released.files(base) as plain:
            yield serving.loaded(base, replace(plain, generation=files.generation), ALONE)
        yield serving.loaded(subject, files, ALONE)


def _told(served: Served, ask: Ask, say: Say) -> Told:
    began = time.monotonic()
    try:
        found = served.answer(ask, served.join(), Halt(), say)
    except Refusal as refusal:
        return Told("", 0, 0.0, fault=refusal.words)
    return Told(found.text, found.tokens, time.monotonic() - began, found.reason is Reason.LENGTH)
