"""Distributed training in a workspace: the real worker, engines that are real processes, torch's own rendezvous."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.backends.workspace import arguments
from studio.core import beacons, envelope
from studio.core.jobresult import Failure, JobResult, TrainingOutput
from studio.core.jobspec import JobSpec
from studio.jobs.result import of_rank, read_result, write_result
from studio.jobs.workspace import lifeline
from studio.jobs.workspace.crew import Crew

from .. import workbench
from ..workbench import ROOT, MakeSpec, events, training

FAKES = ROOT / "tests" / "fakes"
STUB = """
import json, os, sys, time
from pathlib import Path
if sys.orig_argv[1:3] == ["-m", "studio.jobs"]:
    spec = json.loads(Path(sys.orig_argv[3]).read_text())
    root, rank = Path(spec["project_dir"]), os.environ["RANK"]
    print("rank", rank, "of", os.environ["WORLD_SIZE"], os.environ["MASTER_ADDR"], os.environ["LOCAL_RANK"], flush=True)
    (root / f"started-{rank}").write_text(str(os.getpid()))
    while not (root / "release").exists():
        for code in (0, 1, 7):
            if (root / f"end-{rank}-{code}").exists():
                os._exit(code)
        time.sleep(0.02)
    os._exit(0)
"""
"""In place of the job: every rank says that it has started and waits to be told how to end."""
TWO = {"cpu": 1, "memory": 2, "workers": 2}
PATIENCE = 120.0
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(project: Path) -> Iterator[Start]:
    """Starts a run in the project, in an engine that can launch others."""
    (project / "studio.yaml").write_text("apiVersion: studio/v1\nkind: Project\n")
    (project / "stub").mkdir()
    (project / "stub" / "sitecustomize.py").write_text(STUB)
    processes: list[subprocess.Popen[str]] = []

    def start(spec: JobSpec, *path: Path, engine: str = "engine", **variables: str) -> subprocess.Popen[str]:
        environ = {
            **workbench.environment(), **envelope.pack(spec), "JOB_ARGUMENTS": arguments.line(spec),
            "CDSW_ENGINE_ID": "engine-0", "CDSW_IP_ADDRESS": "127.0.0.1", "OMP_NUM_THREADS": "1",
            "FAKE_WORKERS_LOG": str(project / "launched"),
            "PYTHONPATH": ":".join(str(each) for each in (*path, FAKES / engine, ROOT)), **variables,
        }  # fmt: skip
        processes.append(subprocess.Popen(
            [sys.executable, str(ROOT / "cml" / "run_job.py")], cwd=project, env=environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        ))  # fmt: skip
        return processes[-1]

    yield start
    (project / "release").touch()
    for process in processes:
        process.kill()
        process.wait(PATIENCE)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    printed, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, printed


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def launched(project: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project / "launched").read_text().splitlines()]


def is_running(project: Path, rank: int) -> bool:
    """Whether the job's process of a rank lives; a process that ended and was not collected does not."""
    pid = (project / f"started-{rank}").read_text()
    try:
        return bool(pid) and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def both_started(project: Path) -> None:
    until(lambda: all((project / f"started-{rank}").exists() and is_running(project, rank) for rank in (0, 1)))


def failure(spec: JobSpec) -> str:
    result = read_result(spec.folder)
    assert result and result.failure
    return result.failure.message


def test_each_rank_gets_an_engine_with_what_torch_needs_to_meet(
    project: Path, make_spec: MakeSpec, start: Start
) -> None:
    asked = {"cpu": 2, "memory": 4, "workers": 3, "gpu": 1, "gpu_label": 7, "dist_cpu": 1, "dist_memory": 8}
    spec = make_spec(training(), resources=asked, secrets={"hf_token": "MY_TOKEN"})
    process = start(spec, project / "stub", MY_TOKEN="secret-of-mine", OF_THE_RUN="1")
    until(lambda: all((project / f"started-{rank}").exists() for rank in (0, 1, 2)))
    (project / "release").touch()
    assert "secret-of-mine" not in ended(process)[1]
    assert [each["asked"] for each in launched(project)] == [{"cpu": 1, "memory": 8, "gpu": 1, "label": 7}] * 2
    environs = [each["env"] for each in launched(project)]
    assert [each["RANK"] for each in environs] == ["1", "2"]
    assert {each["WORLD_SIZE"] for each in environs} == {"3"} and {each["MASTER_ADDR"] for each in environs} == {
        "127.0.0.1"
    }
    assert {each["MY_TOKEN"] for each in environs} == {"secret-of-mine"} and "OF_THE_RUN" not in environs[0]
    assert "rank 1 of 3 127.0.0.1 0" in (spec.folder / "log-1.txt").read_text()


