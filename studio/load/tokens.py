"""A YAML text as the tokens it is written with, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any


class LayoutFault(Exception):
    """Text that the layout cannot be sure of; ``index`` is where, in characters."""

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.message, self.index = message, index


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the YAML scanner: ``name`` without "Token", and its place in the text."""

    name: str
    start: int
    end: int
    style: str = ""


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a YAML text; raises LayoutFault."""
    from ruamel.yaml import YAML
    from ruamel.yaml.docinfo import DocInfo
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    yaml = YAML(typ="safe", pure=True)
    yaml.doc_infos.append(DocInfo())  # where the scanner notes a %YAML directive
    try:
        for token in yaml.scan(StringIO(text)):
            yield _token(token)
    except (MarkedYAMLError, ReaderError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        raise LayoutFault("its tokens cannot be told apart", mark.index if mark else 0) from error


def _token(token: Any) -> Token:
    name = type(token).__name__.removesuffix("Token")
    return Token(name, token.start_mark.index, token.end_mark.index, getattr(token, "style", None) or "")
