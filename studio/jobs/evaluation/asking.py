"""How questions are put to a model: as they are, or through its chat template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from studio.core.prompting import Chat
from studio.jobs.evaluation.questions import Questions
from studio.jobs.model import chat, generation, scoring
from studio.jobs.model.scoring import Scored


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory, alone or with an adapter, its tokenizer with padding configured, and the adapter's own chat
    template if it has one."""

    name: str
    model: Any
    tokenizer: PreTrainedTokenizerBase
    template: str = ""


@dataclass(frozen=True, slots=True)
class Put:
    """What the model is given. ``special`` says whether the tokenizer adds what it begins texts with; ``encoded`` gives
    question and expected answer as tokens, of which the answer counts."""

    texts: Sequence[str]
    special: bool
    encoded: Callable[[], list[Scored]]


def put(asked: Questions, how: Chat | None, loaded: Loaded) -> Put:
    """Conversations go through the prompt's chat template, else the adapter's, else the tokenizer's own. Raises
    JobError for what a user can mend."""
    if how is None:
        return Put(asked.prompts, True, lambda: scoring.encode(loaded.tokenizer, asked.prompts, asked.expected, None))
    ends = generation.end_tokens(loaded.model.generation_config)
    speech = chat.speech(loaded.tokenizer, how.template or loaded.template, ends, loaded.name)
    texts = chat.questions(speech, asked.spoken)
    return Put(texts, False, lambda: chat.encode(speech, asked.spoken, "completion").rows)
