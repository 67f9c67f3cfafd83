"""The real apply against a workspace: quiet, failing in every way that passes, and refusing."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from studio.workflow import places
from tests.fakes.workspace import faults
from tests.workspace.desk import comparison, desk, trainings
from tests.workspace.measuring import measure

ALL = ("apply", "--yes", "--offline", "--parallelism", "8")


def test_a_quiet_apply_creates_and_runs_each_job_once_with_five_calls(tmp_path: Path) -> None:
    found = measure(tmp_path, 10, 0)
    assert found.faults == []
    assert found.calls["create_job"] == found.calls["create_job_run"] == found.calls["list_job_runs"] == 10
    # Each name is looked for before and after; an evaluation might have had no parts; and there are two templates.
    assert found.calls["list_jobs"] == 2 * 10 + 1 + 2


@pytest.mark.parametrize("seed", [1, 2])
def test_when_a_third_of_all_calls_fails_each_job_is_still_created_and_run_once(tmp_path: Path, seed: int) -> None:
    found = measure(tmp_path, 40, 0.3, seed)
    assert found.faults == []
    assert found.failed > 50


@pytest.mark.parametrize("method", ["create_job", "create_job_run"])
def test_what_is_delivered_twice_is_performed_once(tmp_path: Path, method: str) -> None:
    with desk(tmp_path, trainings(3)) as made:
        made.cml.faults.always(method, faults.TWICE)
        code, said = made.studio(*ALL)
        assert code == 0, said
        assert set(made.performed.values()) == {1} and len(made.performed) == 3
        made.cml.faults.clear()
        assert made.studio("plan", "--detailed-exitcode")[0] == 0


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.EXPIRED_KEY, "does not accept the key"),
        (faults.FORBIDDEN, "may not"),
        (faults.NOT_FOUND, "finds nothing"),
    ],
)
def test_a_refusal_fails_every_job_at_once_and_is_not_asked_again(
    tmp_path: Path, fault: faults.Fault, expected: str
) -> None:
    with desk(tmp_path, trainings(5)) as made:
        made.cml.faults.always(faults.ANY, fault)
        code, said = made.studio(*ALL)
        assert code == 1 and expected in said
        assert made.clock.slept == 0
        lines = [call.line for call in made.cml.calls]
        assert len(lines) == len(set(lines))
        if fault is not faults.NOT_FOUND:  # the key is the same for all
            assert len(lines) == 1
        made.cml.faults.clear()
        assert made.studio(*ALL)[0] == 0


def test_a_page_to_log_in_is_not_taken_for_an_answer(tmp_path: Path) -> None:
    with desk(tmp_path, trainings(1)) as made:
        made.cml.faults.plan("create_job", faults.HTML)
        code, said = made.studio(*ALL)
        assert code == 1 and "gave no answer of its API" in said


def test_a_workspace_that_is_away_is_waited_for_and_then_left(tmp_path: Path) -> None:
    with desk(tmp_path, trainings(2)) as made:
        made.cml.faults.always(faults.ANY, faults.UNAVAILABLE)
        began = made.clock.now
        code, said = made.studio(*ALL)
        assert code == 1 and "has not answered for 5 min" in said
        assert 300 <= made.clock.now - began < 600
        made.cml.faults.clear()
        assert made.studio(*ALL)[0] == 0
        assert set(made.jobs().values()) == {1}


def test_an_apply_that_died_at_any_point_is_completed_by_the_next(tmp_path: Path) -> None:
    with desk(tmp_path, [*trainings(2), comparison("adapter-000")]) as made:
        for method in ("create_job", "create_job_run", "list_job_runs"):
            for moment in (faults.DROPPED, faults.DROPPED_AFTER):
                made.cml.faults.always(method, moment)
                made.studio(*ALL)
                made.cml.faults.clear()
        code, said = made.studio(*ALL)
        assert code == 0, said
        assert made.studio("plan", "--detailed-exitcode")[0] == 0
        assert set(made.jobs().values()) == {1}
        assert len(made.performed) == 4  # parts, and attempts only where it was known that nothing was started


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"STUDIO_CML_URL": ""}, "the address of the CML workspace is not known"),
        ({"CDSW_PROJECT_ID": ""}, "the CML project that jobs run in is not known"),
        ({"CDSW_APIV2_KEY": ""}, "the environment variable CDSW_APIV2_KEY is not set"),
        ({"STUDIO_CML_URL": "http://ml.example.com"}, "the address is not https"),
    ],
)
def test_whatever_is_missing_is_named(tmp_path: Path, change: dict[str, str], expected: str) -> None:
    with desk(tmp_path, trainings(1)) as made, mock.patch.dict(os.environ, change):
        code, said = made.studio(*ALL)
        assert code == 1 and expected in said and "Traceback" not in said
        assert made.cml.calls == []


def test_an_address_that_only_studio_yaml_names_gets_no_key(tmp_path: Path) -> None:
    with desk(tmp_path, trainings(1)) as made:
        file = made.root / "studio.yaml"
        file.write_text(file.read_text().replace("type: cml", "type: cml, url: https://elsewhere.example"))
        code, said = made.studio(*ALL)
        assert code == 1 and "the key is not sent to https://elsewhere.example" in said
        assert places.clock is made.clock and made.cml.calls == []
