"""The loss on rows that training did not see."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from studio.jobs.inputs.templating import COMPLETION, PROMPT, TEXT
from studio.jobs.model import scoring
from studio.jobs.model.scoring import Scored
from studio.jobs.training.corpus import IDS, LABELS


def loss(model: Any, tokenizer: PreTrainedTokenizerBase, rows: Dataset, longest: int | None) -> float:
    """Mean per counted token, in nats, of the rows of a corpus, cut at ``longest`` tokens."""
    encoded = _scored(tokenizer, rows, longest)
    return scoring.mean_loss(model.eval(), encoded, int(tokenizer.pad_token_id or 0)).nats


def _scored(tokenizer: PreTrainedTokenizerBase, rows: Dataset, longest: int | None) -> list[Scored]:
    columns = rows.column_names
    if IDS in columns:
        return [Scored(*pair).cut(longest) for pair in zip(rows[IDS], rows[LABELS], strict=True)]
    completions = rows[COMPLETION if COMPLETION in columns else TEXT][:]
    prompts = rows[PROMPT][:] if PROMPT in columns else [""] * len(completions)
    return scoring.encode(tokenizer, prompts, completions, longest)
