"""Commands around jobs that run, with real processes, real signals and a real terminal; only the work is faked."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from studio.cli import interrupts
from tests import projects
from tests.projects import ROOT

from .front_door import Answer, ask, environment

PATIENCE = 60.0
FAKE = str(ROOT / "tests" / "fakes" / "job")
JOB = "FineTuningJob/train"


def until(condition: Callable[[], object], what: str = "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited too long {what}"
        time.sleep(0.05)


def _prepare(terminal: int | None) -> None:
    """A shell's background jobs inherit that SIGINT is ignored, what nohup starts that SIGHUP is; a terminal sends its
    signals to the session that it controls."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if terminal is not None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@dataclass
class Desk:
    """A project whose jobs do no work, and the processes that were started on it."""

    root: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str, terminal: int | None = None, **variables: str) -> subprocess.Popen[str]:
        out = terminal if terminal is not None else subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-m", "studio", *arguments],
            cwd=self.root,
            env=environment(PYTHONPATH=f"{FAKE}:{ROOT}", PYTHONUNBUFFERED="1", COLUMNS="200", **variables),
            stdin=terminal if terminal is not None else subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT if terminal is not None else subprocess.PIPE,
            text=True,
            start_new_session=terminal is not None,
            preexec_fn=lambda: _prepare(terminal),
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, **variables: str) -> Answer:
        return ended(self.start(*arguments, **variables))

    def look(self, *arguments: str) -> Answer:
        """A command that only looks; it needs no process of its own."""
        return ask(self.root, *arguments)

    def release(self, name: str = "") -> None:
        (self.root / (f"release-{name}" if name else "release")).touch()

    def status(self) -> dict[str, str]:
        return {each["resource"]: each["state"] for each in json.loads(self.look("status", "--json").out)}

    def logs(self) -> list[Path]:
        return [log for log in (self.root / ".studio" / "runs").glob("*/log.txt") if "working" in log.read_text()]

    def applying(self, *arguments: str) -> subprocess.Popen[str]:
        """An apply whose first job runs."""
        process = self.start("apply", "--yes", *arguments)
        until(self.logs, "for the job")
        until(lambda: self.started_in_state(), "for the record of the submission")
        return process

    def started_in_state(self) -> bool:
        with sqlite3.connect(self.root / ".studio" / "state.db") as connection:
            return bool(connection.execute("SELECT 1 FROM runs WHERE status = 'submitted'").fetchone())

    def close(self) -> None:
        self.release()
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        locks = [*(self.root / ".studio" / "runs").glob("*/supervisor.json")]
        until(lambda: all((lock.parent / "exit.json").exists() for lock in locks), "for the supervisors")


def ended(process: subprocess.Popen[str]) -> Answer:
    out, err = process.communicate(timeout=PATIENCE)
    return Answer(process.returncode, out, err)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    documents = projects.with_spec(projects.support_desk(), "FineTuningJob", num_cpu=1)
    made = Desk(projects.write(tmp_path / "desk", documents))
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_waiting_and_not_training(desk: Desk, number: signal.Signals) -> None:
    process = desk.applying()
    process.send_signal(number)
    answer = ended(process)
    assert answer.code == 130
    assert interrupts.STOPPING.strip() in answer.err
    assert f"Stopped waiting, not training. Still running: {JOB}" in answer.err
    assert (
        f"to attach: studio apply\n  to watch: studio status --watch\n  its log: studio logs {JOB} --follow"
        in answer.err
    )
    assert desk.status()[JOB] == "running"
    desk.release()
    again = desk.run("apply", "--yes")
    assert again.code == 0 and f"{JOB}: attached to the running job" in again.out
    assert "Applied: 3 done (1 attached)." in again.out


