"""Each fault of the workspace does what it says, and what the client makes of it is what urllib3 makes of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from urllib3.exceptions import MaxRetryError, ProtocolError

from tests.fakes.cml_server import Workspace, workspace
from tests.fakes.test_cml_server import status_of
from tests.fakes.workspace import faults
from tests.fakes.workspace.faults import ANY, Fault, Faults, Kind
from tests.fakes.workspace.traffic import asked_again_after_a_refusal


@pytest.fixture
def cml(tmp_path: Path) -> Iterator[Workspace]:
    with workspace(tmp_path, stand_in=lambda run: 0) as running:
        yield running


def create(cml: Workspace) -> Any:
    import cmlapi

    request = cmlapi.CreateJobRequest(name="a", script="a.py", runtime_identifier="python")
    return cml.client.create_job(request, cml.project_id)


@pytest.mark.parametrize(
    ("fault", "status", "made"),
    [
        (faults.BUSY, 429, 0), (faults.INTERNAL, 500, 0), (faults.UNAVAILABLE, 503, 0),
        (faults.EXPIRED_KEY, 401, 0), (faults.FORBIDDEN, 403, 0), (faults.NOT_FOUND, 404, 0),
        (Fault(Kind.INTERNAL, late=True), 500, 1), (Fault(Kind.UNAVAILABLE, late=True), 503, 1),
    ],
)  # fmt: skip
def test_a_refusal_comes_with_its_status_and_with_or_without_the_work(
    cml: Workspace, fault: Fault, status: int, made: int
) -> None:
    from cmlapi.rest import ApiException

    cml.faults.plan("create_job", fault)
    with pytest.raises(ApiException) as caught:
        create(cml)
    assert (caught.value.status, len(cml.state.jobs)) == (status, made)
    assert (cml.calls[-1].status, cml.calls[-1].fault) == (status, fault.name)
    assert create(cml).name == "a"


def test_a_busy_workspace_may_say_for_how_long(cml: Workspace) -> None:
    from cmlapi.rest import ApiException

    for said in (7, "Wed, 21 Oct 2026 07:28:00 GMT"):
        cml.faults.plan("create_job", faults.busy(said))
        with pytest.raises(ApiException) as caught:
            create(cml)
        assert caught.value.headers["Retry-After"] == str(said)


@pytest.mark.parametrize(("fault", "made"), [(faults.DROPPED, 0), (faults.DROPPED_AFTER, 1), (faults.TRUNCATED, 1)])
def test_a_lost_answer_does_not_say_whether_the_work_was_done(cml: Workspace, fault: Fault, made: int) -> None:
    cml.faults.plan("create_job", fault)
    with pytest.raises(ProtocolError):
        create(cml)
    assert (cml.count("create_job"), len(cml.state.jobs)) == (1, made)


def test_urllib3_asks_again_by_itself_where_a_method_has_no_effect(cml: Workspace) -> None:
    cml.faults.plan("get_project", faults.DROPPED, faults.TRUNCATED)
    assert cml.client.get_project(cml.project_id).id == cml.project_id
    assert cml.count("get_project") == 3
    cml.faults.always("get_project", faults.DROPPED)
    with pytest.raises(MaxRetryError):
        cml.client.get_project(cml.project_id)
    assert cml.count("get_project") == 7


def test_a_request_that_arrives_twice_has_its_effect_twice(cml: Workspace) -> None:
    cml.faults.plan("create_job", faults.TWICE)
    made = create(cml)
    assert len(cml.state.jobs) == 2 and made.id in cml.state.jobs
    cml.faults.plan("delete_job", faults.TWICE)
    cml.client.delete_job(cml.project_id, made.id)
    assert len(cml.state.jobs) == 1


def test_a_page_for_people_is_no_job(cml: Workspace) -> None:
    cml.faults.plan(ANY, faults.HTML)
    assert create(cml).id is None and not cml.state.jobs


def test_a_redirection_is_followed_by_who_follows_them_and_the_key_does_not_leave_the_host(
    cml: Workspace, tmp_path: Path
) -> None:
    with workspace(tmp_path) as elsewhere:
        cml.faults.plan("get_project", faults.redirect(f"{elsewhere.url}/login"))
        assert status_of(cml.client.get_project, cml.project_id) == 401
        (followed,) = elsewhere.calls
        assert followed.request.bearer == "" and cml.calls[-1].status == 302


def test_a_slow_answer_outlasts_the_patience_of_a_call(cml: Workspace) -> None:
    import cmlapi

    cml.faults.plan("create_job", faults.slow(0.3))
    request = cmlapi.CreateJobRequest(name="a", script="a.py", runtime_identifier="python")
    began = time.monotonic()
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        cml.client.create_job(request, cml.project_id, _request_timeout=0.05)
    assert time.monotonic() - began < 0.3


def test_chance_depends_on_the_seed_and_not_on_threads() -> None:
    def drawn(seed: int) -> list[Fault | None]:
        chance = Faults()
        chance.at_random(0.3, seed)
        threads = [threading.Thread(target=lambda: [chance.next("other") for _ in range(200)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        found = [chance.next("create_job") for _ in range(1000)]
        for thread in threads:
            thread.join()
        return found

    assert drawn(1) == drawn(1) != drawn(2)
    kinds = Counter(fault is not None and fault.late for fault in drawn(1) if fault)
    assert 250 < kinds.total() < 350 and 100 < kinds[True] < 200


def test_chance_may_be_kept_to_some_methods(cml: Workspace) -> None:
    cml.faults.at_random(1, only={"create_job"}, kinds=[faults.DROPPED])
    assert cml.client.list_jobs(cml.project_id).jobs == []
    with pytest.raises(ProtocolError):
        create(cml)
    cml.faults.clear()
    assert create(cml).name == "a"


def test_asking_again_after_a_refusal_is_noticed(cml: Workspace) -> None:
    from cmlapi.rest import ApiException

    for fault in (faults.BUSY, faults.FORBIDDEN, None):
        cml.faults.plan("create_job", fault)
        if fault:
            with pytest.raises(ApiException):
                create(cml)
            assert asked_again_after_a_refusal(cml.calls) == []
    create(cml)
    assert asked_again_after_a_refusal(cml.calls) == [f"POST /api/v2/projects/{cml.project_id}/jobs"]
