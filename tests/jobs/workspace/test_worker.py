"""What a job of a workspace runs: the real script as a process, with a stand-in for the job inside it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.backends.workspace import arguments
from studio.core import beacons, envelope
from studio.core.jobspec import DatasetInput, JobSpec, ModelInput, Resources, Tracking, TrainingWork
from studio.core.prompting import Templates
from studio.jobs import run_folder
from studio.jobs.result import read_result
from studio.jobs.workspace import claims, worker

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "cml" / "run_job.py"
PATIENCE = 60.0
TOKEN = "hf_" + "a1B2" * 8
PLAIN = "correct-horse-battery-staple"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "studio.yaml").write_text("apiVersion: studio/v1\nkind: Project\n")
    return tmp_path


def sent(key: str = "finetuningjob-x-0123", attempt: int = 1, part: int = 0, **changes: Any) -> JobSpec:
    """A spec as it travels: without a folder."""
    work = TrainingWork(
        model=ModelInput(name="m", type="project", location="models/none"),
        dataset=DatasetInput(name="d", type="project_csv", location="data/none.csv"),
        templates=Templates(prompt="{a}"), adapter_name="a", epochs=1, learning_rate=0.001,
    )  # fmt: skip
    return JobSpec(
        key=key, attempt=attempt, part=part, kind="FineTuningJob", name="x", fingerprint="f" * 64,
        environment="default", project_dir="", run_dir=f".studio/runs/{key}", work=work,
        tracking=Tracking(tracking_uri="sqlite:///.studio/mlflow.db", experiment="x"), **changes,
    )  # fmt: skip


def environment(spec: JobSpec, engine: str = "engine-1", **variables: str) -> dict[str, str]:
    """What a run finds: the project's stand-in job is on the path, and nothing of a launcher is set."""
    path = f"{ROOT / 'tests' / 'fakes' / 'job'}:{ROOT}"
    bare = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    return {
        **bare, "PYTHONPATH": path, "CDSW_ENGINE_ID": engine,
        "JOB_ARGUMENTS": arguments.line(spec), **envelope.pack(spec), **variables,
    }  # fmt: skip


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(project: Path) -> Iterator[Start]:
    """Starts a run in the project, as a workspace does."""
    started: list[subprocess.Popen[str]] = []

    def start(spec: JobSpec, engine: str = "engine-1", **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT)], cwd=project, env=environment(spec, engine, **variables), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    (project / "release").touch()
    for process in started:
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


def beacon(project: Path, spec: JobSpec) -> Path:
    return project / beacons.of(spec).path


def end_of(project: Path, spec: JobSpec) -> beacons.Ended | None:
    """How a job told its end, just now."""
    path = project / beacons.of(spec).end.path
    found = beacons.heard_end(path.read_bytes()) if path.exists() else None
    assert found is None or (found.time and 0 <= time.time() - found.time < 60)
    return found and found.model_copy(update={"time": None})


def test_a_job_runs_in_the_project_and_leaves_result_log_and_beacons(project: Path, start: Start) -> None:
    spec = sent()
    (project / "release").touch()
    code, printed = ended(start(spec))
    folder = project / spec.run_dir
    assert code == 0, printed
    assert "--job_key finetuningjob-x-0123 --attempt 1" in printed and "[x] working, attempt 1" in printed
    assert "[x] working, attempt 1" in (folder / "log.txt").read_text()
    result = read_result(folder)
    assert result and result.attempt == 1 and not result.failure
    assert end_of(project, spec) == beacons.Ended(code=0)
    assert json.loads((folder / "spec.json").read_text())["project_dir"] == str(project)


def test_beacons_follow_the_job(project: Path, start: Start) -> None:
    spec = sent()
    start(spec)
    until(lambda: beacon(project, spec).exists())
    until(lambda: (event := beacons.heard(beacon(project, spec).read_bytes())) and event.phase == "train")
    assert end_of(project, spec) is None


def test_beacons_of_long_ago_are_taken_away(project: Path, start: Start) -> None:
    folder = project / beacons.FOLDER
    folder.mkdir(parents=True)
    for name in ("old@1", "old@1.ended", "recent@1.ended", "notes.txt"):
        (folder / name).write_text("{}")
    for name in ("old@1", "old@1.ended", "notes.txt"):
        os.utime(folder / name, (0, 0))
    (project / "release").touch()
    assert ended(start(sent()))[0] == 0
    left = {file.name for file in folder.iterdir()}
    assert {"recent@1.ended", "notes.txt", beacons.of(sent()).name} <= left and not any(
        n.startswith("old") for n in left
    )


def test_a_part_has_a_folder_and_beacons_of_its_own(project: Path, start: Start) -> None:
    spec = sent(part=2)
    (project / "release").touch()
    assert ended(start(spec))[0] == 0
    assert (project / spec.run_dir / "part-2" / "result.json").exists()
    assert (project / ".studio/beacons" / f"{spec.key}@1.part-2.ended").exists()


