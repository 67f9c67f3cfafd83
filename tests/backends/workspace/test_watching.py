"""Watching runs of a workspace: what is told of them, how soon, and with how many calls."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from studio.backends.base import JobState
from studio.backends.workspace import watching
from studio.backends.workspace.files import GUESS_SECONDS
from studio.backends.workspace.pace import SLOWEST_SECONDS
from studio.backends.workspace.watching import LATE_SECONDS, SILENT_SECONDS, TOLD_SECONDS
from studio.core.errors import BackendError, RefusedError
from studio.core.jobresult import EvaluationOutput
from studio.core.jobspec import RESULT_FILE
from tests.backends.workspace.places import evaluation
from tests.backends.workspace.scene import KEY, START, Scene, run_dir, scene
from tests.fakes.http import as_json
from tests.fakes.workspace import faults


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path / "project") as running:
        yield running


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Scene]:
    """A workspace in which nothing is free."""
    with scene(tmp_path / "project", limit=0) as running:
        yield running


def test_a_run_is_followed_from_its_beacons_to_its_result(world: Scene) -> None:
    handle = world.start()
    assert world.poll(handle).state is JobState.RUNNING
    world.tell(handle, "train", step=3, total=9, loss=0.5)
    seen = world.poll(handle, after=3)
    assert seen.state is JobState.RUNNING and seen.progress and (seen.progress.step, seen.progress.loss) == (3, 0.5)
    world.leave(handle)
    world.tell_end(handle)
    done = world.poll(handle, after=3)
    assert done.state is JobState.SUCCEEDED and done.result and done.result.key == KEY
    assert world.poll(handle) is done


def test_a_workspace_that_does_not_list_hidden_folders_is_asked_for_them_seldom(tmp_path: Path) -> None:
    with scene(tmp_path / "project", hides_dots=True) as world:
        handle = world.start()
        for _ in range(60):
            assert world.poll(handle, after=2).state is JobState.RUNNING
        refused = [call for call in world.cml.calls if call.status == 404]
        assert 1 <= len(refused) <= 3, "nothing is there yet"
        world.tell(handle, "train", step=3, total=9)
        seen = world.poll(handle, after=GUESS_SECONDS + 1).progress
        assert seen and seen.step == 3
        world.leave(handle)
        world.tell_end(handle)
        assert world.poll(handle, after=SLOWEST_SECONDS).state is JobState.SUCCEEDED


def test_what_has_not_begun_says_what_it_waits_for(full: Scene) -> None:
    plain, large = full.start("a-0"), full.start("b-0", gpu=2)
    found = full.poll(plain)
    assert found.state is JobState.RUNNING and found.progress and found.progress.phase == "scheduling"
    told = [full.poll(handle, after=61).progress for handle in (plain, large)]
    assert [(each.phase, each.message) for each in told if each] == [
        ("waiting", "for free CPU and memory in the workspace"),
        ("waiting", "for a GPU in the workspace"),
    ]


def test_an_event_is_news_however_the_clock_of_the_workspace_goes(world: Scene) -> None:
    handle = world.start()
    before = world.poll(handle).progress
    world.tell(handle, "load", time=START - 3600)
    seen = world.poll(handle, after=3).progress
    assert before and seen and seen.phase == "load" and seen.time > before.time
    again = world.poll(handle, after=3).progress
    assert again == seen, "the same event is no news"


@pytest.mark.slow
def test_a_quiet_job_costs_few_calls_and_many_jobs_share_the_listing(world: Scene) -> None:
    handles = [world.start(f"job-{number}") for number in range(8)]
    for handle in handles:
        world.tell(handle, "train", step=0)
        world.poll(handle)
    world.now += 3600
    world.counts()
    for second in range(3600):
        world.now += 1
        for handle in handles:
            if second % 20 == 0:
                world.tell(handle, "train", step=second)
            world.poll(handle)
    asked = world.counts()
    assert asked["list_project_files"] <= 3600 / SLOWEST_SECONDS + 1
    assert asked["download_project_file"] <= 8 * (3600 / SLOWEST_SECONDS + 1)
    assert asked["get_job_run"] == 0, "jobs that speak are not asked for"


def test_the_end_of_a_job_is_seen_within_a_sixtieth_of_its_time(world: Scene) -> None:
    for lasted, within in ((10, 2.5), (300, 5.5), (7200, 15.5)):
        handle = world.start(f"job-{lasted}")
        world.poll(handle)
        world.tell(handle, "train")
        for _ in range(0, lasted, 5):
            world.poll(handle, after=5)
        world.leave(handle)
        world.tell_end(handle)
        ended = world.now
        while world.poll(handle, after=0.5).state is JobState.RUNNING:
            assert world.now - ended < within
        assert world.now - ended <= within


def test_a_job_that_falls_silent_is_asked_for_and_a_dead_pod_found(world: Scene) -> None:
    handle = world.start()
    world.poll(handle)
    world.tell(handle, "train", step=1, total=2)
    assert world.poll(handle, after=3).state is JobState.RUNNING
    world.write(f"{run_dir(handle)}/log.txt", b"loading\nCUDA out of memory, token hf_" + b"a" * 30 + b"\n")
    world.end(handle, code=137)
    died = world.now
    while (found := world.poll(handle, after=1)).state is JobState.RUNNING:
        assert world.now - died < SILENT_SECONDS + LATE_SECONDS + 30
    assert found.state is JobState.FAILED
    assert found.message.splitlines() == [
        "the job failed before it could say why",
        "the end of its log:",
        "loading",
        "CUDA out of memory, token ***",
    ]
    assert f"its run is of the job {KEY} in {world.cml.url}" in found.hint and "apply again" in found.hint


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "the job was killed by SIGKILL (out of memory?)"), (3, "the job ended with exit code 3 and no result")],
)
def test_a_job_whose_process_died_says_how(world: Scene, code: int, words: str) -> None:
    handle = world.start()
    world.tell_end(handle, code=code)
    assert world.poll(handle).state is JobState.RUNNING, "its files may still be on their way"
    found = world.poll(handle, after=TOLD_SECONDS + 1)
    assert (found.state, found.message) == (JobState.FAILED, words)


def test_a_result_that_comes_late_is_waited_for(world: Scene) -> None:
    handle = world.start()
    world.poll(handle)
    world.end(handle)
    found = world.poll(handle, after=20)
    assert found.state is JobState.RUNNING
    world.leave(handle)
    assert world.poll(handle, after=20).state is JobState.SUCCEEDED


def test_a_run_that_succeeds_without_a_result_has_failed(world: Scene) -> None:
    handle = world.start()
    world.poll(handle)
    world.end(handle)
    while (found := world.poll(handle, after=5)).state is JobState.RUNNING:
        assert world.now < START + 2 * LATE_SECONDS
    assert (found.state, found.message) == (JobState.FAILED, "the job ended without a result")


def test_a_run_that_somebody_stopped_is_cancelled(world: Scene) -> None:
    handle = world.start()
    world.poll(handle)
    world.stop(handle)
    world.poll(handle, after=20)
    found = world.poll(handle, after=20)
    assert found.state is JobState.CANCELLED and "stopped in the workspace" in found.message


def test_a_run_that_was_asked_to_stop_is_looked_at_often(world: Scene) -> None:
    handle = world.start()
    world.poll(handle)
    world.tell(handle, "train")
    world.poll(handle, after=3600)
    world.tell(handle, "train", step=1)
    world.poll(handle, after=20)
    world.stop(handle)
    world.watching.hurry(handle)
    asked = world.now
    while (found := world.poll(handle, after=0.5)).state is JobState.RUNNING:
        assert world.now - asked < TOLD_SECONDS + 3
    assert found.state is JobState.CANCELLED


def test_a_result_counts_though_the_run_was_stopped_or_timed_out(world: Scene) -> None:
    handle = world.start()
    world.poll(handle)
    world.leave(handle)
    world.cml.state.runner.stop(world.cml.run(handle.details["jobs"][0]["run_id"]), "ENGINE_TIMEDOUT")
    world.end(handle)
    assert world.poll(handle, after=20).state is JobState.SUCCEEDED


def test_a_run_beyond_its_time_says_so(world: Scene) -> None:
    handle = world.start()
    world.poll(handle)
    world.cml.state.runner.stop(world.cml.run(handle.details["jobs"][0]["run_id"]), "ENGINE_TIMEDOUT")
    world.end(handle, code=1)
    while (found := world.poll(handle, after=5)).state is JobState.RUNNING:
        assert world.now < START + 2 * LATE_SECONDS
    assert found.message == "the job ran longer than the workspace lets it"


def test_a_run_that_the_workspace_does_not_know_any_more_has_failed(world: Scene) -> None:
    handle = world.start()
    job = handle.details["jobs"][0]
    world.poll(handle)
    world.cml.client.delete_job(world.cml.project_id, job["job_id"])
    while (found := world.poll(handle, after=5)).state is JobState.RUNNING:
        assert world.now < START + 2 * LATE_SECONDS
    assert found.state is JobState.FAILED and "not in the workspace any more" in found.message


def test_a_state_that_nobody_knows_is_no_news_and_no_failure(world: Scene) -> None:
    handle = world.start()
    run = world.cml.run(handle.details["jobs"][0]["run_id"])
    world.cml.reached(run.id, "ENGINE_RUNNING")
    for status in ("ENGINE_UNKNOWN", "ENGINE_OF_TOMORROW"):
        run.record["status"] = status
        with pytest.raises(BackendError, match="does not know where the run"):
            world.poll(handle, after=5)
    world.tell(handle, "train")
    assert world.poll(handle, after=5).state is JobState.RUNNING, "its own word counts more"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not readable by this version of studio"),
        (b'{"version": 2}', "is not readable by this version of studio"),
        (b" " * (5 << 20), "is larger than 4 MiB"),
    ],
)
def test_a_result_that_nobody_can_read_is_a_failure_with_its_place(world: Scene, content: bytes, words: str) -> None:
    handle = world.start()
    world.write(f"{run_dir(handle)}/{RESULT_FILE}", content)
    world.tell_end(handle)
    found = world.poll(handle)
    assert found.state is JobState.FAILED and words in found.message and run_dir(handle) in found.hint


def test_a_result_of_another_job_is_a_failure_and_one_of_an_earlier_attempt_none(world: Scene) -> None:
    handle = world.start(attempt=2)
    world.leave(handle, attempt=1)
    world.tell_end(handle, code=-9)
    assert world.poll(handle).state is JobState.RUNNING
    assert "SIGKILL" in world.poll(handle, after=TOLD_SECONDS + 1).message
    other = world.start("other-0")
    world.leave(other, key="a-third-0")
    world.tell_end(other)
    assert world.poll(other, after=3).message == "the result is of another job, a-third-0"


def test_a_failure_that_the_job_tells_is_passed_on_with_where_it_ran(world: Scene) -> None:
    handle = world.start()
    world.leave(handle, failure="the model has no tokenizer")
    world.tell_end(handle, code=1)
    found = world.poll(handle)
    assert (found.state, found.message) == (JobState.FAILED, "the model has no tokenizer")
    assert found.hint.startswith("mend it; its run is of the job") and found.result


def test_parts_count_together_and_end_together(world: Scene) -> None:
    handle = world.start("evaluationjob-e-0", parts=3)
    world.poll(handle)
    world.tell(handle, "evaluate", part=1, step=4, total=10)
    world.tell(handle, "load", part=2)
    seen = world.poll(handle, after=3).progress
    assert seen and (seen.step, seen.total, seen.message) == (4, 30, "0 of 3 parts ended")
    for part in (1, 2):
        world.tell(handle, "done", part=part)
        world.tell_end(handle, part=part)
    seen = world.poll(handle, after=3).progress
    assert seen and (seen.step, seen.message) == (20, "2 of 3 parts ended")
    world.leave(handle)
    world.tell_end(handle, part=3)
    assert world.poll(handle, after=3).state is JobState.SUCCEEDED


def test_a_part_that_died_fails_the_whole_once_the_others_have_ended(world: Scene) -> None:
    handle = world.start("evaluationjob-e-0", parts=2)
    world.poll(handle)
    world.leave(handle, part=2)
    world.end(handle, code=137, part=1)
    for _ in range(30):
        assert world.poll(handle, after=5).state is JobState.RUNNING, "the other part still runs"
        world.tell(handle, "evaluate", part=2, step=int(world.now))
    world.tell_end(handle, part=2)
    while (found := world.poll(handle, after=5)).state is JobState.RUNNING:
        assert world.now < START + 600
    assert found.state is JobState.FAILED
    assert found.message == "part 1: the job failed before it could say why"


def test_parts_that_nobody_put_together_are_no_success(world: Scene) -> None:
    handle = world.start("evaluationjob-e-0", parts=2)
    for part in (1, 2):
        world.leave(handle, part=part)
        world.tell_end(handle, part=part)
    world.poll(handle)
    found = world.poll(handle, after=TOLD_SECONDS + 1)
    assert found.state is JobState.FAILED and "none of them made one result" in found.message


def test_hostile_beacons_are_not_heard(world: Scene) -> None:
    handle = world.start()
    other = json.dumps({"time": 1e999, "phase": "train"}).encode()
    for content in (b"\x00" * 100_000, other, b"[]"):
        world.write(f".studio/beacons/{KEY}@1", content)
        found = world.poll(handle, after=3)
        assert found.state is JobState.RUNNING and found.progress and found.progress.phase == "starting"
    world.write(f".studio/beacons/{KEY}@1.ended", b"\xff")
    world.write(f".studio/beacons/../{KEY}@2.ended", b"{}")
    world.leave(handle)
    assert world.poll(handle, after=3).state is JobState.SUCCEEDED


def test_a_silent_workspace_is_asked_once_a_look_and_no_job_is_called_failed(world: Scene) -> None:
    handles = [world.start(f"job-{number}") for number in range(3)]
    world.cml.first.extend(as_json({"error": "away"}, 503) for _ in range(1000))
    world.counts()
    for handle in handles:
        with pytest.raises(BackendError, match="the workspace did not answer"):
            world.poll(handle)
    first = world.counts()["list_project_files"]
    world.cml.first.clear()
    assert 0 < first < 20, "one undertaking for all three"
    assert world.poll(handles[0], after=20).state is JobState.RUNNING


def test_a_key_that_is_not_accepted_any_more_is_told_at_once(world: Scene) -> None:
    handle = world.start()
    world.poll(handle)
    world.cml.keys.clear()
    with pytest.raises(RefusedError, match="does not accept the key"):
        world.poll(handle, after=5)
    world.counts()
    for _ in range(3):
        with pytest.raises(RefusedError):
            world.poll(handle, after=20)
    assert sum(world.counts().values()) == 0


def test_no_question_is_answered_with_a_refusal(world: Scene) -> None:
    """Nothing is there before the first worker writes, and what is not there is not asked for."""
    handle = world.start()
    for _ in range(5):
        world.poll(handle, after=20)
    world.tell(handle, "train")
    world.poll(handle, after=20)
    world.end(handle)
    while world.poll(handle, after=20).state is JobState.RUNNING:
        pass
    assert [(call.method, call.line) for call in world.cml.calls if call.status != 200] == []


def test_a_workspace_whose_clock_goes_behind_has_as_much_time_for_its_files(world: Scene) -> None:
    handle = world.start()
    world.poll(handle)
    world.end(handle)
    engine = world.cml.run(handle.details["jobs"][0]["run_id"])
    engine.record["finished_at"] = datetime.fromtimestamp(START - LATE_SECONDS, UTC).isoformat()
    assert world.poll(handle, after=20).state is JobState.RUNNING
    world.leave(handle)
    assert world.poll(handle, after=20).state is JobState.SUCCEEDED


def test_of_a_run_that_died_long_ago_no_file_is_awaited(world: Scene) -> None:
    handle = world.start()
    world.end(handle)
    world.now += 3600
    assert world.poll(handle).state is JobState.FAILED


def test_of_a_job_that_told_its_end_long_ago_no_file_is_awaited(world: Scene) -> None:
    """A command that looks once must not say of it for ever that it runs."""
    handle = world.start()
    world.tell_end(handle, code=-9, time=START - 3600)
    assert world.poll(handle).state is JobState.FAILED


def test_a_beacon_that_was_taken_away_meanwhile_is_no_end(world: Scene) -> None:
    handle = world.start()
    world.tell(handle, "train")
    world.cml.faults.plan("download_project_file", faults.NOT_FOUND)
    assert world.poll(handle).state is JobState.RUNNING
    world.leave(handle)
    world.tell_end(handle)
    world.cml.faults.plan("download_project_file", faults.NOT_FOUND)
    assert world.poll(handle, after=3).state is JobState.SUCCEEDED


def test_a_spec_that_is_of_other_work_names_no_part(world: Scene) -> None:
    handle = world.start("evaluationjob-e-0", parts=2)
    for part, failure in ((1, ""), (2, "out of memory")):
        other = evaluation(1, "evaluationjob-e-0").model_dump_json().encode()
        world.write(f"{run_dir(handle, part)}/spec.json", other)
        world.leave(handle, part=part, failure=failure)
        world.tell_end(handle, part=part)
    world.poll(handle)
    assert world.poll(handle, after=TOLD_SECONDS + 1).message == "part 2: out of memory"


def test_who_may_not_look_at_the_project_may_still_watch_its_jobs(world: Scene) -> None:
    failed, other = world.start("a-0"), world.start("b-0")
    world.cml.faults.always("get_project", faults.FORBIDDEN)
    world.leave(failed, failure="the model has no tokenizer")
    world.tell_end(failed, code=1)
    assert world.poll(failed).state is JobState.FAILED
    assert world.poll(other, after=5).state is JobState.RUNNING


def test_looking_at_many_jobs_takes_a_time_that_grows_with_their_number(world: Scene) -> None:
    """Counted in questions for the time: a round asks for it a few times a job, however many jobs there are."""
    asked = [0]

    def clock() -> float:
        asked[0] += 1
        return world.now

    looking, rounds = replace(world.watching, clock=clock), {}
    handles = [world.start(f"job-{number}") for number in range(40)]
    for number in (10, 40):
        for handle in handles[:number]:
            looking.poll(handle)
        world.now += 0.5
        asked[0] = 0
        for handle in handles[:number]:
            looking.poll(handle)
        rounds[number] = asked[0]
    assert rounds[40] <= 5 * rounds[10]


def test_very_many_jobs_cost_no_more_calls_than_a_workspace_can_bear(
    world: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "CALLS_PER_SECOND", 0.5)  # 30 jobs are then as 600
    handles = [world.start(f"job-{number}") for number in range(30)]
    world.now += 3600
    for handle in handles:
        world.poll(handle)
    world.counts()
    for second in range(0, 600, 2):
        world.now += 2
        for handle in handles:
            if second % 20 == 0:
                world.tell(handle, "train", step=second)
            world.poll(handle)
    asked = world.counts()
    assert asked["download_project_file"] + asked["get_job_run"] <= 0.5 * 600 * 1.2
    world.leave(handles[7])
    world.tell_end(handles[7])
    assert world.poll(handles[7], after=16).state is JobState.SUCCEEDED, "ends are seen as soon as ever"


@pytest.mark.parametrize("output", [None, EvaluationOutput(combinations=(), rows=1)])
def test_a_result_of_other_work_is_a_failure(world: Scene, output: EvaluationOutput | None) -> None:
    """Whoever may write to the project may write it; what is recorded of a training must be a training's."""
    handle = world.start()
    world.leave(handle, output=output)
    world.tell_end(handle)
    found = world.poll(handle)
    assert found.state is JobState.FAILED and "the result does not tell what such a job makes" in found.message


def test_a_result_that_came_only_in_part_is_asked_for_again(world: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ends early is not always noticed: it depends on the library below the client."""
    client = world.cml.client
    handle, real, cut = world.start(), client.download_project_file, [0]

    def half(project: str, path: str, **named: Any) -> Any:
        if path.endswith(RESULT_FILE) and not cut[0]:
            cut[0] += 1
            return io.BytesIO(real(project, path, **named).read(40))
        return real(project, path, **named)

    monkeypatch.setattr(client, "download_project_file", half)
    world.leave(handle)
    world.tell_end(handle)
    with pytest.raises(BackendError, match="came only in part"):
        world.poll(handle)
    assert world.poll(handle, after=3).state is JobState.SUCCEEDED
