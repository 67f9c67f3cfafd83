"""Text that others wrote, made safe to print: on one line, without secrets, and unable to command a terminal or a
CI runner."""

from __future__ import annotations

import json
import re
from typing import Any

from studio.core.json_values import finite
from studio.core.secrets import redact

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|(?<=#)#(?=\\[)")
"""Control characters, line breaks, what reverses the direction of text, what no encoding can write, and ``##[``, with
which GitHub's runner takes the rest of any line for a command."""

_UNSAFE_IN_LOGS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_COLOR = re.compile("\x1b\\[[0-9;]*m")
_COMMAND = re.compile(r"^(\s*):(?=:)")
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What JSON would leave as it is; a terminal must not get it either."""


def plain(text: object) -> str:
    """On one line; secrets are hidden, what is unsafe is spelled out, such as ``\\n``."""
    return _UNSAFE.sub(_spelled, redact(str(text)))


def _spelled(found: re.Match[str]) -> str:
    character = found.group()
    return "\\x23" if character == "#" else character.encode("unicode_escape").decode()


def excerpt(line: str) -> str:
    """A line of a file, as wide as it is there but for hidden secrets; unsafe characters are replaced."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", redact(line.replace("\t", " ")))


def log_line(line: str) -> str:
    """A line of a job's log, which may hold rows of a data set: tabs and line breaks stay, colors go, and so does
    whatever could command a terminal, and every secret."""
    return _UNSAFE_IN_LOGS.sub("\N{REPLACEMENT CHARACTER}", redact(_COLOR.sub("", line)))


def difference(line: str) -> str:
    """A line of a unified diff, as ``excerpt``. An unchanged one begins with a space, and a CI runner takes what
    begins with ``::`` after it for a command."""
    return _COMMAND.sub("\\1\N{REPLACEMENT CHARACTER}", excerpt(line))


def json_text(content: Any) -> str:
    """JSON with sorted keys and hidden secrets: the same input gives the same bytes. Null is what JSON lacks."""
    text = redact(json.dumps(finite(content), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False))
    text = text.encode("utf-8", errors="surrogatepass").decode("utf-8", errors="replace")
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