def test_a_failed_job_fails_the_run(project: Path, start: Start) -> None:
    spec = sent()
    (project / "release").touch()
    (project / "fail-x").touch()
    code, _ = ended(start(spec))
    result = read_result(project / spec.run_dir)
    assert code == 1 and result and result.failure and result.failure.message == "CUDA out of memory"
    assert end_of(project, spec) == beacons.Ended(code=1)


def test_a_second_delivery_does_nothing(project: Path, start: Start) -> None:
    spec = sent()
    first = start(spec, "engine-1")
    until((project / spec.run_dir / "claim-1.json").exists)
    second = ended(start(spec, "engine-2"))
    assert second[0] == 0 and "delivered before" in second[1]
    assert first.poll() is None and end_of(project, spec) is None
    (project / "release").touch()
    assert ended(first)[0] == 0
    third = ended(start(spec, "engine-3"))
    assert third[0] == 0 and "delivered before" in third[1]
    assert (project / spec.run_dir / "log.txt").read_text().count("working") == 1


def test_a_second_delivery_to_the_same_engine_does_nothing_either(project: Path, start: Start) -> None:
    spec = sent()
    first = start(spec)
    until((project / spec.run_dir / "claim-1.json").exists)
    assert "delivered before" in ended(start(spec))[1]
    assert first.poll() is None


def test_an_engine_that_was_killed_goes_on_when_it_is_started_again(project: Path, start: Start) -> None:
    spec = sent()
    first = start(spec)
    until(lambda: (log := project / spec.run_dir / "log.txt").exists() and "working" in log.read_text())
    first.kill()
    first.wait(PATIENCE)
    (project / "release").touch()
    code, printed = ended(start(spec))
    assert code == 0 and "delivered before" not in printed
    assert (project / spec.run_dir / "log.txt").read_text().count("working") == 2


def test_an_engine_that_is_started_again_after_the_end_only_says_so(project: Path, start: Start) -> None:
    spec = sent()
    (project / "release").touch()
    assert ended(start(spec))[0] == 0
    (project / beacons.of(spec).end.path).unlink()
    assert ended(start(spec))[0] == 0
    assert end_of(project, spec) == beacons.Ended(code=0)
    assert (project / spec.run_dir / "log.txt").read_text().count("working") == 1


def test_a_request_to_stop_reaches_the_job(project: Path, start: Start) -> None:
    spec = sent()
    process = start(spec)
    until((project / spec.run_dir / "events.jsonl").exists)
    process.send_signal(signal.SIGTERM)
    code, _ = ended(process)
    assert code == 128 + signal.SIGTERM
    assert end_of(project, spec) == beacons.Ended(code=-signal.SIGTERM, cancelled=True)
    assert read_result(project / spec.run_dir) is None


def test_the_last_beacon_of_a_job_that_was_killed_says_by_what(project: Path, start: Start) -> None:
    spec = sent()
    process = start(spec)
    until((project / spec.run_dir / "events.jsonl").exists)
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    code, _ = ended(process)
    assert code == 128 + signal.SIGKILL
    assert read_result(project / spec.run_dir) is None
    assert end_of(project, spec) == beacons.Ended(code=-signal.SIGKILL)


def test_no_secret_is_printed_or_logged(project: Path, start: Start) -> None:
    spec = sent(secrets={"hf_token": "MY_TOKEN"})
    (project / "release").touch()
    noisy = project / "noisy"
    noisy.mkdir()
    (noisy / "sitecustomize.py").write_text(
        f"import sys\nif '-m' in sys.orig_argv: print('{PLAIN}', '{TOKEN}', flush=True)\n"
        + (ROOT / "tests" / "fakes" / "job" / "sitecustomize.py").read_text().replace("from __future__", "#", 1)
    )
    given = f"--hf_token secret-of-mine {arguments.line(spec)} --note {TOKEN}"
    variables = {"MY_TOKEN": PLAIN, "JOB_ARGUMENTS": given, "PYTHONPATH": f"{noisy}:{ROOT}"}
    code, printed = ended(start(spec, **variables))
    text = printed + (project / spec.run_dir / "log.txt").read_text()
    assert code == 0 and "***" in text
    assert not [secret for secret in (TOKEN, PLAIN, "secret-of-mine") if secret in text]


