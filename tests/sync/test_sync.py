"""A branch is followed: what is good is applied, what is not leaves the last good state, and no kill loses anything."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.cli.front_door import Answer, ask
from tests.cli.states import reading, writing
from tests.projects import Document, manifest, with_spec

from .remotes import IDENTITY, Daemon, Remote, git, remote, submissions

JOURNAL = projects.SETTINGS + "spec: {backend: {type: journal}}\n"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GITHUB_SHA", "GITHUB_ACTOR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Remote:
    """A branch with a project that runs no job."""
    return remote(tmp_path / "data", projects.data_resources())


def once(root: Path, *arguments: str) -> tuple[dict[str, Any], Answer]:
    answer = ask(root, "sync", "--once", "--json", *arguments)
    return (json.loads(answer.out) if answer.out else {}), answer


def described(text: str) -> list[Document]:
    documents = projects.data_resources()
    documents[0]["metadata"]["description"] = text
    return documents


def recorded(root: Path) -> dict[str, str]:
    with reading(root) as state:
        return {str(ref): record.metadata.get("description", "") for ref, record in state.records().items()}


# Rounds


def test_each_commit_of_the_branch_is_applied_once_and_noted(data: Remote) -> None:
    first = data.head()
    done, answer = once(data.clone)
    assert answer.code == 0 and (done["commit"], done["ending"], done["message"]) == (first, "applied", "4 done")
    assert once(data.clone)[0]["ending"] == "up to date"
    second = data.commit(described("changed"))
    done, _ = once(data.clone)
    assert (done["commit"], done["ending"]) == (second, "applied") and data.head() == second
    assert recorded(data.clone)["Dataset/tickets"] == "changed"
    with reading(data.clone) as state:
        assert [(each.command, each.commit, each.outcome) for each in state.operations()] == [
            ("sync", second, "succeeded"), ("sync", first, "succeeded"),
        ]  # fmt: skip
    status = json.loads((data.clone / ".studio" / "sync.json").read_text())["default"]
    assert (status["seen"], status["good"], status["applied"]) == (second, second, second)
    text = ask(data.clone, "sync", "--once").out
    assert text.split()[1:] == [second[:12], "up", "to", "date"]


def test_what_somebody_changed_in_state_is_put_right_by_the_next_round(data: Remote) -> None:
    once(data.clone)
    assert ask(data.clone, "state", "rm", "Dataset/tickets", "--yes").code == 0
    done, _ = once(data.clone)
    assert (done["ending"], done["message"]) == ("applied", "1 done")


def test_of_a_commit_with_errors_it_is_told_why_once_and_the_last_good_one_stays(data: Remote) -> None:
    good = data.head()
    once(data.clone)
    bad = data.commit(with_spec(described("broken"), "Prompt", dataset="nowhere"))
    done, answer = once(data.clone)
    assert answer.code == 1 and (done["commit"], done["ending"], done["newest"]) == (good, "up to date", bad)
    assert done["rejected"].startswith("has errors: 1 error: manifests/all.yaml:") and "nowhere" in done["rejected"]
    assert data.head() == good and recorded(data.clone)["Dataset/tickets"] == ""
    done, answer = once(data.clone)
    assert answer.code == 1 and done["commit"] == good
    assert done["rejected"].startswith("has errors; tried again in") and "nowhere" not in done["rejected"]
    mended = data.commit(described("mended"))
    done, answer = once(data.clone)
    assert answer.code == 0 and (done["commit"], done["ending"]) == (mended, "applied")
    assert recorded(data.clone)["Dataset/tickets"] == "mended"


def test_a_first_commit_with_errors_is_waited_out(tmp_path: Path) -> None:
    broken = remote(tmp_path / "data", with_spec(projects.data_resources(), "Prompt", dataset="nowhere"))
    done, answer = once(broken.clone)
    assert answer.code == 1 and done["ending"] == "has errors"
    assert once(broken.clone)[0]["ending"] == "waits"
    broken.commit(projects.data_resources())
    assert once(broken.clone)[0]["ending"] == "applied"


def test_beyond_the_safety_limit_nothing_is_taken_away(tmp_path: Path) -> None:
    many = [manifest("Config", f"c{n}", {"type": "custom", "config": {"n": n}}) for n in range(20)]
    data = remote(tmp_path / "data", [*projects.data_resources(), *many])
    once(data.clone)
    data.commit([*projects.data_resources(), *many[:18]])
    assert once(data.clone)[0]["ending"] == "up to date"
    assert len(recorded(data.clone)) == 24
    done, _ = once(data.clone, "--prune")
    assert done["ending"] == "applied" and len(recorded(data.clone)) == 22
    data.commit(projects.data_resources())
    done, answer = once(data.clone, "--prune")
    assert answer.code == 1 and done["rejected"].startswith("refused: 18 removed and 0 replaced of 22")
    assert len(recorded(data.clone)) == 22


@pytest.mark.parametrize("name", ["manifests/new.yaml", "manifests/all.yaml", "notes.txt"])
def test_an_edited_work_tree_is_left_alone_until_it_is_clean(data: Remote, name: str) -> None:
    once(data.clone)
    newest = data.commit(described("changed"))
    file = data.clone / name
    before = file.read_text() if file.exists() else None
    file.write_text("# mine\n")
    done, answer = once(data.clone)
    assert answer.code == 1 and done["ending"] == "work tree was edited" and name in done["message"]
    assert file.read_text() == "# mine\n" and data.head() != newest
    file.unlink() if before is None else file.write_text(before)
    assert once(data.clone)[0]["ending"] == "applied"


def test_what_somebody_committed_in_the_clone_is_not_left_behind(data: Remote) -> None:
    once(data.clone)
    (data.clone / "notes.txt").write_text("mine\n")
    git(data.clone, "add", "--all")
    git(data.clone, *IDENTITY, "commit", "--quiet", "--message", "mine")
    mine = data.head()
    for _ in range(2):
        done, answer = once(data.clone)
        assert answer.code == 1 and done["ending"] == "clone has commits of its own"
        assert mine[:12] in done["message"] and "push it" in done["message"] and data.head() == mine
    git(data.clone, "push", "--quiet", "origin", "HEAD:refs/heads/mine")
    assert once(data.clone)[0]["ending"] == "up to date"


@pytest.mark.parametrize("arguments", [("--var", "x=1"), ("--env", "nowhere")])
def test_a_wrong_command_line_is_a_usage_error_and_nothing_is_remembered(
    data: Remote, arguments: tuple[str, ...]
) -> None:
    once(data.clone)
    data.commit(described("changed"))
    before = (data.clone / ".studio" / "sync.json").read_text()
    assert once(data.clone, *arguments)[1].code == 64
    assert (data.clone / ".studio" / "sync.json").read_text() == before
    assert once(data.clone)[0]["ending"] == "applied"


def test_a_commit_that_the_command_line_does_not_fit_is_not_remembered(data: Remote) -> None:
    declared = projects.SETTINGS + "spec: {variables: {x: {default: 1}}}\n"
    data.commit(described("${var.x}"), declared)
    daemon = Daemon.start(data.clone, 1, "--var", "x=2")
    try:
        daemon.until(lambda said: bool(said))
        data.commit(projects.data_resources())
        daemon.until(lambda said: said[-1]["ending"] == "wrong command line" and "--var x" in said[-1]["message"])
    finally:
        daemon.process.kill()
        daemon.process.wait()
    assert once(data.clone)[0]["ending"] in ("applied", "up to date")


def test_without_the_remote_nothing_happens_and_when_it_is_back_all_goes_on(data: Remote) -> None:
    once(data.clone)
    newest = data.commit(described("changed"))
    away = data.origin.rename(data.folder / "away.git")
    done, answer = once(data.clone)
    assert answer.code == 1 and done["ending"] == "unreachable" and done["commit"] == ""
    away.rename(data.origin)
    assert once(data.clone)[0]["commit"] == newest


def test_while_somebody_else_holds_the_lock_a_round_does_nothing(data: Remote) -> None:
    with writing(data.clone):
        done, answer = once(data.clone)
    assert answer.code == 3 and done["ending"] == "locked" and "is locked by 'studio apply'" in done["message"]
    assert once(data.clone)[0]["ending"] == "applied"


def test_a_history_that_was_rewritten_is_followed(data: Remote) -> None:
    once(data.clone)
    git(data.work, "update-ref", "-d", "HEAD")
    rewritten = data.commit(described("again"))
    assert once(data.clone)[0]["commit"] == rewritten and data.head() == rewritten


def test_another_branch_of_another_remote_may_be_followed(data: Remote) -> None:
    git(data.work, "push", "--quiet", "origin", "HEAD:refs/heads/release/1.x")
    git(data.clone, "remote", "rename", "origin", "upstream")
    done, _ = once(data.clone, "--ref", "release/1.x", "--remote", "upstream")
    assert done["ending"] == "applied"
    assert once(data.clone, "--remote", "upstream")[0]["ending"] == "up to date"


def test_a_status_file_that_is_damaged_is_written_anew(data: Remote) -> None:
    once(data.clone)
    for content in ("", "{", "[]", '{"default": 7}', '{"default": {"tries": {"x": {"ending": "?"}}}}'):
        (data.clone / ".studio" / "sync.json").write_text(content)
        done, _ = once(data.clone)
        assert (done["ending"], done["message"]) == ("up to date", ".studio/sync.json was damaged and is begun anew")
        assert once(data.clone)[0]["message"] == ""


# What is refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ref", "--upload-pack=touch pwned"], "is not a name that git takes"),
        (["--remote", "ext::touch pwned"], "is not a name that git takes"),
        (["--remote", "-x"], "is not a name that git takes"),
        (["--ref", "a..b"], "is not a name that git takes"),
        (["--ref", ""], "is not a name that git takes"),
        (["--interval", "0"], "0 is not in the range"),
        (["--env", "nowhere"], "the environment 'nowhere' is not in studio.yaml"),
    ],
)
def test_what_git_must_not_see_is_refused(data: Remote, arguments: list[str], words: str) -> None:
    answer = ask(data.clone, "sync", "--once", *arguments)
    assert answer.code == 64 and words in answer.err + answer.out
    assert not list(data.folder.rglob("pwned"))


def test_a_remote_cannot_make_git_run_programs_and_no_hook_runs(data: Remote) -> None:
    git(data.clone, "config", "remote.evil.url", "ext::sh -c 'touch pwned'")
    done, answer = once(data.clone, "--remote", "evil")
    assert answer.code == 1 and done["ending"] == "unreachable" and "not allowed" in done["message"]
    hook = data.clone / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {data.folder}/pwned\n")
    hook.chmod(0o755)
    data.commit(described("changed"))
    assert once(data.clone)[0]["ending"] == "applied"
    assert not list(data.folder.rglob("pwned"))


def test_outside_of_a_clone_or_of_a_branch_it_is_said_what_is_missing(data: Remote, data_only: Path) -> None:
    answer = ask(data_only, "sync", "--once")
    assert answer.code == 64 and "is in no git repository" in answer.err
    done, answer = once(data.clone, "--ref", "nowhere")
    assert answer.code == 1 and done["ending"] == "unreachable" and "nowhere" in done["message"]


# Processes


@pytest.fixture
def jobs(tmp_path: Path) -> Remote:
    """A branch with a training whose job is a line in a journal."""
    return remote(tmp_path / "jobs", training(), JOURNAL)


def training(**spec: Any) -> list[Document]:
    documents = with_spec(projects.support_desk(), "FineTuningJob", **spec)
    return [each for each in documents if each["kind"] not in ("EvaluationJob", "ModelExport")]


@pytest.fixture
def daemons() -> Iterator[list[Daemon]]:
    started: list[Daemon] = []
    yield started
    for each in started:
        each.process.kill()
        each.process.wait()


def start(daemons: list[Daemon], root: Path, seconds: float, *arguments: str) -> Daemon:
    daemons.append(Daemon.start(root, seconds, *arguments))
    return daemons[-1]


def started(root: Path) -> bool:
    return bool(submissions(root))


@pytest.mark.slow
def test_killed_while_a_job_runs_it_attaches_again_and_nothing_is_submitted_twice(
    jobs: Remote, daemons: list[Daemon]
) -> None:
    for _ in range(3):
        daemon = start(daemons, jobs.clone, 12)
        until(lambda: started(jobs.clone), daemon)
        time.sleep(0.3)
        daemon.process.kill()
        daemon.process.wait()
    daemon = start(daemons, jobs.clone, 12)
    rounds = daemon.until(lambda said: any(each["ending"] == "applied" for each in said))
    assert [(each["what"], each["attempt"]) for each in submissions(jobs.clone)] == [("effect", 1)]
    assert rounds[-1]["commit"] == jobs.head()
    assert daemon.ends(signal.SIGTERM) == 0
    with reading(jobs.clone) as state:
        outcomes = {each.outcome for each in state.operations()}
    assert outcomes == {"killed", "succeeded"}


def until(is_so: Any, daemon: Daemon) -> None:
    daemon.until(lambda _: bool(is_so()))


def test_a_new_commit_does_not_wait_for_the_jobs_of_the_one_before(jobs: Remote, daemons: list[Daemon]) -> None:
    daemon = start(daemons, jobs.clone, 30)
    until(lambda: started(jobs.clone), daemon)
    documents = training()
    documents[0]["metadata"]["description"] = "told while the job runs"
    newest = jobs.commit(documents, JOURNAL)
    until(lambda: recorded(jobs.clone).get("Dataset/tickets") == "told while the job runs", daemon)
    assert [each["attempt"] for each in submissions(jobs.clone)] == [1]
    assert daemon.ends(signal.SIGTERM) == 0
    said = [(each["commit"], each["ending"], each["message"]) for each in daemon.rounds()]
    assert said[0][1] == "left running" and said[-1][:2] == (newest, "left running") and "1 running" in said[-1][2]
    later = ask_with_jobs(jobs.clone, "plan", "--json")
    assert {each["resource"]: each["attaches"] for each in later["actions"] if each["action"] != "none"} == {
        "FineTuningJob/train": True
    }


def ask_with_jobs(root: Path, *arguments: str) -> Any:
    from studio.backends import BACKENDS

    from .studio import journal

    before = dict(BACKENDS)
    BACKENDS["journal"] = journal
    try:
        return json.loads(ask(root, *arguments).out)
    finally:
        BACKENDS.clear()
        BACKENDS.update(before)


def test_a_job_that_fails_is_tried_again_later_and_a_new_commit_at_once(tmp_path: Path, daemons: list[Daemon]) -> None:
    documents = training()
    documents[-1]["metadata"]["name"] = "train-3"  # the journal lets its first attempt fail
    flaky = remote(tmp_path / "flaky", documents, JOURNAL)
    daemon = start(daemons, flaky.clone, 0.1)
    rounds = daemon.until(lambda said: any(each["ending"] == "applied" for each in said))
    endings = [each["ending"] for each in rounds]
    assert endings[0] == "failed" and "the first attempt fails" in rounds[0]["message"]
    assert [each["attempt"] for each in submissions(flaky.clone)] == [1, 2]


def test_one_clone_is_followed_by_one_sync(jobs: Remote, daemons: list[Daemon]) -> None:
    daemon = start(daemons, jobs.clone, 30)
    until(lambda: started(jobs.clone), daemon)
    answer = ask(jobs.clone, "sync", "--once")
    assert answer.code == 3 and "another 'studio sync' runs in this clone" in answer.err
    os.kill(daemon.process.pid, signal.SIGINT)
    assert daemon.process.wait(30) == 130


def test_once_starts_jobs_and_waits_for_none(jobs: Remote, daemons: list[Daemon]) -> None:
    daemon = start(daemons, jobs.clone, 600, "--once")
    assert daemon.process.wait(60) == 0
    (only,) = daemon.rounds()
    assert only["ending"] == "left running" and started(jobs.clone)