def test_an_older_workspace_launches_them_too(project: Path, make_spec: MakeSpec, start: Start) -> None:
    spec = make_spec(training(), resources={**TWO, "gpu": 1, "gpu_label": 7})
    process = start(spec, project / "stub", engine="old_engine")
    both_started(project)
    (project / "release").touch()
    ended(process)
    assert [each["asked"] for each in launched(project)] == [{"cpu": 1, "memory": 2, "gpu": 1}]


def test_a_worker_that_dies_ends_the_run_and_is_named(project: Path, make_spec: MakeSpec, start: Start) -> None:
    spec = make_spec(training(), resources=TWO)
    process = start(spec, project / "stub")
    both_started(project)
    os.killpg(launched(project)[0]["pid"], signal.SIGKILL)
    code, _ = ended(process)
    assert code and failure(spec) == "worker 1 of 1 (engine worker-1) was killed (out of memory?)"
    assert not is_running(project, 0) and not is_running(project, 1)
    end = beacons.heard_end((project / beacons.of(spec).end.path).read_bytes())
    assert end and end.code and not end.cancelled


def test_a_worker_that_fails_ends_the_run_with_its_exit_code(project: Path, make_spec: MakeSpec, start: Start) -> None:
    spec = make_spec(training(), resources=TWO)
    process = start(spec, project / "stub")
    both_started(project)
    (project / "end-1-7").touch()
    assert ended(process)[0]
    assert failure(spec) == "worker 1 of 1 (engine worker-1) ended with exit code 7; its log is log-1.txt"


def test_workers_end_with_the_first_process_when_it_is_killed(project: Path, make_spec: MakeSpec, start: Start) -> None:
    process = start(make_spec(training(), resources=TWO), project / "stub")
    both_started(project)
    process.kill()
    until(lambda: not is_running(project, 0) and not is_running(project, 1))
    assert process.wait(PATIENCE) == -signal.SIGKILL


def test_a_request_to_stop_ends_all(project: Path, make_spec: MakeSpec, start: Start) -> None:
    spec = make_spec(training(), resources=TWO)
    process = start(spec, project / "stub")
    both_started(project)
    process.terminate()
    assert ended(process)[0] == 128 + signal.SIGTERM
    until(lambda: not is_running(project, 1))
    assert read_result(spec.folder) is None
    end = beacons.heard_end((project / beacons.of(spec).end.path).read_bytes())
    assert end and end.cancelled


@pytest.mark.parametrize(
    ("fault", "words"),
    [("refuse", "did not launch worker 1 of 1: not enough quota"), ("raise", "the engine is not reachable")],
)
def test_a_workspace_without_room_fails_the_run_at_once(
    fault: str, words: str, project: Path, make_spec: MakeSpec, start: Start
) -> None:
    spec = make_spec(training(), resources=TWO)
    assert ended(start(spec, project / "stub", FAKE_WORKERS=fault))[0] == 1
    assert words in failure(spec) and not (project / "started-0").exists()


def test_an_engine_that_ends_before_it_calls_in_fails_the_run(project: Path, make_spec: MakeSpec, start: Start) -> None:
    spec = make_spec(training(), resources=TWO)
    hasty = project / "stub" / "sitecustomize.py"
    hasty.write_text("import studio.jobs.workspace.crew\nstudio.jobs.crew.LOOK_SECONDS = 0.1\n" + STUB)
    assert ended(start(spec, project / "stub", FAKE_WORKERS="fail"))[0]
    assert "worker 1 of 1 (engine worker-1) is failed, and never called in" in failure(spec)


def test_gpus_on_some_workers_only_are_refused(project: Path, make_spec: MakeSpec, start: Start) -> None:
    spec = make_spec(training(), resources={**TWO, "gpu": 1, "dist_gpu": 0})
    assert ended(start(spec, project / "stub"))[0] == 1
    assert failure(spec) == "num_gpu is 1 and dist_gpu is 0: all workers compute on GPUs, or none does"


class Told:
    """What the first process's end of the lines has heard."""

    def __init__(self, ended: dict[int, int], lost: set[int]) -> None:
        self.ended, self.lost, self.joined = ended, lost, {*ended, *lost}

    def hear(self) -> None: ...


CONNECTION, MEMORY = "RuntimeError: Connection closed by peer", "out of memory; the job asked for 2 GB"


