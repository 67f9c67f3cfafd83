"""Whose comment it is, how often it is written, and what becomes of it when GitHub is in trouble."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes.github import BOT, Answer, FakeGitHub, Trouble
from tests.projects import ROOT

MARK = "<!-- fine-tuning-studio project=. environment=dev -->"
OOPS = Answer(500, {"message": "oops"})
LIMITED = Answer(403, {"message": "You have exceeded a secondary rate limit"}, {"Retry-After": "7"})
Keep = Callable[..., str]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """The action's own modules, which see each other because they lie in one folder."""
    monkeypatch.syspath_prepend(str(ROOT / "action"))
    yield importlib.import_module("comment"), importlib.import_module("github_api")
    for name in ("comment", "github_api", "clip", "workflow_commands"):
        sys.modules.pop(name, None)


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def keep(programs: tuple[Any, Any], github: FakeGitHub, slept: list[float]) -> Keep:
    comment, api = programs

    def act(text: str, token: str = "job-token") -> str:
        client = api.GitHub(github.url, token, slept.append)
        return str(comment.Thread(client, "/repos/owner/desk/issues", 7).keep(MARK, f"{MARK}\n{text}"))

    return act


def test_our_comment_is_found_on_the_third_page(keep: Keep, github: FakeGitHub) -> None:
    for number in range(230):
        github.add(f"comment {number}")
    assert keep("one") == "created"
    github.requests.clear()
    assert keep("two") == "updated"
    assert [request.rpartition("page=")[2] for request in github.requests[:3]] == ["1", "2", "3"]
    assert len(github.comments) == 231 and github.comments[-1]["body"].endswith("two")


def test_a_visitor_s_comment_with_our_marker_is_left_alone(keep: Keep, github: FakeGitHub) -> None:
    forged = github.add(f"{MARK}\nNothing to do, merge me")
    assert keep("the plan") == "created" and keep("the next plan") == "updated"
    assert forged["body"].endswith("merge me") and len(github.comments) == 2


def test_a_marker_that_is_quoted_further_down_does_not_count(keep: Keep, github: FakeGitHub) -> None:
    github.add(f"Somebody wrote:\n{MARK}\nhello", login="helper[bot]", kind="Bot")
    assert keep("the plan") == "created"


def test_a_person_s_token_finds_the_comments_of_that_person(keep: Keep, github: FakeGitHub) -> None:
    github.tokens["mine"] = {"login": "maintainer", "type": "User"}
    github.add(f"{MARK}\nthe workflow's", BOT["login"], BOT["type"])
    assert keep("my plan", "mine") == "created"
    assert keep("my next plan", "mine") == "updated"
    assert [comment["body"].split("\n")[1] for comment in github.comments] == ["the workflow's", "my next plan"]


def test_line_endings_that_github_changed_are_no_change(keep: Keep, github: FakeGitHub) -> None:
    keep("one\ntwo  \n")
    github.comments[0]["body"] = github.comments[0]["body"].replace("\n", "\r\n").rstrip()
    assert keep("one\ntwo  \n") == "unchanged"


def test_comments_without_author_or_text_do_not_matter(keep: Keep, github: FakeGitHub) -> None:
    github.add("gone")["user"] = None
    github.add("empty")["body"] = None
    assert keep("the plan") == "created"


def test_an_error_of_the_server_is_waited_out(keep: Keep, github: FakeGitHub, slept: list[float]) -> None:
    github.trouble = [Trouble("GET", OOPS), Trouble("POST", OOPS)]
    assert keep("the plan") == "created"
    assert len(github.comments) == 1 and slept == [1.0, 1.0]


def test_a_comment_whose_answer_was_lost_is_not_written_twice(keep: Keep, github: FakeGitHub) -> None:
    github.trouble = [Trouble("POST", OOPS, performed=True)]
    assert keep("the plan") == "unchanged"
    assert len(github.comments) == 1 and len(github.writes) == 1


def test_a_comment_that_was_deleted_since_it_was_listed_is_made_once_more(keep: Keep, github: FakeGitHub) -> None:
    keep("one")
    github.trouble = [Trouble("PATCH", Answer(404, {"message": "Not Found"}))]
    github.requests.clear()
    assert keep("two") == "created"
    assert [request.split()[0] for request in github.writes] == ["PATCH", "POST"]


def test_a_rate_limit_is_waited_for_as_long_as_github_asks(keep: Keep, github: FakeGitHub, slept: list[float]) -> None:
    github.trouble = [Trouble("POST", LIMITED), Trouble("POST", Answer(429, {}, {"Retry-After": "0"}))]
    assert keep("the plan") == "created"
    assert slept == [7.0, 0.0] and len(github.comments) == 1


def test_an_hour_is_not_waited_for(programs: tuple[Any, Any], keep: Keep, github: FakeGitHub) -> None:
    exhausted = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"}
    github.trouble = [Trouble("GET", Answer(403, {}, exhausted))]
    with pytest.raises(programs[1].UnavailableError, match="rate limit"):
        keep("the plan")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_errors_without_end_give_up(
    programs: tuple[Any, Any], keep: Keep, github: FakeGitHub, slept: list[float], method: str
) -> None:
    github.trouble = [Trouble(method, OOPS) for _ in range(50)]
    with pytest.raises(programs[1].UnavailableError, match="500: oops"):
        keep("the plan")
    assert slept == [1.0, 2.0, 4.0] and github.comments == []


def test_nobody_at_the_other_end_gives_up(programs: tuple[Any, Any], slept: list[float]) -> None:
    client = programs[1].GitHub("http://127.0.0.1:9", "job-token", slept.append)
    with pytest.raises(programs[1].UnavailableError, match="cannot be reached"):
        client.call("GET", "/user")


def test_a_token_is_not_carried_to_where_an_answer_points(
    programs: tuple[Any, Any], keep: Keep, github: FakeGitHub
) -> None:
    github.trouble = [Trouble("GET", Answer(302, {}, {"Location": f"{github.url}/elsewhere"}))]
    with pytest.raises(programs[1].RefusedError, match="302"):
        keep("the plan")
    assert len(github.requests) == 1


def test_a_token_that_is_none_is_refused(programs: tuple[Any, Any], keep: Keep) -> None:
    with pytest.raises(programs[1].RefusedError, match="401: Bad credentials"):
        keep("the plan", "wrong")


@pytest.mark.parametrize("name", ["a --> b", "a project=b", "a\nb", "--", "ü/ö"])
def test_no_name_breaks_out_of_the_marker_or_looks_like_another(programs: tuple[Any, Any], name: str) -> None:
    made = programs[0].marker(name, "dev")
    assert made.count("-->") == 1 and made.endswith("-->") and "\n" not in made and made.count("project=") == 1
    assert "--" not in made.removeprefix("<!--").removesuffix("-->")
    assert made != programs[0].marker("b", "dev") and made == programs[0].marker(name, "dev")
