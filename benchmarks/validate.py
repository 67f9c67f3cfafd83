"""``studio validate`` and ``studio plan`` at scale, beside PyYAML's C loader and, when it is at hand, Terraform.

    python benchmarks/validate.py [--sizes 1000 10000] [--rounds 5] [--faulty 0.1] [--one-file] [--terraform]
                                  [--json FILE]

Every project holds all kinds, one manifest a file or all in one (``benchmarks/generated.py``). The commands run in
turn, round after round, each in a process of its own; the table shows the least CPU time (user and system, children
included), the least wall time and the greatest resident memory. PyYAML reads the same files and builds plain values, no
more; ``alone`` is the loading without the start of its process.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import generated
from measuring import SETTLE, Cost, demand, run, save, terraform_project

PLAN_OPTIONS = {"validate": (), "plan": ("-input=false",)}
LOADER = """
import os, sys, time, yaml
files = [os.path.join(path, name) for path, _, names in os.walk(sys.argv[1]) for name in names]
begun = time.process_time()
for file in files:
    with open(file, "rb") as stream:
        list(yaml.load_all(stream.read(), Loader=yaml.CSafeLoader))
print(time.process_time() - begun)
"""


@dataclass(slots=True)
class Row:
    size: int
    what: str
    cpu: float
    wall: float
    memory: float


@dataclass(slots=True)
class Bench:
    """One project and what is measured on it."""

    root: Path
    size: int
    valid: bool

    @property
    def cache(self) -> Path:
        return self.root.parent / "cache"

    def studio(self, *arguments: str) -> Cost:
        command = [sys.executable, "-m", "studio", *arguments]
        return demand(command, self.root, self.cache, code=0 if self.valid else 1)

    def loader(self) -> Cost:
        return run([sys.executable, "-c", LOADER, "manifests"], self.root, self.cache)

    def alone(self) -> Cost:
        cost = self.loader()
        seconds = float(cost.printed)
        return Cost(seconds, seconds, cost.memory)

    def cold(self) -> Cost:
        return self.studio("validate", "--no-cache")

    def again(self) -> Cost:
        return self.studio("validate")

    def edited(self) -> Cost:
        """One file changed since the last run, which was the one that nothing had changed for."""
        file = next((self.root / "manifests").rglob("*.yaml"))
        file.write_text(file.read_text() + "# edited\n")
        return self.studio("validate")

    def plan(self) -> Cost:
        return self.studio("plan")


def measure(bench: Bench, rounds: int) -> list[Row]:
    """Every command in turn, so that whatever else the machine does is shared by all."""
    steps: dict[str, Callable[[], Cost]] = {
        "PyYAML C loader": bench.loader,
        "PyYAML C loader, alone": bench.alone,
        "validate, cold": bench.cold,
        "validate, one file edited": bench.edited,
        "validate, again": bench.again,
    }
    if bench.valid:
        steps["plan, first"] = bench.plan
    found: dict[str, list[Cost]] = {what: [] for what in steps}
    for _ in range(rounds):
        for what, step in steps.items():
            if what == "validate, again":
                time.sleep(SETTLE)
                step()  # this run keeps its verdict
            found[what].append(step())
    return [
        Row(bench.size, what, min(c.cpu for c in costs), min(c.wall for c in costs), max(c.memory for c in costs))
        for what, costs in found.items()
    ]


def terraform(size: int, folder: Path) -> list[Row]:
    """``terraform validate`` and ``plan`` of as many resources, each naming another."""
    terraform_project(size, folder)
    rows = []
    for command in ("validate", "plan"):
        cost = demand(["terraform", command, "-no-color", *PLAN_OPTIONS[command]], folder, folder)
        rows.append(Row(size, f"terraform {command}", cost.cpu, cost.wall, cost.memory))
    return rows


def table(rows: list[Row]) -> str:
    """One line for each row; the last column is the CPU time as a multiple of the C loader's."""
    base = {row.size: row.cpu for row in rows if row.what == "PyYAML C loader"}
    lines = [f"{'manifests':>9}  {'what':28}{'CPU s':>8}{'wall s':>8}{'MB':>6}{'× loader':>10}"]
    for row in rows:
        ratio = row.cpu / base[row.size]
        lines.append(f"{row.size:9,}  {row.what:28}{row.cpu:8.2f}{row.wall:8.2f}{row.memory:6.0f}{ratio:10.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--faulty", type=float, default=0.0, help="share of manifests with a mistake")
    parser.add_argument("--one-file", action="store_true", help="all manifests as documents of one file")
    parser.add_argument("--terraform", action="store_true", help="compare with terraform, when it is on the PATH")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "project")
            generated.write(root, size, arguments.faulty)
            if arguments.one_file:
                generated.joined(root)
            time.sleep(SETTLE)
            rows += measure(Bench(root, size, not arguments.faulty), arguments.rounds)
            if arguments.terraform and shutil.which("terraform"):
                rows += terraform(size, Path(folder, "terraform"))
    print(table(rows))
    how = {"rounds": arguments.rounds, "faulty": arguments.faulty, "one_file": arguments.one_file}
    content = {**how, "rows": [asdict(row) for row in rows]}
    save(arguments.json, content)


if __name__ == "__main__":
    main()
