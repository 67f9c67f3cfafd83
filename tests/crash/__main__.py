"""``python -m tests.crash --kills 1000``: apply is killed at every step and at random moments, and then all is well.

Prints a table; exit code 1 when a life ended with a fault.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

from tests.crash import lives, processes
from tests.crash.lives import Life, Undisturbed
from tests.crash.processes import Kill
from tests.crash.tally import Tally

MEMORY_DISK = Path("/dev/shm")
ANEW = 25
"""One life in so many begins with a process that was started anew."""
IN_TIME = 5
"""One life in so many is killed at random moments only."""


def schedule(before: Undisturbed, random_: random.Random) -> Iterator[list[Kill]]:
    """The kills of one life after another: each step once as the first kill, and random moments."""
    steps = list(range(1, len(before.steps) + 1))
    random_.shuffle(steps)
    for number in count():
        moments = [Kill(after=random_.uniform(0.001, before.seconds)) for _ in range(random_.randint(1, 3))]
        if number % IN_TIME == 0:
            yield moments
            continue
        step = steps[(number - number // IN_TIME - 1) % len(steps)]
        yield [Kill(step, anew=number % ANEW == 1), *moments[: random_.choice((0, 0, 1))]]


def lived(folder: Path, before: Undisturbed, numbered: tuple[int, list[Kill]]) -> Life:
    number, kills = numbered
    life = lives.live(folder / f"life-{number}", before, kills)
    if not life.faults:
        shutil.rmtree(life.root)
    return life


def tally(folder: Path, kills: int, seed: int, jobs: int) -> Tally:
    """Live until so many kills have been counted."""
    start = time.monotonic()
    processes.preload()
    before = lives.undisturbed(folder)
    found = Tally(steps=len(before.steps))
    coming = enumerate(schedule(before, random.Random(seed)))
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        while found.kills < kills:
            batch: list[tuple[int, list[Kill]]] = []
            while sum(len(each) for _, each in batch) < kills - found.kills:
                batch.append(next(coming))
            for life in pool.imap_unordered(partial(lived, folder, before), batch):
                found.add(life)
                if sys.stderr.isatty():
                    print(f"\r{found.kills:,} kills, {len(found.faults)} faults", end="", file=sys.stderr, flush=True)
    found.seconds = time.monotonic() - start
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--keep", type=Path, help="folder for the lives; those with a fault stay in it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None) as temporary:
        if given.keep:
            given.keep.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=given.keep or temporary))
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        found = tally(folder, given.kills, given.seed, given.jobs)
    print(f"\n{found.text()}")
    if given.json:
        given.json.write_text(json.dumps(found.json(), indent=1) + "\n", "utf-8")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