REFUSALS: dict[str, tuple[dict[str, str], str]] = {
    "no spec": ({"STUDIO_JOB_SPEC": ""}, "jobs are started by studio apply"),
    "damaged": ({"STUDIO_JOB_SPEC": "%%%"}, "STUDIO_JOB_SPEC is damaged"),
    "a key that leads elsewhere": (
        {"STUDIO_JOB_SPEC": "%%%", "JOB_ARGUMENTS": "--job_key ../../x --attempt 1"}, "is damaged"),
    "another job": ({"JOB_ARGUMENTS": "--job_key other --attempt 1"}, "says --job_key other"),
    "another attempt": ({"JOB_ARGUMENTS": "--job_key finetuningjob-x-0123 --attempt 2"}, "says --attempt 2"),
    "another part": (
        {"JOB_ARGUMENTS": "--job_key finetuningjob-x-0123 --attempt 1 --part 3"}, "says --part 3"),
    "no arguments": ({"JOB_ARGUMENTS": ""}, "says --job_key (nothing)"),
    "an open quote": ({"JOB_ARGUMENTS": "--job_key 'x"}, "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_relied_on_is_refused(
    case: str, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    variables, words = REFUSALS[case]
    stop = worker.Stop()
    assert worker.perform({**environment(sent()), **variables}, project, stop) == worker.REFUSED
    assert words in capsys.readouterr().out
    assert not (project / ".studio" / "runs" / sent().key / "claim-1.json").exists()


def test_a_job_of_a_newer_studio_says_what_to_install(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = {**json.loads(sent().model_dump_json()), "marvel": True}
    packed = base64.b64encode(zlib.compress(json.dumps({"studio": "9.1.0", "spec": spec}).encode())).decode()
    variables = {**environment(sent()), "STUDIO_JOB_SPEC": packed}
    assert worker.perform(variables, project, worker.Stop()) == worker.REFUSED
    printed = capsys.readouterr().out
    assert "sent by studio 9.1.0" in printed and "install the same version" in printed
    assert "sent by studio 9.1.0" in (project / sent().run_dir / "log.txt").read_text()
    assert end_of(project, sent()) == beacons.Ended(code=64)


def test_a_run_that_somebody_starts_by_hand_says_nothing_of_the_job(project: Path) -> None:
    variables = {name: value for name, value in environment(sent()).items() if name != "STUDIO_JOB_SPEC"}
    assert worker.perform(variables, project, worker.Stop()) == worker.REFUSED
    assert not (project / ".studio").exists()


def test_an_unreadable_delivery_says_nothing_of_a_job_that_another_engine_performs(project: Path) -> None:
    claim = claims.take(project / sent().run_dir, 1, "engine-1")
    assert claim and claim.lock is not None
    assert worker.perform({**environment(sent()), "STUDIO_JOB_SPEC": "%"}, project, worker.Stop()) == worker.REFUSED
    assert end_of(project, sent()) is None
    os.close(claim.lock)


def test_an_attempt_whose_predecessor_does_not_end_is_refused_in_words(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = claims.take(project / sent().run_dir, 1, "engine-1")
    assert before and before.lock is not None
    monkeypatch.setattr(claims, "HANDOVER_SECONDS", 0.0)
    assert worker.perform(environment(sent(attempt=2), "engine-2"), project, worker.Stop()) == worker.REFUSED
    assert end_of(project, sent(attempt=2)) == beacons.Ended(code=64) and end_of(project, sent()) is None
    assert "earlier attempt still runs" in (project / sent().run_dir / "log.txt").read_text()
    os.close(before.lock)


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert worker.perform({**environment(sent()), "STUDIO_JOB_SPEC": "%"}, tmp_path, worker.Stop()) == worker.REFUSED
    assert worker.perform(environment(sent()), tmp_path, worker.Stop()) == worker.REFUSED
    assert "no studio.yaml" in capsys.readouterr().out


def test_the_worker_imports_no_ml_library() -> None:
    code = (
        "import sys; from studio.jobs.workspace import worker; print([*{'torch', 'mlflow', 'numpy'} & {*sys.modules}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_that_ends_well_raises_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that runs scripts as cells takes any SystemExit for a failure."""
    monkeypatch.setattr(worker, "perform", lambda *_: 0)
    worker.run()
    monkeypatch.setattr(worker, "perform", lambda *_: -9)
    with pytest.raises(SystemExit) as raised:
        worker.run()
    assert raised.value.code == 137


def test_only_one_engine_gets_an_attempt(tmp_path: Path) -> None:
    mine = claims.take(tmp_path, 1, "a")
    assert mine and mine.lock is not None
    assert claims.take(tmp_path, 1, "b") is None
    assert claims.take(tmp_path, 1, "a") is None
    os.close(mine.lock)
    assert claims.take(tmp_path, 1, "b") is None
    again = claims.take(tmp_path, 1, "a")
    assert again and again.lock is not None
    os.close(again.lock)


def test_an_attempt_that_comes_after_a_later_one_does_nothing(tmp_path: Path) -> None:
    later = claims.take(tmp_path, 2, "a")
    assert later and later.lock is not None
    os.close(later.lock)
    assert claims.take(tmp_path, 1, "b") is None


def test_a_later_attempt_waits_for_the_one_before_it_and_says_when_that_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "HANDOVER_SECONDS", 0.0)
    before = claims.take(tmp_path, 1, "a")
    assert before
    with pytest.raises(claims.JobError, match="earlier attempt still runs"):
        claims.take(tmp_path, 2, "b")


def test_on_a_disk_without_locks_the_file_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_: Path) -> int:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(run_folder, "take_lock", no_locks)
    assert claims.take(tmp_path, 1, "a") == claims.Claim("a", None)
    assert claims.take(tmp_path, 1, "b") is None
    assert claims.take(tmp_path, 1, "a") == claims.Claim("a", None)


def test_several_workers_without_a_workspace_are_started_on_this_machine(tmp_path: Path) -> None:
    from studio.jobs.workspace import teams

    spec = sent(resources=Resources(workers=2))
    assert "torch.distributed.run" in teams.gather(spec, tmp_path / "spec.json", {}).command
