"""``python -m tests.fuzz --cases 100000``: many cases in rounds, each from a seed of its own, on every core.

Ends with how many were run and what was found; a finding is printed by hypothesis with the case made small.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.strategies import manifests, specials, trees
from tests.fuzz.target import check_text, check_tree

ROUND = 500
"""Cases between two seeds: hypothesis remembers those of a round."""
MEMORY = 4 << 30
"""Address space of a worker in bytes; what wants more fails there."""
TEXTS_PER_TREE = 4
MEMORY_DISK = Path("/dev/shm")


def _round(number: int) -> tuple[int, int]:
    """One round's cases and the peak memory so far, in MiB."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    options = settings(
        max_examples=ROUND, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck), print_blob=True,
    )  # fmt: skip
    cases = 0
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None) as folder:

        @seed(number)
        @options
        @given(text=manifests())
        def texts(text: str) -> None:
            nonlocal cases
            cases += 1
            check_text(text)

        @seed(number)
        @options
        @given(files=trees(), odd=specials())
        def projects(files: dict[str, bytes], odd: dict[str, str]) -> None:
            nonlocal cases
            cases += 1
            check_tree(Path(folder) / "project", files, odd)

        (projects if number % (TEXTS_PER_TREE + 1) == 0 else texts)()
    return cases, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="first round's seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given_ = parser.parse_args()
    rounds = range(given_.seed, given_.seed + -(-given_.cases // ROUND))
    start, done, peak = time.monotonic(), 0, 0
    with multiprocessing.Pool(given_.jobs) as pool:
        for cases, memory in pool.imap_unordered(_round, rounds):
            done, peak = done + cases, max(peak, memory)
            print(f"\r{done:,} cases, {time.monotonic() - start:,.0f} s, peak {peak} MiB", end="", flush=True)
    print(f"\n{done:,} cases and no fault; seeds {rounds.start} to {rounds.stop - 1}")


if __name__ == "__main__":
    main()
