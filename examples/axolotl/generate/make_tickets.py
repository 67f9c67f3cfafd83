"""The example's tickets: 288 rows, the same every time. Run it in any folder; it needs nothing but Python."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "data" / "tickets.csv"
QUEUES = ("card", "loan", "login", "fees", "address", "statement")
OPENINGS = (
    "lost my", "question about", "please help with", "cannot use", "thanks for", "where is", "I want to change",
    "waiting for", "wrong", "who answers for", "tell me about", "nothing happens with",
)  # fmt: skip
ENDINGS = ("", " since Monday", ", please", " again")


def main() -> None:
    FILE.parent.mkdir(exist_ok=True)
    rows = [(f"{opening} {queue}{ending}", queue) for opening, queue, ending in product(OPENINGS, QUEUES, ENDINGS)]
    with FILE.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("text", "queue"), *rows])


if __name__ == "__main__":
    main()
