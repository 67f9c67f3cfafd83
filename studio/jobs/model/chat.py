"""Conversations as the tokens a model sees, and which of them it is to learn.

Chat templates say nothing of which part of their text is whose (few have ``{% generation %}`` marks). It is found by
writing: the text up to an answer is the conversation before it with the generation prompt, which is what the model
will be asked; what comes after an answer is what follows other words in its place. Whatever does not fit together is
an error that says so, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from studio.core import chat_syntax
from studio.core.conversations import ASSISTANT, Conversation, Turn
from studio.core.errors import JobError
from studio.jobs.inputs.conversations import Spoken
from studio.jobs.model import tokenizers
from studio.jobs.model.scoring import IGNORED, Scored

OTHER_WORDS = "studio9other9words"
"""Stands in for an answer, to see what its template writes after it."""
ROWS_AT_A_TIME = 1000
SHOWN = 20
"""Characters of a template's own words that a message quotes."""
UNCOMPILED = (SyntaxError, RecursionError)
"""What Python raises for the code that Jinja makes of a template: blocks too deep in each other, macros without end."""
ANOTHER_TEMPLATE = "give the prompt a chat_template of its own"
CORRECTED = "correct the file that chat_template of the prompt names"


@dataclass(frozen=True, slots=True)
class Speech:
    """How a model speaks: its tokenizer, the chat template in force, and the tokens that end its answers."""

    tokenizer: PreTrainedTokenizerBase
    template: str
    ends: frozenset[int]
    cure: str = ANOTHER_TEMPLATE
    """What to do about a template that does not serve."""

    def question(self, turns: Sequence[Turn]) -> str:
        """What the model is shown to answer next; raises JobError when the template refuses the turns."""
        return self._write(turns, add_generation_prompt=True)

    def text(self, turns: Sequence[Turn]) -> str:
        """A conversation as text; raises JobError when the template refuses it."""
        return self._write(turns)

    def _write(self, turns: Sequence[Turn], **options: Any) -> str:
        messages = [turn.message() for turn in turns]
        try:
            text = self.tokenizer.apply_chat_template(messages, chat_template=self.template, tokenize=False, **options)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, *UNCOMPILED) as error:
            raise JobError(f"the chat template refuses a conversation: {error}", self.cure) from error
        return str(text)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Conversations as tokens; for how many of them EOS had to be added to teach the model to stop; and in how many an
    answer's first token begins within the question."""

    rows: list[Scored]
    completed: int
    joined: int


@dataclass(frozen=True, slots=True)
class _Written:
    """The text of a conversation, and from where to where it is what the model is to answer, in characters."""

    text: str
    answers: tuple[tuple[int, int], ...]


def speech(tokenizer: PreTrainedTokenizerBase, template: str, ends: Sequence[int], name: str) -> Speech:
    """With the given template, else the tokenizer's own. Raises JobError when there is none."""
    if not tokenizer.is_fast:
        raise JobError(
            f"model {name}: its tokenizer does not say which token comes from where, which conversations need",
            "save it with a tokenizer.json",
        )
    chosen = template or chat_syntax.default(tokenizer.chat_template)
    if not chosen:
        raise JobError(
            f"model {name}: its tokenizer has no chat template, and the prompt gives none",
            "use a model made for chats, or write chat_template in the prompt",
        )
    if flaw := chat_syntax.flaw(chosen):
        whose = "the prompt's chat_template" if template else f"the chat template of model {name}"
        where = f", line {flaw.line}" if flaw.line else ""
        raise JobError(f"{whose} is no Jinja{where}: {flaw.message}", flaw.hint)
    return Speech(
        tokenizer, chosen, frozenset({int(tokenizer.eos_token_id), *ends}), CORRECTED if template else ANOTHER_TEMPLATE
    )


def encode(speech: Speech, spoken: Sequence[Spoken], loss: str) -> Encoded:
    """Tokens of conversations; of them count the last answer (``completion``), every one (``assistant``), or all
    (``full``). A row ends where its last answer does, with a token that ends answers. Raises JobError, with the row.
    """
    special = tokenizers.special_ids(speech.tokenizer)
    rows: list[Scored] = []
    completed = joined = 0
    for start in range(0, len(spoken), ROWS_AT_A_TIME):
        written = [_written(speech, each, loss) for each in spoken[start : start + ROWS_AT_A_TIME]]
        texts = [each.text for each in written]
        tokens = speech.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        for each, ids, places in zip(written, tokens["input_ids"], tokens["offset_mapping"], strict=True):
            row = _labelled(each, ids, places, special)
            joined += any(since < start < until for since, until in places for start, _ in each.answers[-1:])
            if row.ids[-1] not in speech.ends:
                row = _ended(row, int(speech.tokenizer.eos_token_id))
                completed += 1
            rows.append(replace(row, labels=list(row.ids)) if loss == "full" else row)
    if joined > len(rows) / 2:
        raise _joining(speech, spoken[0], joined, len(rows))
    return Encoded(rows, completed, joined)