@pytest.mark.parametrize(
    ("first", "second", "lost", "stopped", "blamed"),
    [
        pytest.param(("diverged", False, 1), (CONNECTION, True, 2), set(), False, "", id="the first says why"),
        pytest.param(None, (CONNECTION, True, 2), set(), False, "", id="the first was killed"),
        pytest.param((CONNECTION, True, 2), (MEMORY, False, 1), set(), False, MEMORY, id="the other says why"),
        pytest.param((CONNECTION, True, 2), None, {1}, False, "was killed", id="the other was killed"),
        pytest.param(("KeyError", True, 1), (CONNECTION, True, 2), set(), False, "", id="a fault in the first"),
        pytest.param((CONNECTION, True, 2), ("KeyError", True, 1), set(), False, "KeyError", id="a fault in the other"),
        pytest.param(None, None, set(), True, "exit code 1", id="the other ended, and the first was stopped for it"),
    ],
)
def test_who_is_to_blame(
    first: tuple[str, bool, int] | None, second: tuple[str, bool, int] | None, lost: set[int], stopped: bool,
    blamed: str, make_spec: MakeSpec,
) -> None:  # fmt: skip
    spec = make_spec(training(), resources=TWO)
    spec.folder.mkdir(parents=True)
    for name, told in (("result.json", first), (of_rank(1), second)):
        if told:
            message, bug, second_of_minute = told
            at = f"2026-01-01T00:00:0{second_of_minute}+00:00"
            result = JobResult(
                key=spec.key, attempt=1, fingerprint=spec.fingerprint, failure=Failure(message=message, bug=bug),
                started_at=at, finished_at=at, seconds=1.0,
            )  # fmt: skip
            write_result(spec.folder, result, name)
    exchange: Any = Told({} if lost else {1: 1}, lost)
    crew = Crew(spec, [], {}, Any, exchange, ids={1: "e"})
    words = crew.settle(1 if first else -9, stopped)
    assert blamed in words and bool(blamed) == bool(words)


def test_whoever_does_not_know_the_token_is_no_member() -> None:
    exchange = lifeline.Exchange("127.0.0.1")
    address = exchange.variables[lifeline.ADDRESS_VARIABLE]
    stranger, member = lifeline.call(address, "guess", 1), lifeline.call(address, exchange.token, 2)
    assert stranger and member

    def heard() -> bool:
        exchange.hear()
        return stranger.is_broken() and exchange.joined == {2}

    until(heard)
    assert not member.is_broken() and exchange.lost == set()
    member.tell_end(3)

    def told() -> bool:
        exchange.hear()
        return exchange.ended == {2: 3}

    until(told)
    exchange.close()
    assert lifeline.call(address, exchange.token, 1, patience=0.0) is None


@pytest.mark.parametrize("said", [b"[" * 4000 + b"\n", b"\xff\x00\n", b'{"token": 1e999, "rank": []}\n', b"x" * 9000])
def test_what_a_stranger_says_ends_nothing_but_his_call(said: bytes) -> None:
    exchange = lifeline.Exchange("127.0.0.1")
    host, _, port = exchange.variables[lifeline.ADDRESS_VARIABLE].rpartition(":")
    with socket.create_connection((host, int(port))) as stranger:
        stranger.sendall(said)
        stranger.setblocking(False)
        line = lifeline.Line(stranger)

        def dropped() -> bool:
            exchange.hear()
            return line.is_broken()

        until(dropped)
    assert exchange.joined == set()
    exchange.close()


def curve(result: JobResult, spec: JobSpec) -> list[float]:
    assert result.failure is None, result.failure
    return [event.loss for event in events(spec) if event.loss is not None and event.step]


@pytest.mark.slow
def test_two_workers_learn_what_one_learns_with_twice_the_accumulation(
    project: Path, make_spec: MakeSpec, start: Start
) -> None:
    """The effective batch is batch x accumulation x workers: one row more or less would bend the curve."""
    settings = {"per_device_train_batch_size": 2, "logging_steps": 1, "lr_scheduler_type": "constant"}
    single = make_spec(
        training(epochs=3, training_arguments={**settings, "gradient_accumulation_steps": 2}), run="single"
    )
    code, one = workbench.in_process_of_its_own(single, OMP_NUM_THREADS="1")
    assert code == 0
    double = make_spec(
        training(epochs=3, training_arguments={**settings, "gradient_accumulation_steps": 1}), run="double",
        resources=TWO,
    )  # fmt: skip
    code, printed = ended(start(double))
    two = read_result(double.folder)
    assert code == 0 and two, printed
    expected, found = curve(one, single), curve(two, double)
    assert len(expected) == len(found) >= 15
    assert all(math.isclose(a, b, rel_tol=0.01) for a, b in zip(expected, found, strict=True)), (expected, found)
    assert expected[-1] < expected[0] * 0.7
    assert isinstance(two.output, TrainingOutput) and (double.path(two.output.adapter) / "adapter_config.json").exists()
    assert [event.phase for event in events(double)].count("start") == 1
    assert not list(double.folder.glob("failure-*"))
