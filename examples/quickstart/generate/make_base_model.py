"""Makes models/tiny-llama: a tokenizer and a small Llama that has read support mail but was never told a queue.

It reads composed customer messages, answers of agents and help pages (phrases.txt and helpdesk.txt). It never sees
a text of data/tickets.csv, and never a line that names a message's queue: routing is left to the fine-tuning job.

Usage: OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python make_base_model.py
"""

from __future__ import annotations

import csv
import math
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from messages import customer_message
from phrasebook import HERE, Phrasebook, Sections, read_sections
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SEED = 7
TICKETS = HERE.parent / "data" / "tickets.csv"
TARGET = HERE.parent / "models" / "tiny-llama"
UNKNOWN, BEGIN, END, PADDING = "<unk>", "<s>", "</s>", "<pad>"
VOCABULARY = 2048
DOCUMENTS = 60_000
BLOCK = 128
BATCH = 16
STEPS = 1000
WARMUP = 60
LEARNING_RATE = 2.0e-3


def documents(book: Phrasebook, queues: list[str]) -> Iterator[str]:
    """Endless reading matter: messages alone, messages with an answer, help pages."""
    while True:
        queue = book.rng.choice(queues)
        message = customer_message(book, queue)
        answer = book.sentence(f"{queue}.reply")
        page = " ".join(book.rng.sample(book.phrases[f"{queue}.article"], k=3))
        dialogue = f"Customer: {message}\nAgent: {answer}"
        form = f"### CUSTOMER: {message}\n### ANSWER: {answer}"
        yield book.rng.choices([message, dialogue, form, page], [35, 25, 30, 10])[0]


def corpus(phrases: Sections, queues: list[str], seen: set[str]) -> list[str]:
    """Distinct documents; one that contains a text of the example's data set is left out."""
    source = documents(Phrasebook(phrases, random.Random(SEED)), queues)
    kept: dict[str, None] = {}
    while len(kept) < DOCUMENTS:
        document = next(source)
        message = document.removeprefix("Customer: ").removeprefix("### CUSTOMER: ").split("\n")[0]
        if message not in seen:
            kept[document] = None
    return list(kept)


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE: any text can be encoded, whatever customers paste."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[UNKNOWN, BEGIN, END, PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PADDING,
        padding_side="left",
        model_max_length=512,
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """An untrained Llama; every dimension is a multiple of 64, which 4-bit kernels on CPU ask for."""
    torch.manual_seed(SEED)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=256,
            intermediate_size=704,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def blocks(texts: list[str], tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """All texts in one row of tokens, an end token after each, cut into blocks: (blocks, BLOCK)."""
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    stream = torch.tensor([token for ids in encoded for token in (*ids, tokenizer.eos_token_id)])
    return stream[: len(stream) // BLOCK * BLOCK].view(-1, BLOCK)


def learning_rate_at(step: int) -> float:
    """Linear warm-up, then half a cosine down to a tenth, as a factor of LEARNING_RATE."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.55 + 0.45 * math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP))


def pretrain(model: LlamaForCausalLM, data: torch.Tensor) -> None:
    """Next-token prediction over shuffled blocks."""
    chance = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_at)
    order = torch.cat([torch.randperm(len(data), generator=chance) for _ in range(STEPS * BATCH // len(data) + 1)])
    started = time.monotonic()
    for step in range(STEPS):
        batch = data[order[step * BATCH : (step + 1) * BATCH]]
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == STEPS - 1:
            print(f"step {step:4}  loss {loss.item():.3f}  {time.monotonic() - started:.0f} s", flush=True)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, target: Path) -> None:
    """Half-precision weights keep the repository small; training loads them as float32."""
    shutil.rmtree(target, ignore_errors=True)
    ends = {"eos_token_id": END, "bos_token_id": BEGIN, "pad_token_id": PADDING}
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in ends.items()}
    model.generation_config = GenerationConfig(do_sample=False, max_new_tokens=32, **ids)
    model.to(torch.bfloat16).save_pretrained(target)
    tokenizer.save_pretrained(target)
    for file in target.iterdir():
        file.chmod(0o644)


def main() -> None:
    torch.set_num_threads(2)
    with TICKETS.open(encoding="utf-8", newline="") as file:
        seen = {row["text"] for row in csv.DictReader(file)}
    phrases = read_sections("phrases.txt") | read_sections("helpdesk.txt")
    texts = corpus(phrases, list(read_sections("seeds.txt")), seen)
    tokenizer = train_tokenizer(texts)
    model = new_model(tokenizer)
    data = blocks(texts, tokenizer)
    print(f"{len(texts)} documents, {data.numel()} tokens, {model.num_parameters()} parameters")
    pretrain(model, data)
    save(model, tokenizer, TARGET)


if __name__ == "__main__":
    main()