def test_a_second_ctrl_c_leaves_at_once_and_says_how_to_cancel(desk: Desk) -> None:
    process = desk.applying()
    with sqlite3.connect(desk.root / ".studio" / "state.db", isolation_level=None) as blocker:
        blocker.execute("BEGIN IMMEDIATE")  # the first one cannot write down that it was interrupted
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        seen = "".join(iter(process.stderr.readline, "Stopping; jobs that run go on. Once more leaves at once.\n"))
        began = time.monotonic()
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        answer = ended(process)
        blocker.execute("ROLLBACK")
    assert answer.code == 130 and time.monotonic() - began < 10 and "Traceback" not in seen + answer.err
    assert f"to cancel: studio cancel {JOB}" in answer.err and "it expires by itself" in answer.err


def test_ctrl_c_at_a_terminal_reaches_no_job(desk: Desk) -> None:
    leader, follower = pty.openpty()
    process = desk.start("apply", "--yes", terminal=follower)
    os.close(follower)
    until(desk.logs)
    until(desk.started_in_state)
    os.set_blocking(leader, False)
    shown = b""
    os.write(leader, b"\x03")

    def read() -> bool:
        nonlocal shown
        try:
            shown += os.read(leader, 1 << 16)
        except (BlockingIOError, OSError):
            return process.poll() is not None
        return False

    until(read)
    text = shown.decode()
    assert process.returncode == 130 and f"Still running: {JOB}" in text
    assert "train" in text and desk.status()[JOB] == "running"


def test_what_runs_is_shown_in_the_words_of_the_command_that_was_typed(desk: Desk) -> None:
    (desk.root / "studio.yaml").write_text(projects.SETTINGS + "spec: {environments: {prod: {}}}\n")
    answer = desk.run("apply", "--yes", "--detach", "--env", "prod", "-C", str(desk.root / "manifests"))
    assert answer.code == 0
    assert f"Detached. Running: {JOB}." in answer.out
    assert f"to attach: studio apply -C {desk.root}/manifests --env prod" in answer.out
    assert "2 actions left for the next apply: EvaluationJob/compare, ModelExport/release" in answer.out
    plan = desk.look("plan", "--env", "prod").out
    assert "its job is under way; apply attaches" in plan
    assert "2 jobs will run" in plan and "1 job under way already; apply attaches." in plan


@pytest.mark.slow
def test_cancel_stops_the_job_of_an_apply_that_goes_on_to_say_so(desk: Desk) -> None:
    process = desk.applying()
    cancelled = desk.run("cancel", "train")
    assert cancelled.code == 0 and f"{JOB}: cancelled" in cancelled.out
    answer = ended(process)
    assert answer.code == 1 and f"✗ {JOB}: cancelled" in answer.out
    assert "1 cancelled, 2 blocked" in answer.out
    assert f"  blocked by {JOB}: EvaluationJob/compare, ModelExport/release" in answer.out
    assert f"its log: studio logs {JOB}" in answer.out and "Once that is mended: studio apply" in answer.out
    assert desk.status()[JOB] == "cancelled"
    desk.release()
    again = desk.run("apply", "--yes")
    assert again.code == 0 and "attached" not in again.out
    assert "attempt 2" in next(log for log in desk.logs() if "finetuning" in str(log)).read_text()


@pytest.mark.slow
def test_cancel_records_the_end_itself_when_nobody_applies(desk: Desk) -> None:
    assert desk.run("apply", "--yes", "--detach").code == 0
    assert desk.run("cancel", "--all", "--no-wait").out.splitlines()[1] == f"{JOB}: asked to stop"
    cancelled = desk.run("cancel", "--all")
    assert cancelled.code == 0
    again = desk.run("cancel", JOB)
    assert again.code == 0
    if "had ended already" in cancelled.out:  # it was quick; the next apply records it
        assert f"{JOB}: had ended already" in again.out
    else:
        assert f"{JOB}: cancelled\n  to start again: studio apply" in cancelled.out
        assert again.out == f"Nothing of {JOB} is running.\n" and desk.status()[JOB] == "cancelled"


