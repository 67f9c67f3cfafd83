"""Matching a regular expression that a stranger wrote, in time linear in pattern and text.

Python's ``re`` backtracks: ``(a*)*b`` keeps it busy for hours on thirty letters, and it cannot be told to stop. Here a
pattern is read into steps, and each step maps the set of positions where it may begin to the set where it may end
(Thompson, Programming Techniques: Regular expression search algorithm, CACM 11(6), 1968). What is not understood (a
repeated group, a look-around, a back-reference) is refused. Names of modules are ASCII; so are patterns.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

LONGEST, DEEPEST = 1000, 20
"""Characters of a pattern, and groups within groups."""
MOST_STEPS = 4_000_000
"""Characters of a pattern times those of all texts: about a quarter of a second."""
_META = frozenset("\\.[]{}()*+?^$|")
_CLASSES: dict[str, Callable[[str], bool]] = {
    "d": lambda char: char in "0123456789",
    "w": lambda char: char == "_" or (char.isascii() and char.isalnum()),
    "s": str.isspace,
}
Ends = frozenset[int]
Step = Callable[[str, Ends], Ends]


class NotUnderstood(ValueError):
    """The pattern is valid, perhaps, but not one that can be matched here."""


@dataclass(slots=True)
class _Reader:
    """Reads a pattern from left to right; raises NotUnderstood."""

    text: str
    at: int = 0
    depth: int = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        char = self.peek()
        if not char:
            raise NotUnderstood("it ends too early")
        self.at += 1
        return char

    def takes(self, wanted: str) -> bool:
        found = self.text.startswith(wanted, self.at)
        self.at += len(wanted) if found else 0
        return found

    def alternatives(self) -> Step:
        branches = [self.sequence()]
        while self.takes("|"):
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else _any_of(branches)

    def sequence(self) -> Step:
        steps: list[Step] = []
        while self.peek() not in ("", "|", ")"):
            steps.append(self.item())
        return _all_of(steps)

    def item(self) -> Step:
        if self.takes("("):
            return self.group()
        return self.repeated(self.single())

    def group(self) -> Step:
        self.depth += 1
        if self.depth > DEEPEST or (self.takes("?") and not self.takes(":")):
            raise NotUnderstood("a group of an unknown sort")
        inside = self.alternatives()
        if not self.takes(")"):
            raise NotUnderstood("a group has no end")
        self.depth -= 1
        optional = self.takes("?")
        if self.peek() and self.peek() in "*+?{":
            raise NotUnderstood("a repeated group")
        return _any_of([inside, _all_of([])]) if optional else inside

    def single(self) -> Callable[[str], bool]:
        char = self.take()
        if char == "\\":
            return self.escaped()
        if char == "[":
            return self.chosen()
        if char == ".":
            return lambda found: found != "\n"
        if char in _META:
            raise NotUnderstood(f"a {char} of an unknown meaning")
        return lambda found: found == char

    def escaped(self) -> Callable[[str], bool]:
        char = self.take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char.isalnum():
            raise NotUnderstood(f"\\{char}")
        return lambda found: found == char

    def chosen(self) -> Callable[[str], bool]:
        """A class in brackets: characters and ranges."""
        negated = self.takes("^")
        tests: list[Callable[[str], bool]] = []
        while not tests or self.peek() != "]":
            first = self.take()
            if first in "[]\\^-&~|":
                raise NotUnderstood("a class of an unknown sort")
            last = self.take() if self.takes("-") else first
            if last in "[]\\^-&~|" or last < first:
                raise NotUnderstood("a range of an unknown sort")
            tests.append(lambda found, first=first, last=last: first <= found <= last)  # type: ignore[misc]
        self.take()
        return lambda found: any(test(found) for test in tests) != negated

    def repeated(self, test: Callable[[str], bool]) -> Step:
        quantity = self.take() if self.peek() and self.peek() in "*+?" else ""
        if quantity:
            self.takes("?")  # lazy: the same texts match
        if self.peek() and self.peek() in "*+?{":
            raise NotUnderstood("a repetition of a repetition, or a counted one")
        return _repeat(test, quantity)


def _all_of(steps: list[Step]) -> Step:
    def follow(text: str, starts: Ends) -> Ends:
        for step in steps:
            starts = step(text, starts) if starts else starts
        return starts

    return follow


def _any_of(branches: list[Step]) -> Step:
    return lambda text, starts: frozenset().union(*(branch(text, starts) for branch in branches))


def _repeat(test: Callable[[str], bool], quantity: str) -> Step:
    def follow(text: str, starts: Ends) -> Ends:
        once = frozenset(at + 1 for at in starts if at < len(text) and test(text[at]))
        if quantity in ("", "?"):
            return once | starts if quantity else once
        ends = set(once)
        for at in range(min(once, default=len(text)), len(text)):
            if at in ends and test(text[at]):
                ends.add(at + 1)
        return frozenset(ends) | starts if quantity == "*" else frozenset(ends)

    return follow


def fault(pattern: str) -> str:
    """Why ``re`` refuses the pattern; "" when it does not."""
    if len(pattern) > LONGEST:
        return f"longer than {LONGEST} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read otherwise
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return str(error)
    return ""


def matching(pattern: str, texts: Iterable[str]) -> list[str]:
    """The texts that the pattern matches as a whole; raises NotUnderstood."""
    held = list(texts)
    if len(pattern) > LONGEST or len(pattern) * sum(map(len, held)) > MOST_STEPS or not pattern.isascii():
        raise NotUnderstood("too long, or not ASCII")
    reader = _Reader(pattern)
    step = reader.alternatives()
    if reader.at < len(pattern):
        raise NotUnderstood("a bracket closes what was never opened")
    return [text for text in held if len(text) in step(text, frozenset({0}))]
