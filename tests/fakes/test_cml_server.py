"""The workspace that tests work with, through the client that they use: it does what the real one is known to do."""

from __future__ import annotations

import fcntl
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.cml_server import Workspace, workspace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def cml(folder: Path) -> Iterator[Workspace]:
    with workspace(folder, environment={"PLACE": "project", "WHOSE": "project"}) as running:
        yield running


def job(cml: Workspace, script: str = "pass", **more: Any) -> Any:
    """A job with this script's text."""
    import cmlapi

    name = more.pop("name", "a job")
    (next(iter(cml.state.projects.values())).folder / "script.py").write_text(script)
    request = cmlapi.CreateJobRequest(name=name, script="script.py", runtime_identifier="python", **more)
    return cml.client.create_job(request, cml.project_id)


def start(cml: Workspace, job: Any, **more: Any) -> str:
    import cmlapi

    return str(cml.client.create_job_run(cmlapi.CreateJobRunRequest(**more), cml.project_id, job.id).id)


def status_of(call: Any, *arguments: Any, **keywords: Any) -> int:
    """The HTTP status with which a call is refused."""
    from cmlapi.rest import ApiException

    with pytest.raises(ApiException) as caught:
        call(*arguments, **keywords)
    body = json.loads(caught.value.body)
    assert body["error"] == body["message"] and body["code"] > 0
    return int(caught.value.status)


def test_a_run_executes_the_script_in_the_project_with_all_its_variables(cml: Workspace, folder: Path) -> None:
    script = "import json, os, sys; json.dump(dict(os.environ), open('seen.json', 'w')); print('hello')"
    made = job(cml, script, environment={"WHOSE": "job", "MINE": "job"}, arguments="--from job")
    run = start(cml, made, environment={"MINE": "run"}, arguments="--name 'two words'")
    assert cml.ended(run) == "ENGINE_SUCCEEDED" and cml.log(run) == "hello\n"
    seen = json.loads((folder / "seen.json").read_text())
    assert (seen["PLACE"], seen["WHOSE"], seen["MINE"]) == ("project", "job", "run")
    assert (seen["JOB_ARGUMENTS"], seen["CDSW_ENGINE_ID"]) == ("--name 'two words'", run)
    assert seen["CDSW_PROJECT_ID"] == cml.project_id and f"http://{seen['CDSW_DOMAIN']}" == cml.url
    assert "CDSW_APIV2_KEY" not in seen and "PYTEST_CURRENT_TEST" not in seen


def test_a_run_tells_when_it_was_where_and_its_exit_code_decides(cml: Workspace) -> None:
    run = start(cml, made := job(cml, "raise SystemExit(3)"))
    assert cml.ended(run) == "ENGINE_FAILED"
    shown = cml.client.get_job_run(cml.project_id, made.id, run)
    times = [shown.created_at, shown.scheduling_at, shown.starting_at, shown.running_at, shown.finished_at]
    assert times == sorted(times) and shown.status == "ENGINE_FAILED"


def test_runs_beyond_the_bound_wait(cml: Workspace) -> None:
    cml.allow(0)
    first, second = (start(cml, job(cml)) for _ in range(2))
    assert cml.run(first).status == cml.run(second).status == "ENGINE_SCHEDULING"
    cml.allow(1)
    assert cml.ended(first) == cml.ended(second) == "ENGINE_SUCCEEDED"
    assert cml.run(first).record["finished_at"] <= cml.run(second).record["starting_at"]


READY = "import pathlib, signal, sys, time; {}; pathlib.Path('ready').touch(); time.sleep(60)"


@pytest.mark.parametrize("handler", ["signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))", "pass"])
def test_a_run_that_is_stopped_gets_a_signal_it_can_handle(cml: Workspace, folder: Path, handler: str) -> None:
    run = start(cml, made := job(cml, READY.format(handler)))
    wait_for(folder / "ready")
    assert cml.client.stop_job_run(cml.project_id, made.id, run).status == "ENGINE_STOPPING"
    assert cml.ended(run) == "ENGINE_STOPPED"
    assert status_of(cml.client.stop_job_run, cml.project_id, made.id, run) == 400


