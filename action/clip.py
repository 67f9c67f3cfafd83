"""Markdown cut to a length, so that it is still well-formed and says what is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_NOTE = "\n_Cut here: {} more lines did not fit. {}_\n"


@dataclass(frozen=True, slots=True)
class _Open:
    """What is open after some lines: folded parts, a code block, a block of HTML (CommonMark 0.31, 4.5 and 4.6)."""

    folded: int = 0
    fence: str = ""
    html: bool = False

    def after(self, line: str) -> _Open:
        found = _FENCE.match(line)
        if self.fence:  # only its own fence ends a code block
            ends = found and found[1].startswith(self.fence) and not line.strip(f" {self.fence[0]}\r\n")
            return replace(self, fence="") if ends else self
        if found and not self.html:
            return replace(self, fence=found[1])
        folded = max(0, self.folded + line.startswith("<details") - line.startswith("</details>"))
        html = bool(line.strip()) and (self.html or line.startswith(("<details", "</details>")))
        return replace(self, folded=folded, html=html)

    @property
    def closing(self) -> str:
        return (f"\n{self.fence}\n" if self.fence else "") + "\n</details>\n" * self.folded


def clip(text: str, limit: int, where: str) -> str:
    """At most ``limit`` characters, whole lines only; ``where`` tells the reader where the rest is."""
    if len(text) <= limit:
        return text
    lines = text.splitlines(keepends=True)
    room = limit - len(_NOTE.format(f"{len(lines):,}", where))
    kept: list[str] = []
    state = _Open()
    for line in lines:
        after = state.after(line)
        if len(line) + len(after.closing) > room:
            break
        kept.append(line)
        state = after
        room -= len(line)
    return "".join(kept) + state.closing + _NOTE.format(f"{len(lines) - len(kept):,}", where)
