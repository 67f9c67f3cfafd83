"""Counts tokens in a process of its own: a tokenizer.json from a stranger may ask for any time and any memory.

Reads a request from standard input and writes the counts to standard output, both JSON. Tokenises as training does
(transformers 5.17, TokenizersBackend; trl 1.16, SFTTrainer._prepare_dataset): special tokens as tokenizer.json says,
and the completion begins where the tokens of input and of input + completion part.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

MEMORY = 4 << 30
"""Bytes of address space; the largest tokenizers of known models need a quarter of it."""
BATCH = 1_000
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def main() -> None:
    seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    request = json.load(sys.stdin)
    tokenizer = load(Path(request["tokenizer"]), request["config"])
    json.dump([*_counted(tokenizer, request["pairs"], request["limit"])], sys.stdout)


def load(file: Path, config: dict[str, Any]) -> Tokenizer:
    """The tokenizer of tokenizer.json with the tokens that its tokenizer_config.json adds."""
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    described = config.get("added_tokens_decoder")
    entries = [*(described.values() if isinstance(described, dict) else ()), *(config.get(name) for name in NAMED)]
    extra = config.get("extra_special_tokens") or config.get("additional_special_tokens") or ()
    for entry in (*entries, *(extra.values() if isinstance(extra, dict) else extra)):  # a mapping: by their purpose
        token = _added(entry)
        if token is not None and token.content not in known:
            known.add(token.content)
            tokenizer.add_special_tokens([token]) if token.special else tokenizer.add_tokens([token])
    return tokenizer


def _added(entry: Any) -> AddedToken | None:
    if isinstance(entry, str) and entry:
        return AddedToken(entry, special=True, normalized=False)
    if not isinstance(entry, dict) or not isinstance(entry.get("content"), str) or not entry["content"]:
        return None
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return AddedToken(entry["content"], **{flag: entry[flag] for flag in flags if isinstance(entry.get(flag), bool)})


def _counted(tokenizer: Tokenizer, pairs: list[tuple[str, str]], limit: int) -> list[tuple[int, int]]:
    """Tokens of input + completion, and where the completion begins; 0 for rows of at most ``limit`` tokens."""
    found = []
    for start in range(0, len(pairs), BATCH):
        batch = [(_text(shown), _text(answer)) for shown, answer in pairs[start : start + BATCH]]
        whole = tokenizer.encode_batch_fast([shown + answer for shown, answer in batch])
        long = [index for index, encoding in enumerate(whole) if len(encoding.ids) > limit]
        prompts = tokenizer.encode_batch_fast([batch[index][0] for index in long])
        begins = {i: _common(prompt.ids, whole[i].ids) for i, prompt in zip(long, prompts, strict=True)}
        found += [(len(encoding.ids), begins.get(index, 0)) for index, encoding in enumerate(whole)]
    return found


def _common(first: list[int], second: list[int]) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(first), len(second)))


def _text(text: str) -> str:
    """Half of a surrogate pair, which JSON can hold, is no text."""
    return text.encode("utf-8", "replace").decode("utf-8")


if __name__ == "__main__":
    main()