@pytest.mark.slow
def test_cancel_reaches_the_job_of_an_earlier_version(desk: Desk) -> None:
    assert desk.run("apply", "--yes", "--detach").code == 0
    manifests = desk.root / "manifests" / "all.yaml"
    manifests.write_text(manifests.read_text().replace('"learning_rate": 0.002', '"learning_rate": 0.001'))
    assert f"{JOB}: a job was started for an earlier version of it" in desk.look("plan").out
    applied = desk.run("apply", "--yes", "--detach")
    assert "still runs; to stop it: studio cancel FineTuningJob/train" in applied.out
    listed = desk.look("status").out
    assert "running, earlier version" in listed and f"studio cancel {JOB} stops it" in listed
    assert desk.run("cancel", "train").out.count(f"{JOB}: cancelled") == 2
    assert "running" not in desk.look("status").out


@pytest.mark.slow
def test_status_watches_until_nothing_runs(desk: Desk) -> None:
    desk.release("compare")
    desk.release("release")
    applying = desk.applying()
    watching = desk.start("status", "--watch")
    assert watching.stdout is not None
    first = watching.stdout.readline()
    assert first.startswith(f"  {JOB}: running")
    desk.release("train")
    answer = ended(watching)
    assert ended(applying).code == 0 and answer.code == 0
    assert f"  {JOB}: succeeded\n" in answer.out
    assert "ModelExport/release    ready" in answer.out and "\x1b" not in answer.out


def test_ctrl_c_leaves_the_watch(desk: Desk) -> None:
    assert desk.run("apply", "--yes", "--detach").code == 0
    watching = desk.start("status", "--watch")
    assert watching.stdout is not None and watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    answer = ended(watching)
    assert answer.code == 130 and answer.err.strip() == "Stopped watching; what runs goes on."


def test_a_log_is_followed_from_its_last_lines_to_the_end_of_the_job(desk: Desk) -> None:
    assert desk.run("apply", "--yes", "--detach").code == 0
    until(desk.logs)
    (log,) = desk.logs()
    with log.open("a") as stream:
        stream.write("old\n" * 1000 + "a token hf_abcdefghijklmnopqrstuvwxyz \x1b[31mred\x1b[0m \x1b]0;title\x07\n")
    following = desk.start("logs", "train", "-f", "-n", "1")
    assert following.stdout is not None
    assert following.stdout.readline() == "a token *** red �]0;title�\n"
    desk.release()
    answer = ended(following)
    assert answer.code == 0 and answer.out == "bye\n" and answer.err == f"{JOB}: succeeded\n"


def test_a_held_back_export_says_why_wherever_one_looks(desk: Desk) -> None:
    desk.release()
    answer = desk.run("apply", "--yes", FAKE_EXACT_MATCH="0.41")
    why = "EvaluationJob/compare misses a gate: exact_match of router: 0.41, not at least 0.5"
    assert answer.code == 1 and f"ModelExport/release: held back — {why}" in answer.out
    assert f"ModelExport/release    not applied  held back: {why}" in desk.look("status").out
    assert why in desk.look("show", "release").out
    assert json.loads(desk.look("show", "release", "--json").out)["held_back"] == why
    assert "1 resource declared, not applied: studio plan says what would happen." in desk.look("status").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cancel"], "which job?"),
        (["cancel", "train", "--all"], "name one resource or say --all, not both"),
        (["cancel", "trian"], "nothing declared or recorded is called 'trian'"),
        (["cancel", "train", "--environment", "x"], "No such option"),
        (["status", "--watch", "--json"], "--watch and --json exclude each other"),
        (["apply", "--fail-fast", "--parallelism", "0"], "0 is not in the range"),
        (["apply", "--detach=yes"], "does not take a value"),
        (["logs", "train", "-n", "0"], "0 is not in the range"),
    ],
)
def test_a_wrong_form_is_answered_with_what_to_write(desk: Desk, arguments: list[str], words: str) -> None:
    answer = desk.look(*arguments)
    assert answer.code == 64 and words in answer.err


@pytest.mark.parametrize("arguments", [["cancel", "train"], ["cancel", "--all"]])
def test_cancelling_what_does_not_run_is_no_error(desk: Desk, arguments: list[str]) -> None:
    answer = desk.look(*arguments)
    assert (answer.code, answer.err) == (0, "") and "is running." in answer.out
    assert not (desk.root / ".studio").exists()
