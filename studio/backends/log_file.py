"""A log that another process writes: read from its end or its beginning, and on from where the last reading ended."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 1 << 16
LONGEST_BYTES = 1 << 20
"""Of a line; what is longer comes in pieces."""
_ENDS = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""Ends of lines; a progress bar ends its lines with a carriage return. Whether one at the very end of what there is
belongs to a line break is not known yet."""


@dataclass(slots=True)
class LogFile:
    """Nothing is kept but the place, so the file may be of any size, and may not exist yet."""

    path: Path
    _place: int = 0
    _inode: int = 0

    def skip(self, last: int) -> None:
        """Go on with the last ``last`` lines."""
        try:
            with self.path.open("rb") as stream:
                self._inode = os.fstat(stream.fileno()).st_ino
                self._place = _start_of_last(stream, last)
        except FileNotFoundError:
            return

    def lines(self, *, unfinished: bool = True) -> Iterator[str]:
        """What was not read yet, each line with a line break; the last one without, when it has none and
        ``unfinished`` says that no more of it will come. A file that was cut or replaced is read from its beginning."""
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            found = os.fstat(stream.fileno())
            if found.st_ino != self._inode or found.st_size < self._place:
                self._inode, self._place = found.st_ino, 0
            stream.seek(self._place)
            yield from self._complete(stream)
            if unfinished and (rest := stream.read()):
                self._place += len(rest)
                yield rest.decode(errors="replace").replace("\r", "\n")

    def _complete(self, stream: BinaryIO) -> Iterator[str]:
        """Lines that have ended; the stream is left at the one that has not."""
        rest = b""
        while block := stream.read(BLOCK_BYTES):
            *whole, rest = _ENDS.split(rest + block)
            for line in whole:
                yield f"{line.decode(errors='replace')}\n"
            if len(rest) > LONGEST_BYTES:
                yield rest.decode(errors="replace")
                rest = b""
            self._place = stream.tell() - len(rest)
        stream.seek(self._place)


def _start_of_last(stream: BinaryIO, count: int) -> int:
    """Where the last ``count`` lines begin; reads backwards, and no more than it must."""
    start, blocks, ends = stream.seek(0, os.SEEK_END), list[bytes](), 0
    while start > 0 and ends <= count:
        length = min(BLOCK_BYTES, start)
        start = stream.seek(start - length)
        blocks.append(stream.read(length))
        ends += len(_ENDS.findall(blocks[-1]))  # never too many: a break that is cut in two counts once
    tail = b"".join(reversed(blocks))
    breaks = [found.end() for found in _ENDS.finditer(tail)]
    if breaks and breaks[-1] == len(tail):
        breaks.pop()
    return start + breaks[-count] if len(breaks) >= count else start
