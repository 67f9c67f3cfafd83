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
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from tests.crash import lives, processes
from tests.crash.lives import Life, Undisturbed
from tests.crash.processes import Kill
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.tally import Tally
from tests.postgresql import Server, running

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


@dataclass(frozen=True, slots=True)
class Lot:
    """One life to be lived; ``state`` is the URL of its database, empty for a file in the project."""

    number: int
    kills: list[Kill]
    state: str


def lived(folder: Path, before: Undisturbed, lot: Lot) -> Life:
    life = lives.live(folder / f"{before.scenario.name}-{lot.number}", before, lot.kills, lot.state)
    if not life.faults:
        shutil.rmtree(life.root)
    return life


def tally(folder: Path, scenario: Scenario, given: argparse.Namespace, kills: int, server: Server | None) -> Tally:
    """Live until so many kills have been counted."""
    start = time.monotonic()
    folder.mkdir()
    before = lives.undisturbed(folder, scenario)
    found = Tally(scenario.name + (" on PostgreSQL" if server else ""), steps=len(before.steps))
    coming = enumerate(schedule(before, random.Random(given.seed)))
    with multiprocessing.get_context("fork").Pool(given.jobs) as pool:
        while found.kills < kills:
            batch: list[Lot] = []
            while sum(len(lot.kills) for lot in batch) < kills - found.kills:
                batch.append(Lot(*next(coming), server.database() if server else ""))
            for life in pool.imap_unordered(partial(lived, folder, before), batch):
                found.add(life)
                if sys.stderr.isatty():
                    print(f"\r{found.kills:,} kills, {len(found.faults)} faults", end="", file=sys.stderr, flush=True)
    found.seconds = time.monotonic() - start
    return found


def tallies(folder: Path, given: argparse.Namespace) -> Iterator[Tally]:
    """The scenarios asked for, or all of them, each with its share of the kills."""
    processes.preload()
    with running() if given.postgresql else nullcontext() as server:
        for name in given.scenario or SCENARIOS:
            kills = given.kills if given.scenario else max(1, given.kills // SCENARIOS[name].share)
            if not (server and SCENARIOS[name].applied):  # a database is not copied as a folder is
                yield tally(folder / name, SCENARIOS[name], given, kills, server)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="only this one; may be repeated")
    parser.add_argument("--postgresql", action="store_true", help="keep state on a real server")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--keep", type=Path, help="folder for the lives; those with a fault stay in it")
    given = parser.parse_args()
    found: list[Tally] = []
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None) as temporary:
        if given.keep:
            given.keep.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=given.keep or temporary))
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        for each in tallies(folder, given):
            print(f"\n{each.text()}", flush=True)
            found.append(each)
    if given.json:
        given.json.write_text(json.dumps([each.json() for each in found], indent=1) + "\n", "utf-8")
    return 1 if any(each.faults for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
