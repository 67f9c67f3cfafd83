"""The identity of a resource: its kind and its name."""

from __future__ import annotations

from typing import NamedTuple


class Ref(NamedTuple):
    """A resource's identity, printed and parsed as ``Kind/name``.

    A tuple, because it is hashed and compared millions of times in a large project.
    """

    kind: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read ``Kind/name``; raises ValueError when the slash is missing or a side is empty."""
        kind, slash, name = text.partition("/")
        if not (kind and slash and name):
            raise ValueError(f"{text!r} is not of the form Kind/name")
        return cls(kind, name)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"
