"""Jobs in a workspace: once each, by a deterministic name, whatever happens to requests and answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError

from studio.backends import cml
from studio.backends.base import Handle
from studio.backends.workspace import arguments
from studio.backends.workspace.calls import MissingError
from studio.backends.workspace.jobs import FRESH_SECONDS
from studio.backends.workspace.templates import GENERAL, TRAINING
from studio.core.envelope import SPEC_VARIABLE, unpack
from studio.core.errors import BackendError, RefusedError, StudioError
from studio.core.jobspec import RemovalWork, Resources, Tracking
from tests.backends.workspace.places import (
    KEY,
    RUNTIME,
    SCRIPT,
    add_template,
    backend,
    evaluation,
    prepared,
    spec,
    training,
)
from tests.fakes.cml_server import Workspace
from tests.fakes.http import Answer
from tests.fakes.workspace.refusal import refusal


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with prepared(tmp_path / "project") as found:
        yield found


def jobs(workspace: Workspace, name: str = KEY) -> list[dict[str, Any]]:
    return [job for job in workspace.state.jobs.values() if job["name"].startswith(name)]


def runs(workspace: Workspace) -> list[dict[str, Any]]:
    return [run.record for run in workspace.state.runs.values()]


def alive(workspace: Workspace) -> list[str]:
    return [run["id"] for run in runs(workspace) if run["status"] == "ENGINE_SCHEDULING"]


def asked(workspace: Workspace) -> list[str]:
    return [call.method for call in workspace.calls]


def test_a_job_inherits_runtime_and_script_and_asks_for_what_the_manifest_says(workspace: Workspace) -> None:
    handle = backend(workspace).submit(training(resources=Resources(cpu=3, gpu=1, memory=16)))
    (job,), (run,) = jobs(workspace), runs(workspace)
    assert (job["name"], job["script"], job["runtime_identifier"]) == (KEY, SCRIPT, RUNTIME)
    assert (job["cpu"], job["nvidia_gpu"], job["memory"]) == (3, 1, 16)
    assert handle == Handle(KEY, 1, {"jobs": [{"job_id": job["id"], "run_id": run["id"], "name": KEY}]})
    assert arguments.told(run["arguments"]) == arguments.Told(KEY, 1, 0, 1)
    assert json.loads(json.dumps(handle.details)) == handle.details


def test_the_spec_travels_in_the_environment_of_the_run_and_not_of_the_job(workspace: Workspace) -> None:
    sent = training()
    backend(workspace).submit(sent)
    assert unpack(json.loads(runs(workspace)[0]["environment"])) == sent.model_copy(update={"project_dir": ""})
    assert json.loads(jobs(workspace)[0]["environment"]) == {}


def test_a_quiet_submission_is_five_calls(workspace: Workspace) -> None:
    used = backend(workspace)
    used.submit(training("finetuningjob-first-0000000000000000"))
    workspace.calls.clear()
    assert used.attempts(KEY) == 0
    used.submit(training())
    assert asked(workspace) == ["list_jobs", "create_job", "create_job_run", "list_jobs", "list_job_runs"]
    workspace.calls.clear()
    used.submit(training())
    assert asked(workspace) == ["list_jobs", "list_job_runs"]


def test_submitting_again_starts_nothing_new(workspace: Workspace) -> None:
    first = backend(workspace).submit(training())
    assert backend(workspace).submit(training()) == first
    assert len(jobs(workspace)) == len(runs(workspace)) == 1


def test_attempts_are_runs_of_one_job(workspace: Workspace) -> None:
    used = backend(workspace)
    first = used.submit(training())
    used.cancel(first)
    second = backend(workspace).submit(training(attempt=2))
    assert len(jobs(workspace)) == 1 and len(runs(workspace)) == 2
    fresh = backend(workspace)
    assert (fresh.find(KEY, 1), fresh.find(KEY, 2), fresh.find(KEY, 3)) == (first, second, None)
    assert fresh.attempts(KEY) == 2


def test_what_changed_since_the_last_attempt_is_brought_over(workspace: Workspace) -> None:
    used = backend(workspace)
    used.cancel(used.submit(training(resources=Resources(cpu=1, memory=2))))
    workspace.calls.clear()
    backend(workspace).submit(training(attempt=2, resources=Resources(cpu=4, gpu=1, memory=8)))
    (job,) = jobs(workspace)
    assert (job["cpu"], job["nvidia_gpu"], job["memory"]) == (4, 1, 8)
    (update,) = (call for call in workspace.calls if call.method == "update_job")
    assert json.loads(update.request.body).keys() == {"cpu", "nvidia_gpu", "memory", "arguments"}


def test_two_attempts_never_run_at_once(workspace: Workspace) -> None:
    backend(workspace).submit(training())
    with pytest.raises(RefusedError, match=r"attempt 1 of the job .* still runs in the workspace") as caught:
        backend(workspace).submit(training(attempt=2))
    assert "stop it there" in caught.value.hint and len(runs(workspace)) == 1


def test_nothing_is_found_where_nothing_was_started(workspace: Workspace) -> None:
    used = backend(workspace)
    assert used.find(KEY, 1) is None and used.attempts(KEY) == 0


@pytest.mark.parametrize("substring", [False, True])
def test_a_name_that_is_part_of_another_is_another_job(tmp_path: Path, substring: bool) -> None:
    with prepared(tmp_path / "project", substring=substring) as workspace:
        longer = backend(workspace).submit(training(f"{KEY}-and-more"))
        shorter = backend(workspace).submit(training(KEY))
        assert longer.details != shorter.details
        assert backend(workspace).find(KEY, 1) == shorter


def test_of_many_jobs_the_one_is_found(workspace: Workspace) -> None:
    handles = [backend(workspace).submit(training(f"finetuningjob-x-{number:016}")) for number in range(15)]
    used = backend(workspace)
    assert [used.find(handle.key, 1) for handle in handles] == handles


# Parts.


def test_an_evaluation_is_one_job_for_each_combination(workspace: Workspace) -> None:
    sent = evaluation(3)
    handle = backend(workspace).submit(sent)
    assert [job["name"] for job in handle.details["jobs"]] == [f"{sent.key}.part-{number}" for number in (1, 2, 3)]
    parts = [unpack(json.loads(run["environment"])).part for run in runs(workspace)]
    assert parts == [1, 2, 3]
    fresh = backend(workspace)
    assert fresh.find(sent.key, 1) == handle and fresh.attempts(sent.key) == 1


def test_an_evaluation_of_one_combination_is_one_job(workspace: Workspace) -> None:
    sent = evaluation(1)
    handle = backend(workspace).submit(sent)
    assert [job["name"] for job in handle.details["jobs"]] == [sent.key]
    assert backend(workspace).find(sent.key, 1) == handle


def test_parts_that_a_crash_left_out_are_submitted_later(workspace: Workspace) -> None:
    sent, used = evaluation(3), backend(workspace)
    broken(used, "create_job_run", before=lambda number: number > 2)
    with pytest.raises(BackendError):
        used.submit(sent)
    assert len(runs(workspace)) == 2
    with pytest.raises(BackendError, match=r"2 of 3 jobs"):  # this process must not take the attempt for refused
        used.find(sent.key, 1)
    later = backend(workspace)
    assert later.find(sent.key, 1) is None
    handle = later.submit(sent)
    assert len(handle.details["jobs"]) == 3 and len(runs(workspace)) == 3


def test_when_one_part_is_refused_the_others_are_stopped(workspace: Workspace) -> None:
    sent, used = evaluation(2), backend(workspace)
    broken(used, "create_job_run", before=lambda number: number == 2, status=409)
    with pytest.raises(RefusedError, match="no quota left"):
        used.submit(sent)
    assert alive(workspace) == []


def test_cancelling_stops_every_part(workspace: Workspace) -> None:
    used = backend(workspace)
    used.cancel(used.submit(evaluation(3)))
    assert [run["status"] for run in runs(workspace)] == ["ENGINE_STOPPED"] * 3


def test_cancelling_what_has_ended_or_is_gone_is_no_fault(workspace: Workspace) -> None:
    used = backend(workspace)
    handle = used.submit(training())
    used.cancel(handle)
    used.cancel(handle)
    workspace.client.delete_job(workspace.project_id, handle.details["jobs"][0]["job_id"])
    used.cancel(handle)
    assert alive(workspace) == []


# Faults.


def broken(
    used: cml.CmlBackend, method: str, before: Callable[[int], bool] = lambda _: False,
    after: Callable[[int], bool] = lambda _: False, twice: Callable[[int], bool] = lambda _: False, status: int = 0,
) -> list[int]:  # fmt: skip
    """Let calls of a method, counted from 1, fail before they reach the workspace, or after they were carried out, or
    arrive twice. Returns a list that holds the count."""
    real, count = getattr(used.calls.client, method), [0]

    def call(*arguments: Any, **named: Any) -> Any:
        count[0] += 1
        if before(count[0]) and status:
            from cmlapi.rest import ApiException

            failed = ApiException(status=status, reason="Conflict")
            failed.body = json.dumps({"message": "no quota left"})
            raise failed
        if before(count[0]):
            raise ProtocolError("Connection aborted")
        answer = real(*arguments, **named)
        if twice(count[0]):
            real(*arguments, **named)
        if after(count[0]):
            raise ProtocolError("Remote end closed connection without response")
        return answer

    setattr(used.calls.client, method, call)
    return count


@pytest.mark.parametrize("method", ["list_jobs", "create_job", "create_job_run", "list_job_runs"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lost_call_is_made_up_for(workspace: Workspace, method: str, moment: str) -> None:
    used = backend(workspace)
    count = broken(used, method, **{moment: lambda number: number <= 2})  # type: ignore[arg-type]
    handle = used.submit(training())
    assert len(jobs(workspace)) == len(runs(workspace)) == 1
    assert handle.details["jobs"][0]["run_id"] == runs(workspace)[0]["id"]
    if moment == "after" and method.startswith("create"):
        assert count == [1]  # somebody looked, and it was there


def test_a_crash_between_job_and_run_is_completed(workspace: Workspace) -> None:
    used = backend(workspace)
    broken(used, "create_job_run", before=lambda _: True)
    with pytest.raises(BackendError, match="did not answer when asked to run the job"):
        used.submit(training())
    later = backend(workspace)
    assert later.find(KEY, 1) is None
    handle = later.submit(training())
    assert len(jobs(workspace)) == 1 and later.find(KEY, 1) == handle


@pytest.mark.parametrize("lost", [False, True])
def test_a_job_that_arrives_twice_is_kept_once(workspace: Workspace, lost: bool) -> None:
    used = backend(workspace)
    broken(used, "create_job", twice=lambda _: True, after=lambda _: lost)
    handle = used.submit(training())
    assert [job["id"] for job in jobs(workspace)] == [handle.details["jobs"][0]["job_id"]]
    assert len(runs(workspace)) == 1


def test_a_job_that_arrived_twice_unnoticed_is_put_right_by_the_next_submission(workspace: Workspace) -> None:
    handle = backend(workspace).submit(training())
    add_template(workspace, KEY)
    assert backend(workspace).find(KEY, 1) == handle
    assert backend(workspace).submit(training()) == handle
    assert [job["id"] for job in jobs(workspace)] == [handle.details["jobs"][0]["job_id"]]


def test_what_was_not_there_a_while_ago_is_looked_for_again(workspace: Workspace) -> None:
    used = backend(workspace)
    assert used.attempts(KEY) == 0
    other = backend(workspace).submit(training())
    used.calls.sleep(FRESH_SECONDS)
    assert used.submit(training()) == other
    assert workspace.count("create_job") == 1


def test_a_job_that_somebody_took_for_a_spare_one_is_made_again(workspace: Workspace) -> None:
    used = backend(workspace)
    real = used.calls.client.create_job

    def taken(*arguments: Any, **named: Any) -> Any:
        job = real(*arguments, **named)
        if workspace.count("create_job") == 1:
            other = backend(workspace).submit(training())  # of the same job, which is the older one
            assert other.details["jobs"][0]["job_id"] == job.id
            workspace.client.delete_job(workspace.project_id, job.id)
        return job

    setattr(used.calls.client, "create_job", taken)  # noqa: B010
    handle = used.submit(training())
    assert backend(workspace).find(KEY, 1) == handle
    assert len(jobs(workspace)) == len(alive(workspace)) == 1


def test_two_that_submit_the_same_at_the_same_moment_agree(tmp_path: Path) -> None:
    """Two environments whose states know nothing of each other: no lease is between them."""
    keys = [f"finetuningjob-x-{number:016}" for number in range(12)]
    with prepared(tmp_path / "project") as workspace:
        both = [backend(workspace) for _ in range(2)]
        for each in both:
            each.attempts(keys[0])
        for key in keys:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda each, key=key: each.submit(training(key)), both))
            counted = [backend(workspace).submit(training(key)) for _ in range(2)]
            assert counted[0] == counted[1]
        assert len(jobs(workspace, "finetuningjob")) >= len(keys)
        assert len(alive(workspace)) == len(keys)


@pytest.mark.parametrize("lost", [False, True])
def test_a_run_that_arrives_twice_is_stopped_once(workspace: Workspace, lost: bool) -> None:
    used = backend(workspace)
    broken(used, "create_job_run", twice=lambda _: True, after=lambda _: lost)
    handle = used.submit(training())
    first, second = runs(workspace)
    assert handle.details["jobs"][0]["run_id"] == first["id"]
    assert (first["status"], second["status"]) == ("ENGINE_SCHEDULING", "ENGINE_STOPPED")
    assert backend(workspace).find(KEY, 1) == handle


def test_of_two_runs_the_first_to_begin_counts_because_it_has_claimed_the_attempt(workspace: Workspace) -> None:
    used = backend(workspace)
    broken(used, "create_job_run", twice=lambda _: True)
    broken(used, "list_job_runs", before=lambda _: True)  # nobody notices for now
    with pytest.raises(BackendError):
        used.submit(training())
    first, second = runs(workspace)
    second.update(status="ENGINE_RUNNING", running_at="2026-01-01T00:00:00Z")
    handle = backend(workspace).submit(training())
    assert handle.details["jobs"][0]["run_id"] == second["id"]
    assert first["status"] == "ENGINE_STOPPED"


def test_another_jobs_runs_of_the_same_name_are_history_and_stay(workspace: Workspace) -> None:
    used = backend(workspace)
    handle = used.submit(training())
    twin = add_template(workspace, KEY)
    workspace.client.create_job_run({"arguments": "started by hand"}, workspace.project_id, twin)
    assert backend(workspace).submit(training()) == handle
    assert len(jobs(workspace)) == 2


# What cannot be submitted.


def test_a_project_without_templates_is_told_which_are_missing(tmp_path: Path) -> None:
    with prepared(tmp_path / "project") as workspace:
        workspace.state.jobs.clear()
        with pytest.raises(RefusedError, match=f"has no job named {TRAINING}") as caught:
            backend(workspace).submit(training())
        assert "cml/run_job.py" in caught.value.hint and runs(workspace) == []


def test_other_work_uses_the_general_template_or_that_of_training(workspace: Workspace) -> None:
    removal = spec(RemovalWork(model_name="m", model_version="1"), "remove-modelexport-x-0123456789abcdef")
    assert backend(workspace).submit(removal)
    for id in [job["id"] for job in jobs(workspace, GENERAL)]:
        del workspace.state.jobs[id]
    assert backend(workspace).submit(removal.model_copy(update={"key": "remove-modelexport-y-0123456789abcdef"}))


def test_templates_that_contradict_each_other_are_not_chosen_from(workspace: Workspace) -> None:
    add_template(workspace, TRAINING, runtime_identifier="another")
    with pytest.raises(RefusedError, match=f"2 jobs .* are named {TRAINING}, with different settings"):
        backend(workspace).submit(training())


@pytest.mark.parametrize("field", ["runtime_identifier", "script"])
def test_a_template_of_no_use_is_refused(workspace: Workspace, field: str) -> None:
    jobs(workspace, TRAINING)[0][field] = ""
    with pytest.raises(RefusedError, match=f"{TRAINING} has no {field.partition('_')[0]}"):
        backend(workspace).submit(training())


def test_a_templates_timeout_holds_for_its_jobs(workspace: Workspace) -> None:
    jobs(workspace, TRAINING)[0]["timeout"] = "3600"
    backend(workspace).submit(training())
    (job,) = jobs(workspace)
    assert (job["timeout"], job["kill_on_timeout"]) == ("3600", True)


def test_a_project_that_is_not_there_is_named(workspace: Workspace) -> None:
    used = backend(workspace)
    used.calls.project_id = "none-such"
    with pytest.raises(MissingError, match="finds nothing") as caught:
        used.submit(training())
    assert "none-such" in caught.value.hint


def test_an_expired_key_ends_all_asking(workspace: Workspace) -> None:
    used = backend(workspace, key="expired-key")
    for _ in range(3):
        with pytest.raises(RefusedError, match="does not accept the key in CDSW_APIV2_KEY"):
            used.attempts(KEY)
    assert len(workspace.calls) == 1


def test_missing_rights_are_told_apart_from_a_wrong_key(workspace: Workspace) -> None:
    workspace.first.append(refusal(403, "PermissionDenied: no write access"))
    with pytest.raises(RefusedError, match=r"may not list the jobs named .*no write access"):
        backend(workspace).attempts(KEY)


# What is said to whom.


def test_secrets_go_into_the_environment_of_the_run_and_nowhere_else(workspace: Workspace) -> None:
    token, uri = "hf_" + "t" * 30, "https://me:secret-password@mlflow.example"
    environ = {"HUGGINGFACE_ACCESS_TOKEN": token, "TRACKING": uri, "AWS_SECRET_ACCESS_KEY": "not-yours"}
    sent = training(tracking=Tracking(tracking_uri="env:TRACKING", experiment="x"))
    backend(workspace, environ).submit(sent)
    carried = json.loads(runs(workspace)[0]["environment"])
    assert (carried["HUGGINGFACE_ACCESS_TOKEN"], carried["TRACKING"]) == (token, uri)
    assert carried.keys() == {"HUGGINGFACE_ACCESS_TOKEN", "TRACKING", SPEC_VARIABLE}
    with_secrets = [call for call in workspace.calls if token.encode() in call.sent or b"secret-password" in call.sent]
    assert [call.method for call in with_secrets] == ["create_job_run"]
    assert not any(workspace.key.encode() in call.sent for call in workspace.calls)


def test_what_is_named_as_an_address_and_is_none_stays_here(workspace: Workspace) -> None:
    environ = {"AWS_SECRET_ACCESS_KEY": "abcdefgh"}
    sent = training(tracking=Tracking(tracking_uri="env:AWS_SECRET_ACCESS_KEY", experiment="x"))
    backend(workspace, environ).submit(sent)
    assert json.loads(runs(workspace)[0]["environment"]).keys() == {SPEC_VARIABLE}


def test_a_workspace_that_repeats_a_secret_is_not_quoted(workspace: Workspace) -> None:
    used = backend(workspace, {"HUGGINGFACE_ACCESS_TOKEN": "odd-secret"})
    used.submit(training())
    workspace.first.append(refusal(400, f"invalid environment: odd-secret, key {workspace.key}"))
    with pytest.raises(RefusedError) as caught:
        used.attempts(KEY)
    assert "odd-secret" not in caught.value.message and workspace.key not in caught.value.message


def test_something_else_that_answers_there_is_noticed(workspace: Workspace) -> None:
    used = backend(workspace)
    used.submit(training("finetuningjob-first-0000000000000000"))
    page = Answer(200, {"Content-Type": "text/html"}, b"<html>Please log in</html>")
    workspace.first.extend([page, page])
    with pytest.raises(BackendError, match="no answer of its API when asked to create the job"):
        used.submit(training())


def test_without_the_client_the_command_that_installs_it_is_told(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cml, "find_spec", lambda name: None)
    with pytest.raises(StudioError, match="cmlapi") as caught:
        backend(workspace)
    assert caught.value.hint == f"pip install {workspace.url}/api/v2/python.tar.gz"


def test_what_the_template_says_by_now_is_brought_over(tmp_path: Path) -> None:
    """A training that took longer than its template let it would end in the same way for ever."""
    with prepared(tmp_path / "project") as workspace:
        (template,) = (job for job in workspace.state.jobs.values() if job["name"] == TRAINING)
        template |= {"timeout": "60"}
        used = backend(workspace)
        used.cancel(used.submit(training()))
        workspace.client.update_job(
            {"timeout": "7200", "kernel": "python3.11", "runtime_addon_identifiers": ["cuda"]}, workspace.project_id,
            template["id"],
        )  # fmt: skip
        later = backend(workspace)
        later.cancel(later.submit(training(attempt=2)))
        (job,) = jobs(workspace)
        assert (int(job["timeout"]), job["kill_on_timeout"]) == (7200, True)
        assert (job["kernel"], job["runtime_addon_identifiers"]) == ("python3.11", ["cuda"])
        template |= {"timeout": "0", "runtime_addon_identifiers": []}
        backend(workspace).submit(training(attempt=3))
        (job,) = jobs(workspace)
        assert (int(job["timeout"]), job["kill_on_timeout"], job["runtime_addon_identifiers"]) == (0, False, [])


def test_many_parts_of_a_slow_workspace_are_all_started(workspace: Workspace) -> None:
    """The deadline is for what is asked of the workspace, not for how much work there is."""
    used = backend(workspace)
    clock, client = used.calls.clock, used.calls.client

    def slow(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, _request_timeout: float, **named: Any) -> Any:
            clock.now += min(2.0, _request_timeout)  # type: ignore[attr-defined]
            if _request_timeout < 2:
                raise ProtocolError("Read timed out")
            return real(*arguments, **named)

        return call

    for method in ("list_jobs", "create_job", "create_job_run", "list_job_runs"):
        setattr(client, method, slow(getattr(client, method)))
    assert len(used.submit(evaluation(20)).details["jobs"]) == 20
