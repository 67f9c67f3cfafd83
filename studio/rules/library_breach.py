"""How the rules about library configurations point at what they found."""

from __future__ import annotations

from studio.core.findings import Path, format_path
from studio.libraries.types import Record
from studio.load import documents
from studio.load.nodes import YamlFault
from studio.rules.base import Breach
from studio.rules.configurations import Configuration, library_table

FEWEST_WORDS, LONGEST_HELP = 5, 80
"""Words, and characters, of a line of a library that helps to choose a key."""


def breach(each: Configuration, path: Path, message: str, hint: str, at_key: bool = False) -> Breach:
    """A breach at ``path`` within a configuration. In one that was written as text, the message says where."""
    if not each.text:
        return Breach((*each.path, *path), message, hint, each.ref, each.source, at_key=at_key)
    try:
        line, column = documents.locate(each.text, 0, path, at_key)
    except YamlFault:  # JSON that is no YAML
        return Breach(each.path, message, hint, each.ref, each.source)
    return Breach(each.path, f"{message} (line {line}, column {column} of the text)", hint, each.ref, each.source)


def owner(type: str, path: Path) -> str:
    """What the key at ``path`` would have to be known to: the class, or one of its mappings."""
    name = library_table(type).name.rpartition(".")[2]
    return f"{format_path(path[:-1])} of {name}" if len(path) > 1 else name


def help_for(record: Record, key: str) -> str:
    """The library's line about a key, as the end of a hint; "" for one that is long, cut, or only repeats the key."""
    known = record.keys.get(key)
    line = known.help if known else ""
    says_something = len(line.split()) >= FEWEST_WORDS and not line.endswith("…") and not set("<[") & set(line)
    return f" {line}" if says_something and len(line) <= LONGEST_HELP else ""
