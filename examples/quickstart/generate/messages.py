"""Customer messages: how people arrange what they have to say, and how they type it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from phrasebook import Phrasebook

NEIGHBOURS = {"a": "s", "e": "r", "i": "o", "o": "p", "t": "r", "n": "m", "r": "e", "s": "d", "l": "k", "u": "i"}
SHORTHAND = {"please": "pls", "Please": "Pls", "you": "u", "your": "ur", "are": "r", "because": "cuz", "with": "w/"}


def line(book: Phrasebook, queue: str) -> list[str]:
    """One sentence, as typed into a search box or a chat."""
    return [book.sentence(f"{queue}.problem")]


def chat(book: Phrasebook, queue: str) -> list[str]:
    """The matter and one more thing, sometimes after a hello."""
    parts = [f"{book.phrase('any.greeting')}{book.rng.choice([',', '!', '.'])}"] if book.rng.random() < 0.4 else []
    parts.append(book.sentence(f"{queue}.problem"))
    parts.append(book.sentence(f"{queue}.{book.rng.choice(['ask', 'detail'])}"))
    return parts


def mail(book: Phrasebook, queue: str) -> list[str]:
    """A complete mail; the matter may come after a sentence that has nothing to do with it."""
    parts = [f"{book.phrase('any.greeting')},"]
    if book.rng.random() < 0.6:
        parts.append(book.sentence("any.context"))
    parts.append(book.sentence(f"{queue}.problem"))
    if book.rng.random() < 0.7:
        parts.append(book.sentence(f"{queue}.detail"))
    parts.append(book.sentence(book.rng.choice([f"{queue}.ask", f"{queue}.ask", "any.filler"])))
    return [*parts, f"{book.phrase('any.closing')}{book.rng.choice(['', '.', '!'])}"]


def rant(book: Phrasebook, queue: str) -> list[str]:
    """Mood first, the matter later."""
    parts = [book.sentence("any.emotion"), book.sentence(f"{queue}.problem")]
    parts.append(book.sentence(book.rng.choice(["any.filler", f"{queue}.detail"])))
    if book.rng.random() < 0.5:
        parts.append(book.sentence(f"{queue}.ask"))
    return parts


def indirect(book: Phrasebook, queue: str) -> list[str]:
    """Only circumstances and a wish: the matter has to be understood from them."""
    return [book.sentence(f"{queue}.detail"), book.sentence(f"{queue}.ask")]


STYLES: dict[Callable[[Phrasebook, str], list[str]], int] = {line: 26, chat: 30, mail: 25, rant: 14, indirect: 5}


def typo(text: str, rng: random.Random) -> str:
    """Swap, drop, double or mistype one letter inside a word."""
    places = [match.start() for match in re.finditer(r"(?<=[a-z])[a-z](?=[a-z])", text)]
    if not places:
        return text
    at = rng.choice(places)
    letter, after = text[at], text[at + 1]
    slip = rng.choice([after + letter, after, letter + letter + after, NEIGHBOURS.get(letter, letter) + after])
    return text[:at] + slip + text[at + 2 :]


def type_as_people_do(text: str, rng: random.Random) -> str:
    """Casing, missing apostrophes, shorthand, too many marks, typos. Most messages keep most of their shape."""
    if rng.random() < 0.22:
        text = text.lower()
    elif rng.random() < 0.02:
        text = text.upper()
    if rng.random() < 0.15:
        text = text.replace("'", "")
    if rng.random() < 0.10:
        text = re.sub(r"\w+", lambda match: SHORTHAND.get(match[0], match[0]), text)
    if rng.random() < 0.15:
        text = re.sub(r"[.!]$", rng.choice(["", "!!", "!!!", "..", " :("]), text)
    for _ in range(rng.choices([0, 1, 2, 3], [62, 24, 10, 4])[0]):
        text = typo(text, rng)
    return text


def customer_message(book: Phrasebook, queue: str) -> str:
    """A message of a random style, about one product, that belongs to the queue."""
    products = book.phrases.get(f"{queue}.product", book.phrases["any.product"])
    book.memory = {"product": book.rng.choice(products)}
    style = book.rng.choices(list(STYLES), list(STYLES.values()))[0]
    return type_as_people_do(" ".join(style(book, queue)), book.rng)
