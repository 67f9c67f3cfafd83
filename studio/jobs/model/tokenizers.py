"""Tokenizers, and the token they pad with.

Padding is masked by position, so any token would do for the arithmetic; what matters is that the pad token is not EOS
(libraries that mask by id would never learn to stop) and that no embedding is added: a resized embedding would travel
inside the adapter and the adapter would no longer fit its base model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import CHAT_TEMPLATE_FILE

from studio.core import chat_syntax
from studio.core.errors import JobError
from studio.core.jobspec import ModelInput
from studio.jobs.inputs import locations

CONFIG = "tokenizer_config.json"
MARKS = ("pad", "reserved")
"""What find_padding_token_candidate() looks for (guide, Key Training Utilities)."""


def load(folder: Path, model: ModelInput, adapter: Path | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model, as it is but for the chat template of an ``adapter``. Raises JobError when it is
    missing or has no EOS token."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=model.trust_remote_code)
    except (OSError, ValueError) as error:
        raise JobError(f"model {model.name}: {folder} has no usable tokenizer: {error}") from error
    if tokenizer.eos_token is None:
        raise JobError(
            f"model {model.name}: its tokenizer has no EOS token, so a fine-tuned model would never stop",
            "set eos_token in the tokenizer's tokenizer_config.json",
        )
    if adapter is not None:
        adopt_template(tokenizer, adapter)
    return tokenizer


def adopt_template(tokenizer: PreTrainedTokenizerBase, adapter: Path) -> None:
    """An adapter that was trained with a chat template wants to be asked with it."""
    tokenizer.chat_template = template_in(adapter) or tokenizer.chat_template


def template_in(folder: Path) -> str:
    """The chat template that a tokenizer was saved with, the default one of several; "" for none."""
    if (folder / CHAT_TEMPLATE_FILE).is_file():
        return (folder / CHAT_TEMPLATE_FILE).read_text("utf-8")
    config = locations.read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    return chat_syntax.default(config.get("chat_template"))


def configure_padding(tokenizer: PreTrainedTokenizerBase, given: str = "", embeddings: int = 0) -> str:
    """Set and return the pad token: the first that exists, is not EOS and needs no new embedding.

    The guide's chain (configure_tokenizer_padding): the tokenizer's own, the given one, the unknown token, a reserved
    special token. Then: the begin token; a new token on a spare row of the ``embeddings`` matrix; and last an ordinary
    token containing "pad" or "reserved". Raises JobError when nothing is left.
    """
    candidates = (
        tokenizer.pad_token,
        given if given in tokenizer.get_vocab() else None,
        tokenizer.unk_token,
        find_padding_token_candidate(tokenizer, special=True),
        tokenizer.bos_token,
        _spare(tokenizer, embeddings),
        find_padding_token_candidate(tokenizer, special=False),
    )
    for token in candidates:
        if token and token != tokenizer.eos_token:
            tokenizer.pad_token = token
            return str(token)
    raise JobError("the tokenizer has no token to pad with other than EOS", "add a pad token to the base model")


def find_padding_token_candidate(tokenizer: PreTrainedTokenizerBase, special: bool) -> str | None:
    """The vocabulary's first token (by id) that contains "pad" or "reserved", special or ordinary; None if none.

    An ordinary word is a last resort: as a pad token it would vanish from decoded text, so it is never saved.
    """
    specials = special_ids(tokenizer)
    for token, number in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1]):
        if (number in specials) is special and any(mark in token.lower() for mark in MARKS):
            return str(token)
    return None


def save(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save the tokenizer; a pad token that is an ordinary word stays out, see find_padding_token_candidate()."""
    pad = tokenizer.pad_token
    borrowed = pad is not None and tokenizer.pad_token_id not in special_ids(tokenizer)
    if borrowed:
        tokenizer.pad_token = None
    try:
        tokenizer.save_pretrained(str(folder))
    finally:
        if borrowed:
            tokenizer.pad_token = pad


def special_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Ids of added and special tokens, which no text tokenises to by accident; the pad token is judged like others."""
    added: dict[int, Any] = tokenizer.added_tokens_decoder
    return {number for number, token in added.items() if token.special or str(token).startswith(("<", "["))}


def _spare(tokenizer: PreTrainedTokenizerBase, embeddings: int) -> str | None:
    """A new token, where the embedding matrix is larger than the vocabulary and so already has a row for it."""
    if len(tokenizer) >= embeddings:
        return None
    tokenizer.add_special_tokens({"pad_token": "<|studio_pad|>"})
    return str(tokenizer.pad_token)
