"""Resources to manifests: the text that somebody would have written, in canonical layout."""

from __future__ import annotations

from typing import Any

import yaml

from studio.load import documents
from studio.load.formatting import Unformattable, formatted
from studio.load.nodes import YamlFault

WIDTH = 120


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stand as blocks, and nothing is an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def manifest_text(document: dict[str, Any]) -> str:
    """A manifest's file. Raises ValueError for what YAML cannot say in a way that is read back."""
    written = str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH))
    try:
        if documents.parse(written) != [document]:
            raise ValueError("its values would not be read back")
        return formatted(written)
    except Unformattable:
        return written
    except YamlFault as fault:
        raise ValueError(fault.message) from fault
