"""The example's data set and base model: both small, both the same every time. Run it in this folder."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parents[1]
QUEUES = ("card", "loan", "login", "fees", "address", "statement")
WORDS = (
    "lost my", "question about", "please help with", "cannot use", "thanks for", "where is", "I want to change",
    "waiting for", "wrong", "who answers for", "tell me about", "nothing happens with",
)  # fmt: skip
SPECIALS = ("<unk>", "<s>", "</s>", "<pad>")


def main() -> None:
    rows = [(f"{words} {queue}", queue) for words in WORDS for queue in QUEUES]
    (HERE / "data").mkdir(exist_ok=True)
    with (HERE / "data" / "tickets.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([("text", "queue"), *rows])
    folder = HERE / "models" / "toy-llama"
    tokenizer = build_tokenizer([f"{text} > {queue}" for text, queue in rows])
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=3,
        tie_word_embeddings=False, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(str(folder))


def build_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE with a vocabulary of 320."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    unknown, begin, end, pad = SPECIALS
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token=unknown, bos_token=begin, eos_token=end, pad_token=pad
    )


if __name__ == "__main__":
    main()