def _joining(speech: Speech, first: Spoken, joined: int, rows: int) -> JobError:
    """Measured with a generation prompt that ends in a space: exact match 0.0 on 25 rows learnt by heart."""
    end = speech.question(first.turns[:-1])[-SHOWN:]
    return JobError(
        f"the chat template asks within a token in {joined} of {rows} rows: after {end!r} the first token "
        "of an answer would be another one than in training",
        "let what add_generation_prompt writes end in a special token or a line break; a space belongs to the answer",
    )


def questions(speech: Speech, spoken: Sequence[Spoken]) -> list[str]:
    """What the model is asked for the last answer of each. Raises JobError, with the row."""
    found = []
    for each in spoken:
        with _about(each):
            found.append(speech.question(each.turns[:-1]))
    return found


@contextmanager
def _about(spoken: Spoken) -> Iterator[None]:
    try:
        yield
    except JobError as error:
        raise JobError(f"row {spoken.row}: {error}", error.hint) from error


def _written(speech: Speech, spoken: Spoken, loss: str) -> _Written:
    turns = spoken.turns
    with _about(spoken):
        whole = speech.text(turns)
        for number, turn in enumerate(turns, 1):
            if turn.role != ASSISTANT and turn.content.strip() not in whole:
                raise JobError(f"the chat template leaves out turn {number} ({turn.role})", speech.cure)
        every = [index for index, turn in enumerate(turns) if turn.role == ASSISTANT]
        counted = every if loss == "assistant" else every[-1:]
        return _Written(whole, tuple(_answer(speech, turns, index, whole) for index in counted))


def _answer(speech: Speech, conversation: Conversation, index: int, whole: str) -> tuple[int, int]:
    """Where the answer at ``index`` begins and ends in the text of the whole conversation."""
    asked, answer = conversation[:index], conversation[index]
    before = speech.question(asked)
    through = whole if index == len(conversation) - 1 else speech.text((*asked, answer))
    otherwise = speech.text((*asked, Turn(ASSISTANT, OTHER_WORDS)))
    after = otherwise.rpartition(OTHER_WORDS)[2] if OTHER_WORDS in otherwise else None
    if not (whole.startswith(through) and through.startswith(before)):
        others = " when others follow" if through.startswith(before) else " than it asks for it"
        raise JobError(
            f"the chat template writes turn {index + 1} (assistant) otherwise{others}: where it begins and ends in the "
            "whole conversation cannot be told",
            f"{'write loss: completion, or ' if index < len(conversation) - 1 else ''}{speech.cure}",
        )
    if after is None or not through.endswith(after):
        raise _rewritten(index, speech.cure)
    said = through[len(before) : len(through) - len(after)]
    if not _squeezed(said).endswith(_squeezed(answer.content)):
        raise _rewritten(index, speech.cure)
    return len(before), len(before) + len(said.rstrip())


def _rewritten(index: int, cure: str) -> JobError:
    return JobError(f"the chat template does not write what turn {index + 1} (assistant) says", cure)


def _squeezed(text: str) -> str:
    """Without white space, which templates trim and add."""
    return "".join(text.split())


def _labelled(written: _Written, ids: list[int], places: Sequence[tuple[int, int]], special: set[int]) -> Scored:
    """Labels of the answers, each with the special token after it; what follows the last one is left out."""
    labels = [IGNORED] * len(ids)
    end = len(ids)
    for start, stop in written.answers:
        first = next(number for number, (_, until) in enumerate(places) if until > start)
        end = next((number for number, (since, _) in enumerate(places) if since >= stop), len(ids))
        end = _closed(written.text, ids, places, end, special)
        labels[first:end] = ids[first:end]
    return Scored(ids[:end], labels[:end])


def _closed(text: str, ids: list[int], places: Sequence[tuple[int, int]], end: int, special: set[int]) -> int:
    """After the special token that ends the turn, be there white space before it; ``end`` where there is none."""
    at = end
    while at < len(ids) and ids[at] not in special and not text[slice(*places[at])].strip():
        at += 1
    return at + 1 if at < len(ids) and ids[at] in special else end


def _ended(row: Scored, eos: int) -> Scored:
    return Scored([*row.ids, eos], [*row.labels, eos])
