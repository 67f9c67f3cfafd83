"""``studio plan`` and ``studio apply`` at scale, beside as many resources of Terraform's where it is at hand.

    python benchmarks/plan.py [--size 10000] [--registered 1000] [--large 100000] [--rounds 2] [--json FILE]

Projects hold all kinds, one manifest a file (``benchmarks/generated.py``). What is measured is the command that a user
types, in a process of its own, runs of both sides in turn. Of several runs the table shows the least time, processor
(user and system, children included) and wall clock, and the most memory; a ratio is of processor time, which other
work on the machine disturbs least. Terraform plans once, because that takes minutes; ``--large 0`` leaves the large
project out.

The plan with nothing to do is made against a state that an apply of the whole project wrote: everything of that apply
is real but the jobs, which the counting backend of the tests ends at once. Registering is ``studio apply`` of resources
that run no job, from a state that does not exist yet, beside ``terraform apply``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import generated
from measuring import ROOT, SETTLE, Cost, demand, least, load_average, run, save, terraform_project

STUDIO = (sys.executable, "-m", "studio")
BARE = (sys.executable, "-c", "pass")
TERRAFORM = ("terraform",)
STARTS = 10
"""Runs of what takes less than a tenth of a second."""

APPLY = """
import sys
from pathlib import Path

from studio.backends import BACKENDS
from studio.backends.base import Capacity
from studio.cli.progress import Display
from studio.workflow import applying, planning
from tests.fakes.backend import CountingBackend

root = Path(sys.argv[1])
free = Capacity(10**9, 10**9, 10**9)
BACKENDS["local"] = lambda *_: backend
backend = CountingBackend(root, polls=0, free=free)
planned = planning.plan(root, "default")
applied = applying.apply(planned, Display(live=False), 16)
sys.exit(bool(applied.failed))
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. ``ratio`` is of what the budget speaks of; None where there is none."""

    what: str
    cpu: float
    wall: float
    memory: float
    ratio: float | None = None
    budget: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder to work in, and how often each command is run."""

    folder: Path
    rounds: int

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def project(self, name: str, size: int, *, jobs: bool = True) -> Path:
        root = self.folder / name
        generated.write(root, size, jobs=jobs)
        time.sleep(SETTLE)
        return root

    def studio(self, root: Path, *arguments: str) -> Cost:
        return demand((*STUDIO, *arguments), root, self.cache)

    def repeatedly(self, measured: Callable[[], Cost]) -> Cost:
        return least([measured() for _ in range(self.rounds)])


def row(what: str, cost: Cost, ratio: float | None = None, budget: str = "") -> Row:
    return Row(what, cost.cpu, cost.wall, cost.memory, ratio, budget)


def starts(bench: Bench) -> Iterator[Row]:
    """``--help`` and ``version`` beside a bare Python, run in turn."""
    commands = {"python -c pass": BARE, "studio --help": (*STUDIO, "--help"), "studio version": (*STUDIO, "version")}
    costs: dict[str, list[Cost]] = {what: [] for what in commands}
    for _ in range(STARTS):
        for what, command in commands.items():
            costs[what].append(demand(command, bench.folder, bench.cache))
    bare = least(costs["python -c pass"])
    for what, found in costs.items():
        cost = least(found)
        yield row(what, cost, cost.cpu / bare.cpu, "" if cost == bare else "8 x bare Python")


def first_plan(bench: Bench, root: Path, size: int, *, beside: bool) -> Iterator[Row]:
    """The plan of a project that was never applied."""
    cost = bench.repeatedly(lambda: bench.studio(root, "plan", "--no-cache"))
    ratio = None
    if beside:
        folder = terraform_project(size, bench.folder / f"terraform-{size}")
        theirs = demand((*TERRAFORM, "plan", "-input=false", "-no-color"), folder, bench.cache)
        yield row(f"terraform plan, {size:,}", theirs)
        ratio = cost.cpu / theirs.cpu
    yield row(f"first plan, {size:,}", cost, ratio, "1/10 of terraform, 400 MB")


