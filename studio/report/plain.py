"""Text that others wrote, made safe to print: on one line, without secrets, and unable to command a terminal or a
CI runner."""

from __future__ import annotations

import re

from studio.core.secrets import redact

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line breaks, and what reverses the direction of text."""


def plain(text: object) -> str:
    """On one line; secrets are hidden, what is unsafe is spelled out, such as ``\\n``."""
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode(), redact(str(text)))


def excerpt(line: str) -> str:
    """A line of a file, as wide as it is there but for hidden secrets; unsafe characters are replaced."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", redact(line.replace("\t", " ")))
