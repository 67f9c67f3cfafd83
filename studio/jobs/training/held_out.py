"""The loss on rows that training did not see."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from studio.jobs.inputs.templating import COMPLETION, PROMPT, TEXT
from studio.jobs.model import scoring


def loss(model: Any, tokenizer: PreTrainedTokenizerBase, rows: Dataset, longest: int | None) -> float:
    """Mean per counted token, in nats, of rendered rows; texts are cut at ``longest`` tokens."""
    columns = rows.column_names
    completions = rows[COMPLETION if COMPLETION in columns else TEXT][:]
    prompts = rows[PROMPT][:] if PROMPT in columns else [""] * len(completions)
    encoded = scoring.encode(tokenizer, prompts, completions, longest)
    return scoring.mean_loss(model.eval(), encoded, int(tokenizer.pad_token_id or 0)).nats
