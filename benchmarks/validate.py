"""``studio validate`` and ``studio plan`` at scale, beside PyYAML's C loader and, when it is at hand, Terraform.

    python benchmarks/validate.py [--sizes 1000 10000] [--rounds 5] [--faulty 0.1] [--terraform] [--json FILE]

Every project holds all kinds, one manifest a file (``benchmarks/generated.py``). The commands run in turn, round after
round, each in a process of its own; the table shows the least CPU time (user and system, children included), the least
wall time and the greatest resident memory. PyYAML reads the same files and builds plain values, no more; ``alone`` is
the loading without the start of its process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import generated

ROOT = Path(__file__).resolve().parents[1]
SETTLE = 2.5
"""Seconds until what was just written counts as left alone, see decision 4."""

LOADER = """
import os, sys, time, yaml
files = [os.path.join(path, name) for path, _, names in os.walk(sys.argv[1]) for name in names]
begun = time.process_time()
for file in files:
    with open(file, "rb") as stream:
        list(yaml.load_all(stream.read(), Loader=yaml.CSafeLoader))
print(time.process_time() - begun)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run: seconds of processor and of wall clock, megabytes of resident memory."""

    cpu: float
    wall: float
    memory: float
    printed: str = ""
    code: int = 0


@dataclass(slots=True)
class Row:
    size: int
    what: str
    cpu: float
    wall: float
    memory: float


def run(command: list[str], folder: Path, cache: Path) -> Cost:
    """Run a command to its end; children that it waits for count with it."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache), "NO_COLOR": "1"}
    with tempfile.TemporaryFile() as printed:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=printed, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read().decode(errors="replace")
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / scale, text, process.returncode)


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
        cost = run([sys.executable, "-m", "studio", *arguments], self.root, self.cache)
        if cost.code != (0 if self.valid else 1):
            raise SystemExit(f"studio {' '.join(arguments)} ended with {cost.code}:\n{cost.printed[-2000:]}")
        return cost

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
    """``terraform validate`` and ``plan`` of as many resources, each naming the one before."""
    folder.mkdir()
    named = ['resource "terraform_data" "r0" {\n  input = "0"\n}\n']
    named += [
        f'resource "terraform_data" "r{n}" {{\n  input = {{\n    name  = "router-{n}"\n    team  = "team-{n}"\n'
        f'    rate  = "{n}"\n    needs = terraform_data.r{n - 1 - (n - 1) % 20}.id\n  }}\n}}\n'
        for n in range(1, size)
    ]
    (folder / "main.tf").write_text("\n".join(named))
    run(["terraform", "init", "-input=false"], folder, folder)
    rows = []
    for command in ("validate", "plan"):
        cost = run(
            ["terraform", command, "-no-color", *(["-input=false"] if command == "plan" else [])], folder, folder
        )
        if cost.code:
            raise SystemExit(cost.printed[-2000:])
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
    parser.add_argument("--terraform", action="store_true", help="compare with terraform, when it is on the PATH")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "project")
            generated.write(root, size, arguments.faulty)
            time.sleep(SETTLE)
            rows += measure(Bench(root, size, not arguments.faulty), arguments.rounds)
            if arguments.terraform and shutil.which("terraform"):
                rows += terraform(size, Path(folder, "terraform"))
    print(table(rows))
    if arguments.json:
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        content = {"machine": machine, "rounds": arguments.rounds, "faulty": arguments.faulty}
        arguments.json.write_text(json.dumps(content | {"rows": [asdict(row) for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
