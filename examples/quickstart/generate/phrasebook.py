"""The phrase files and how one phrase becomes one sentence."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
Sections = dict[str, list[str]]

ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{(\w+)\}")
QUESTION = re.compile(
    r"(is|are|was|has|had|can|could|do|does|did|how|what|what's|when|where|which|who|why|will|would)\b", re.IGNORECASE
)


def read_sections(name: str) -> Sections:
    """Read a phrase file beside this module: a line `== section` opens a section, every other line is a phrase."""
    sections: Sections = {}
    current: list[str] = []
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            current = sections.setdefault(line[3:].strip(), [])
        elif line.strip():
            current.append(line)
    return sections


@dataclass
class Phrasebook:
    """Phrases plus a source of chance.

    `memory` keeps the product and the order number of the message at hand, so that its sentences agree.
    """

    phrases: Sections
    rng: random.Random
    memory: dict[str, str] = field(default_factory=dict)

    def fill(self, phrase: str) -> str:
        """Choose one of each `[a|b]`, innermost first, then put words into each `{slot}`."""
        while ALTERNATIVES.search(phrase):
            phrase = ALTERNATIVES.sub(lambda match: self.rng.choice(match[1].split("|")), phrase, count=1)
        return SLOT.sub(lambda match: self._slot(match[1]), phrase)

    def phrase(self, section: str) -> str:
        return self.fill(self.rng.choice(self.phrases[section]))

    def sentence(self, section: str) -> str:
        """A phrase as a tidy sentence: single spaces, `an` before vowels, a capital, a final mark."""
        text = re.sub(r"\s+", " ", self.phrase(section)).strip()
        text = re.sub(r" ([.,?!])", r"\1", text)
        text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
        text = text[0].upper() + text[1:]
        if text[-1] in ".?!":
            return text
        asks = QUESTION.match(text) or QUESTION.match(text.rsplit(", ", 1)[-1])
        return text + ("?" if asks else self.rng.choice("......!"))

    def _slot(self, name: str) -> str:
        if name in ("product", "order"):
            return self.memory.setdefault(name, self._word(name))
        word = self._word(name)
        while name in ("color", "person") and word == self.memory.get(name):
            word = self._word(name)
        self.memory[name] = word
        return word

    def _word(self, name: str) -> str:
        rng = self.rng
        match name:
            case "order":
                return str(rng.randint(10_000, 99_999))
            case "num":
                return str(rng.randint(2, 14))
            case "amount":
                cents = rng.choice(["", ".90", ".50", ".99"])
                return f"{rng.randint(5, 240)}{cents} {rng.choice(['euros', 'dollars'])}"
            case "date":
                return f"{rng.randint(1, 28)} {rng.choice(self.phrases['any.month'])}"
            case "when":
                return self.fill(rng.choice(self.phrases["any.when"]))
            case "product2":
                return f"a {rng.choice(self.phrases['any.product'])}"
            case _:
                return rng.choice(self.phrases[f"any.{name}"])