def test_a_run_that_does_not_listen_is_killed_after_the_grace(folder: Path) -> None:
    with workspace(folder, grace=0.1) as cml:
        run = start(cml, made := job(cml, READY.format("signal.signal(signal.SIGTERM, signal.SIG_IGN)")))
        wait_for(folder / "ready")
        cml.client.stop_job_run(cml.project_id, made.id, run)
        assert cml.ended(run) == "ENGINE_STOPPED" and cml.run(run).process.returncode == -signal.SIGKILL


def test_a_run_that_takes_too_long_times_out_if_the_job_says_so(folder: Path) -> None:
    with workspace(folder, second=0.05) as cml:
        killed = start(cml, job(cml, "import time; time.sleep(60)", timeout=1, kill_on_timeout=True))
        kept = start(cml, job(cml, "import time; time.sleep(0.2)", timeout=1))
        assert (cml.ended(killed), cml.ended(kept)) == ("ENGINE_TIMEDOUT", "ENGINE_SUCCEEDED")


def test_a_run_that_dies_fails_and_what_it_started_dies_with_it(cml: Workspace, folder: Path) -> None:
    script = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', {!r}]).wait()"
    child = (
        "import fcntl, pathlib, time; held = open('held', 'w'); fcntl.flock(held, fcntl.LOCK_EX);"
        "pathlib.Path('ready').touch(); time.sleep(60)"
    )
    run = start(cml, job(cml, script.format(child)))
    wait_for(folder / "ready")
    with (folder / "held").open() as held, pytest.raises(BlockingIOError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    cml.kill(run)
    assert cml.ended(run) == "ENGINE_FAILED"
    with (folder / "held").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # free, since nobody lives who held it


def test_a_run_whose_environment_is_too_long_fails(cml: Workspace) -> None:
    run = start(cml, job(cml), environment={"LONG": "x" * 200_000})
    assert cml.ended(run) == "ENGINE_FAILED" and "too long" in cml.log(run)


def test_a_job_with_a_parent_runs_by_itself_when_the_parent_has_succeeded(cml: Workspace) -> None:
    parent = job(cml)
    child = job(cml, name="child", parent_job_id=parent.id)
    assert cml.ended(start(cml, parent)) == "ENGINE_SUCCEEDED"
    (run,) = cml.client.list_job_runs(cml.project_id, child.id).job_runs
    assert cml.ended(run.id) == "ENGINE_SUCCEEDED" and child.type == "dependent"


def wait_for(path: Path) -> None:

    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_stand_in_takes_the_place_of_two_hundred_processes(folder: Path) -> None:
    with workspace(folder, stand_in=lambda run: 0, limit=8) as cml:
        runs = [start(cml, job(cml, name=f"job-{n}"), arguments=str(n)) for n in range(200)]
        assert {cml.ended(run) for run in runs} == {"ENGINE_SUCCEEDED"}
        assert cml.count("create_job") == cml.count("create_job_run") == 200


def test_lists_come_in_pages_sorted_and_filtered(cml: Workspace) -> None:
    import cmlapi

    for name in ("base", "base-2", "Other", *"abcdefghi"):
        job(cml, name=name)
    first = cml.client.list_jobs(cml.project_id)
    assert len(first.jobs) == 10 and first.next_page_token
    found = cmlapi.Cursor(cml.client.list_jobs, cml.project_id, page_size=5, sort="-name").items()
    assert [each.name for each in found] == sorted(["base", "base-2", "Other", *"abcdefghi"], reverse=True)
    (only,) = cml.client.list_jobs(cml.project_id, search_filter=json.dumps({"name": "base"})).jobs
    assert only.name == "base"
    for bad in ({"search_filter": "{"}, {"search_filter": '{"colour": "red"}'}, {"sort": "x"}, {"page_token": "x"}):
        assert status_of(cml.client.list_jobs, cml.project_id, **bad) == 400


def test_some_workspaces_filter_by_a_part_of_a_text(folder: Path) -> None:
    with workspace(folder, substring=True) as cml:
        made = {job(cml, name=name).name for name in ("base", "my-Base-2", "other")}
        found = cml.client.list_jobs(cml.project_id, search_filter=json.dumps({"name": "base"})).jobs
        assert {each.name for each in found} == made - {"other"}


def test_files_are_those_of_the_folder(cml: Workspace, folder: Path, tmp_path: Path) -> None:
    client, project = cml.client, cml.project_id
    (folder / ".studio" / "beacons").mkdir(parents=True)
    (folder / ".studio" / "beacons" / "a@1").write_bytes(b"\xff\x00")
    (listed,) = client.list_project_files(project, ".studio/beacons").files
    assert (listed.path, listed.is_dir, listed.file_size) == ("a@1", False, "2")
    assert [each.path for each in client.list_project_files(project, ".").files] == [".studio", ".bashrc"]
    content = client.download_project_file(project, ".studio/beacons/a@1", _preload_content=False)
    assert content.data == b"\xff\x00"
    client.delete_project_file(project, ".studio/beacons/a@1")
    assert not (folder / ".studio" / "beacons" / "a@1").exists()
    (tmp_path / "notes.txt").write_text("new")
    for _ in range(2):
        client.upload_file(project, str(tmp_path / "notes.txt"))
    assert (folder / "notes.txt").read_text() == (folder / "notes(1).txt").read_text() == "new"


@pytest.mark.parametrize(("path", "status"), [("nothing", 404), ("../x", 400), ("/etc/passwd", 400), ("out", 403)])
def test_no_path_leads_out_of_the_project(cml: Workspace, folder: Path, path: str, status: int) -> None:
    (folder / "out").symlink_to("/etc")
    asked = (cml.client.list_project_files, cml.client.download_project_file, cml.client.delete_project_file)
    assert {status_of(call, cml.project_id, path) for call in asked} == {status}


def test_what_the_api_does_not_know_is_refused(cml: Workspace) -> None:
    import cmlapi

    client, project = cml.client, cml.project_id
    assert status_of(client.get_project, "other") == 404
    assert status_of(client.get_job, project, "a/b") == 404
    assert status_of(client.create_job, {"name": "a", "script": "b", "colour": "red"}, project) == 400
    assert status_of(client.create_job, {"name": "a", "script": "b", "environment": {"N": 1}}, project) == 400
    assert status_of(client.create_job, {"name": "a", "script": "b", "cpu": "two"}, project) == 400
    assert client.create_job({"name": "a", "script": "b", "cpu": "2", "kernel": "python3"}, project).cpu == 2
    assert status_of(client.create_job, cmlapi.CreateJobRequest(name="a"), project) == 400
    stranger = cmlapi.default_client(cml.url, "revoked")
    assert status_of(stranger.list_projects) == 401
    with pytest.raises(TypeError, match="colour"):
        cmlapi.CreateJobRequest(colour="red")
    with pytest.raises(TypeError, match="colour"):
        client.list_jobs(project, colour="red")
    with pytest.raises(ValueError, match="project_id"):
        client.list_jobs(None)


def test_all_that_was_asked_is_kept(cml: Workspace) -> None:
    made = job(cml, name="kept")
    start(cml, made, environment={"TOKEN": "secret-value"})
    last = cml.calls[-1]
    assert (last.method, last.status, last.request.bearer) == ("create_job_run", 200, cml.key)
    assert b"secret-value" in last.sent and cml.key.encode() not in last.sent
    assert cml.requests[-2:] == [
        f"POST /api/v2/projects/{cml.project_id}/jobs", f"POST /api/v2/projects/{cml.project_id}/jobs/{made.id}/runs"
    ]  # fmt: skip
