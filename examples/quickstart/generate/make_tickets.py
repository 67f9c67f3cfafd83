"""Writes data/tickets.csv: what customers wrote and the queue that answers it.

A quarter of the rows are the messages of seeds.txt, written one by one, as they are. The others are composed from
phrases.txt; one that shares too many words with an earlier row of its queue is thrown away, because a held-out row
that is a training row with another greeting would make the score mean nothing.

Usage: python make_tickets.py
"""

from __future__ import annotations

import csv
import random
import re
from pathlib import Path

from messages import customer_message
from phrasebook import HERE, Phrasebook, Sections, read_sections

SEED = 20
TARGET = HERE.parent / "data" / "tickets.csv"
COMPOSED_PER_QUEUE = (110, 180)
MOST_SHARED_WORDS = 0.6
ATTEMPTS = 200


def words(text: str) -> frozenset[str]:
    """The words that can make two messages alike; numbers differ by chance and do not count."""
    return frozenset(re.findall(r"[a-z']+", text.lower()))


def alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of common words (Jaccard), 0 to 1."""
    return len(one & other) / max(len(one | other), 1)


def compose(book: Phrasebook, queue: str, written: list[str]) -> str:
    """A message that is not alike any of those already written."""
    earlier = [words(text) for text in written]
    for _ in range(ATTEMPTS):
        text = customer_message(book, queue)
        if all(alike(words(text), other) <= MOST_SHARED_WORDS for other in earlier):
            return text
    raise SystemExit(f"{queue}: no room for another message; add phrases or ask for fewer rows")


def queue_texts(book: Phrasebook, queue: str, seeds: list[str]) -> list[str]:
    """All texts of a queue: its seeds, then a composed number that differs between queues as in real life."""
    texts = list(seeds)
    for _ in range(book.rng.randint(*COMPOSED_PER_QUEUE)):
        texts.append(compose(book, queue, texts))
    return texts


def tickets(seeds: Sections, phrases: Sections, seed: int) -> list[tuple[str, str]]:
    """Shuffled rows of (text, queue), no text twice."""
    book = Phrasebook(phrases, random.Random(seed))
    rows = {text: queue for queue in seeds for text in queue_texts(book, queue, seeds[queue])}
    shuffled = list(rows.items())
    book.rng.shuffle(shuffled)
    return shuffled


def write_csv(rows: list[tuple[str, str]], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "queue"))
        writer.writerows(rows)


def main() -> None:
    rows = tickets(read_sections("seeds.txt"), read_sections("phrases.txt"), SEED)
    write_csv(rows, TARGET)
    print(f"{len(rows)} tickets in {len({queue for _, queue in rows})} queues")


if __name__ == "__main__":
    main()
