"""How long the training texts of a prompt are in tokens, and what ``max_length`` leaves of them.

The arithmetic of trl 1.16 (SFTTrainer._prepare_dataset): tokens after the first ``max_length`` are cut; a row whose
completion is cut off wholly teaches nothing, and is dropped in silence unless rows are packed.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from studio.core.conversations import ASSISTANT, SYSTEM, USER
from studio.core.templates import Template, parse
from studio.load import samples, token_counts
from studio.load.samples import Rows
from studio.load.token_counts import NotAtHand, Tokenizer
from studio.load.turns import Said, Turns
from studio.resources.prompt import PromptFacts, templates

MAX_LENGTH = 1024
"""trl's ``max_length`` when the training arguments say nothing."""
MOST_CHARACTERS = 8_000_000
"""Characters that are tokenised; of longer texts, every n-th. About three seconds of one core."""
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, slots=True)
class Limit:
    """``tokens`` that a row may have, None for any number; ``from_end`` when the beginning of longer rows is cut."""

    tokens: int | None
    from_end: bool = False


@dataclass(frozen=True, slots=True)
class Texts:
    """How a row becomes training text: what it shows, what it teaches, and what ends it."""

    input: Template
    completion: Template
    end: str

    def pair(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """Raises KeyError for a row without a column of the templates."""
        return self.input.render(row), self.completion.render(row) + self.end

    def said(self, row: Mapping[str, Any]) -> tuple[Said, ...]:
        """Nobody speaks in a text."""
        return ()

    def columns(self) -> Iterator[str]:
        """What it needs of a row."""
        yield from (*self.input.fields, *self.completion.fields)

    def most(self, known: samples.Profile) -> int:
        """A bound on the tokens of any measured row."""
        return known.most(self.input) + known.most(self.completion)


Source = Texts | Turns
"""How a row becomes what a model learns from."""


def source(prompt: PromptFacts, loss: str, end: str = "") -> Source:
    """What a prompt makes of rows; raises TemplateError."""
    chat = prompt.chat
    if chat and chat.messages:
        return Turns(chat.messages, (), loss, end)
    if chat:
        said = ((SYSTEM, chat.system), (USER, prompt.input_template), (ASSISTANT, prompt.completion_template))
        return Turns("", tuple((role, parse(text)) for role, text in said if text), loss, end)
    shown, answer = templates(prompt).trained(loss)
    return Texts(parse(shown), parse(answer), end)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of measured rows, the tokens with which their completions begin, and their numbers among ``total``."""

    numbers: Sequence[int]
    tokens: Sequence[int]
    begins: Sequence[int]
    total: int

    def percentile(self, share: int) -> int:
        """The least length that ``share`` percent of the rows do not exceed (nearest rank)."""
        return percentile(self.tokens, share)

    @property
    def longest(self) -> int:
        return max(self.tokens)

    def over(self, limit: Limit) -> int:
        """Rows that are cut."""
        return 0 if limit.tokens is None else sum(tokens > limit.tokens for tokens in self.tokens)

    def lost(self, limit: Limit) -> int:
        """Rows of which nothing is left that they could teach."""
        most = limit.tokens
        if most is None or limit.from_end:
            return 0
        return sum(long > most <= begin for long, begin in zip(self.tokens, self.begins, strict=True))

    def all_lost(self, limit: Limit) -> bool:
        """Whether no row is left to learn from; only a look at every one of them can tell."""
        return len(self.tokens) == self.total == self.lost(limit)

    def scope(self) -> str:
        """Of which rows the figures are, in words."""
        whole = f"{self.total:,} row" + ("" if self.total == 1 else "s")
        return whole if len(self.tokens) == self.total else f"{len(self.tokens):,} measured of {whole}"


def percentile(values: Sequence[int], share: int) -> int:
    """The least value that ``share`` percent of them do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share / 100 * len(values)) - 1)]


def limit(arguments: Mapping[str, Any]) -> Limit:
    """What training arguments make of long rows. Packing cuts them only with the strategy ``bfd``, trl's default."""
    wanted = arguments.get("max_length", MAX_LENGTH)
    usable = isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0
    splits = arguments.get("packing") is True and arguments.get("packing_strategy", "bfd") != "bfd"
    return Limit(wanted if usable and not splits else None, arguments.get("truncation_mode") == "keep_end")


def end(arguments: Mapping[str, Any], eos: str) -> str:
    """What ends every training text: the tokenizer's EOS, then trl's own where the arguments name another one."""
    own = arguments.get("eos_token")
    return eos + own if isinstance(own, str) and not eos.endswith(own) else eos


def fits(profile: samples.Profile, texts: Source, limit: Limit) -> bool:
    """Whether no measured row can exceed the limit, told from the longest values without any tokenizer. What ends a
    text is within the margin of the bound."""
    return limit.tokens is None or texts.most(profile) <= limit.tokens


@lru_cache(maxsize=256)
def of_file(
    path: Path, digest: str, total: int, texts: Source, tokenizer: Tokenizer, model_digest: str, begins_over: int
) -> Lengths | NotAtHand:
    """Lengths of the rows of a file; ``digest`` and ``model_digest`` stand for the content of file and tokenizer."""
    rows = samples.read(path, total)
    if rows is None:
        return NotAtHand(f"{path.name} can no longer be read", "check it with studio validate")
    return measure(rows, texts, tokenizer, begins_over)


def measure(rows: Rows, texts: Source, tokenizer: Tokenizer, begins_over: int) -> Lengths | NotAtHand:
    """Tokens of rows, fewer of them where their texts are long; beginnings of completions only above a limit."""
    pairs = [texts.pair(row) for row in rows.rows]
    characters = sum(len(shown) + len(answer) for shown, answer in pairs)
    step = max(1, math.ceil(characters / MOST_CHARACTERS))
    counts = token_counts.count(tokenizer, pairs[::step], begins_over)
    if isinstance(counts, NotAtHand):
        return counts
    long, begins = (array("l", each) for each in zip(*counts, strict=True))
    return Lengths(rows.numbers[::step], long, begins, rows.total)
