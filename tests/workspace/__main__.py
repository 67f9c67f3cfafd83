"""``python -m tests.workspace --jobs 200 --failing 0.3``: apply against a workspace that fails, and its figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.workspace.measuring import measure


def main() -> int:
    """1 when anything was done twice, left out, repeated in vain or told to whom it is no business."""
    parser = argparse.ArgumentParser(prog="python -m tests.workspace", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200, help="how many, of which three are parts of an evaluation")
    parser.add_argument("--failing", type=float, default=0.3, help="share of calls that fail, half of them when done")
    parser.add_argument("--seed", type=int, default=0, help="which calls they are")
    parser.add_argument("--parallelism", type=int, default=8, help="jobs at the same time")
    asked = parser.parse_args()
    if asked.jobs < 5 or not 0 <= asked.failing < 1 or asked.parallelism < 1:
        parser.error("at least 5 jobs and 1 at the same time, and a share of at least 0 and below 1")
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        found = measure(Path(folder), asked.jobs, asked.failing, asked.seed, asked.parallelism)
        seconds = time.monotonic() - began
    total = sum(found.calls.values())
    print(f"jobs {found.jobs}, created {dict(found.created)}, run {dict(found.ran)}, performed {dict(found.performed)}")
    print(f"calls {total}, failed {found.failed} ({found.failed / total:.0%}), repeated after a 4xx {len(found.again)}")
    print(f"calls for each job: {found.submitting:.2f} to submit it, {total / found.jobs:.2f} in all")
    print(", ".join(f"{method} {count}" for method, count in found.calls.most_common()))
    print(f"pauses {found.slept:.0f} s, {seconds:.0f} s without them; the plan after it ends with {found.plan}")
    print("\n".join(f"FAULT: {each}" for each in found.faults) or "no fault")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
