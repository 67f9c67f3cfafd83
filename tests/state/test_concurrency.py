"""Real ``studio apply`` processes on one state: one works, the others say who; whoever lost its lock writes no more."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from studio.state.engine import writing
from studio.state.holder import this_process
from studio.state.lease import LEASE_SECONDS
from studio.state.schema import leases
from studio.state.sql import open_engine, open_reader
from tests import projects
from tests.cli.front_door import environment

CROWD = 32
pytestmark = pytest.mark.slow  # each process is the whole command line
PROGRAM = """
import sys, time
from pathlib import Path
from studio.apply import loop as apply
from studio.cli.main import main

run = apply.Loop.run

def run_when_told(loop):
    Path("at-work").write_text(str(len(loop.plan.actions)))
    while not Path("go-on").exists():
        time.sleep(0.02)
    return run(loop)

apply.Loop.run = run_when_told
sys.argv[0] = "studio"
main()
"""
"""The command line, but that work under the lock begins only when a file says so."""


class Project:
    """A project that runs no job, its state at a URL, and processes that apply it."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = projects.write(root, projects.data_resources())
        self.url = url
        settings = self.root / "studio.yaml"
        settings.write_text(projects.SETTINGS + "spec: {state: {env: MY_STATE}}\n")
        self.processes: list[subprocess.Popen[str]] = []

    def apply(self, lease_seconds: int = 60, actor: str = "octocat") -> subprocess.Popen[str]:
        given = environment(MY_STATE=self.url, STUDIO_LEASE_SECONDS=str(lease_seconds), GITHUB_ACTOR=actor)
        pipe = subprocess.PIPE
        found = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "apply", "--yes"],
            cwd=self.root, env=given, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True,
        )  # fmt: skip
        self.processes.append(found)
        return found

    def at_work(self, lease_seconds: int = 60, actor: str = "octocat") -> subprocess.Popen[str]:
        """An apply that holds the lock and waits to be told."""
        found = self.apply(lease_seconds, actor)
        while not (self.root / "at-work").exists():
            assert found.poll() is None, found.communicate()
            time.sleep(0.05)
        (self.root / "at-work").unlink()
        return found

    def go_on(self) -> None:
        (self.root / "go-on").touch()

    def serial(self) -> int:
        return open_reader(self.url, self.root, "default").lineage().serial


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and what it complained of."""
    complaint = process.communicate(timeout=120)[1]
    return process.returncode, complaint


@pytest.fixture
def project(state_url: str, tmp_path: Path) -> Iterator[Project]:
    found = Project(tmp_path / "project", state_url)
    yield found
    for process in found.processes:
        process.kill()
        process.communicate()


def test_of_32_applies_at_once_one_works_and_the_others_name_it(project: Project) -> None:
    crowd = [project.apply(actor=f"runner-{number}") for number in range(CROWD)]
    refused = [process for process in crowd if _ends_before_the_last(process, crowd)]
    project.go_on()
    answers = [ended(process) for process in crowd]
    assert Counter(code for code, _ in answers) == {0: 1, 3: CROWD - 1}
    (winner,) = (number for number, (code, _) in enumerate(answers) if code == 0)
    words = f"is locked by runner-{winner}: 'studio apply', process {crowd[winner].pid} on "
    assert all(words in complaint and "bug" not in complaint for code, complaint in answers if code == 3), answers
    assert len(refused) == CROWD - 1 and len(open_reader(project.url, project.root, "default").records()) == 4


def _ends_before_the_last(process: subprocess.Popen[str], crowd: list[subprocess.Popen[str]]) -> bool:
    """Wait until a process ends, or is the only one that has not."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if sum(each.poll() is None for each in crowd) == 1:
            return False
        time.sleep(0.05)
    return True


def test_the_lock_of_a_killed_apply_is_taken_over_at_once(project: Project) -> None:
    if not this_process().space:
        pytest.skip("this system does not tell whether a process of this boot is gone")
    holder = project.at_work()
    holder.kill()
    holder.wait()
    project.go_on()
    assert ended(project.apply()) == (0, "")


def test_the_lock_of_an_apply_that_was_killed_elsewhere_expires(project: Project) -> None:
    holder = project.at_work(actor="elsewhere")
    holder.kill()
    holder.wait()
    project.go_on()
    engine = open_engine(project.url, project.root)
    with writing(engine) as connection:  # as if it had run on another machine, of which nothing is known
        connection.execute(update(leases).values(process={}))
    code, complaint = ended(project.apply())
    assert code == 3 and "is locked by elsewhere: 'studio apply', process" in complaint
    with writing(engine) as connection:  # as if a minute had passed
        connection.execute(update(leases).values(expires_at=leases.c.expires_at - LEASE_SECONDS))
    engine.dispose()
    assert ended(project.apply()) == (0, "")


def test_a_paused_apply_that_lost_its_lock_writes_nothing_when_it_wakes(project: Project) -> None:
    holder = project.at_work(lease_seconds=2, actor="sleeper")
    holder.send_signal(signal.SIGSTOP)
    while open_reader(project.url, project.root, "default").lease():
        time.sleep(0.1)
    project.go_on()
    assert ended(project.apply(actor="other")) == (0, "")
    after = project.serial()
    holder.send_signal(signal.SIGCONT)
    code, complaint = ended(holder)
    assert code == 3 and "the lock on environment 'default' was taken over by" in complaint
    assert project.serial() == after