def plan_of_nothing(bench: Bench, root: Path, size: int) -> Iterator[Row]:
    """The plan of a project that was applied whole, with and without what earlier runs remember."""
    applied = demand((sys.executable, "-c", APPLY, str(root)), ROOT, bench.cache)
    yield row(f"apply, jobs that end at once, {size:,}", applied)
    time.sleep(SETTLE)
    said = bench.studio(root, "plan").printed
    if "Nothing to do" not in said:
        raise SystemExit(f"after the apply there is something to do:\n{said[-2000:]}")
    cold = bench.repeatedly(lambda: bench.studio(root, "plan", "--no-cache"))
    warm = bench.repeatedly(lambda: bench.studio(root, "plan"))
    yield row(f"plan with nothing to do, {size:,}, --no-cache", cold)
    yield row(f"plan with nothing to do, {size:,}", warm, None, "2 s of wall clock")


def registering(bench: Bench, size: int, *, beside: bool) -> Iterator[Row]:
    """``apply`` of resources that run nothing, from nothing, in turn with Terraform's."""
    ours, theirs = [], []
    for number in range(bench.rounds):
        root = bench.project(f"data-{number}", size, jobs=False)
        ours.append(bench.studio(root, "apply", "--yes"))
        if beside:
            folder = terraform_project(size, bench.folder / f"terraform-data-{number}")
            theirs.append(demand((*TERRAFORM, "apply", "-auto-approve", "-no-color"), folder, bench.cache))
    if theirs:
        yield row(f"terraform apply, {size:,}", least(theirs))
    ratio = least(ours).cpu / least(theirs).cpu if theirs else None
    yield row(f"apply of data resources, {size:,}", least(ours), ratio, "1/10 of terraform")


def large_plan(bench: Bench, size: int, small: Row, times: float) -> Iterator[Row]:
    """The first plan of a project ``times`` as large."""
    root = bench.project("large", size)
    cost = bench.studio(root, "plan", "--no-cache")
    growth = max(cost.cpu / small.cpu, cost.memory / small.memory)
    yield row(f"first plan, {size:,}", cost, growth, f"{1.1 * times:g} x the smaller, time and memory")


def table(rows: list[Row]) -> str:
    lines = [f"{'what':46}{'CPU s':>8}{'wall s':>8}{'MB':>7}{'ratio':>9}  budget"]
    for each in rows:
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}" if each.ratio >= 1 else f"1/{1 / each.ratio:.1f}"
        lines.append(f"{each.what:46}{each.cpu:8.2f}{each.wall:8.2f}{each.memory:7.0f}{ratio:>9}  {each.budget}")
    return "\n".join(lines)


@contextmanager
def workplace(rounds: int) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        yield Bench(Path(folder), rounds)


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    beside = shutil.which("terraform") is not None and run((*TERRAFORM, "version"), ROOT, ROOT).code == 0
    with workplace(arguments.rounds) as bench:
        yield from starts(bench)
        yield from registering(bench, arguments.registered, beside=beside)
        root = bench.project("project", arguments.size)
        *others, small = first_plan(bench, root, arguments.size, beside=beside)
        yield from (*others, small)
        yield from plan_of_nothing(bench, root, arguments.size)
        if arguments.large:
            yield from large_plan(bench, arguments.large, small, arguments.large / arguments.size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=10_000, help="resources of the project that is planned")
    parser.add_argument("--registered", type=int, default=1_000, help="data resources that are applied")
    parser.add_argument("--large", type=int, default=100_000, help="resources of the large project; 0: none")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    begun, rows = load_average(), []
    for each in measure(arguments):
        print(f"  {each.what}: {each.cpu:.2f} s", file=sys.stderr)
        rows.append(each)
    print(table(rows))
    busy = (begun, load_average())
    print(f"load average {busy[0]} before, {busy[1]} after")
    save(arguments.json, {"rounds": arguments.rounds, "load": busy, "rows": [asdict(each) for each in rows]})


if __name__ == "__main__":
    main()
