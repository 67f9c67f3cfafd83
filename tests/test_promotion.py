"""What a pull request trained, production takes: across environments, branches and runners."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from studio.backends import BACKENDS
from studio.core.jobspec import EvaluationWork, ExportWork
from studio.core.kept import Kept
from studio.core.references import Ref
from studio.plan.actions import Plan, Verb, to_json
from studio.plan.saved import demand_same
from studio.report import costs, plans
from studio.report.markdown import plan_to_markdown
from studio.workflow import applying, places, planning
from tests.fakes.backend import CountingBackend
from tests.projects import ROOT
from tests.test_apply import Notes

EXAMPLE = ROOT / "examples" / "promotion"
ROUTER, COMPARED = Ref("FineTuningJob", "router"), Ref("EvaluationJob", "router-vs-base")
RELEASE = Ref("ModelExport", "release")
GOOD = {"perplexity": -99.0, "exact_match": 0.5}
"""The fake's base model has 0, and lower is better."""
SERVER = "http://mlflow.example:5000"


@dataclass
class Runner:
    """A machine with a clone of the project; all runners share a state."""

    root: Path
    backend: CountingBackend

    def planned(self, environment: str, **given: str) -> planning.Planned:
        BACKENDS["local"] = lambda site: self.backend
        found = planning.plan(self.root, environment, given=given)
        assert isinstance(found, planning.Planned), found.findings
        return found

    def plan(self, environment: str, **given: str) -> Plan:
        return self.planned(environment, **given).plan

    def apply(self, environment: str, **given: str) -> applying.Applied:
        done = applying.apply(self.planned(environment, **given), Notes(), 4)
        assert not done.failed, done.failed
        return done

    def jobs(self) -> list[str]:
        """The kinds of the jobs that ran here."""
        return [self.backend.specs[key].kind for key, _ in self.backend.submissions]

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


@dataclass
class Team:
    """Makes runners."""

    home: Path

    def runner(self, name: str, tracking: str = "") -> Runner:
        root = self.home / name
        shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".studio", "generate"))
        made = Runner(root, CountingBackend(root, metrics=dict(GOOD)))
        made.edit("studio.yaml", "sqlite:///.studio/state.db", f"sqlite:///{self.home}/shared.db")
        if tracking:
            made.edit("studio.yaml", "sqlite:///.studio/mlflow.db", tracking)
        return made


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    monkeypatch.setitem(BACKENDS, "local", BACKENDS["local"])
    monkeypatch.setattr(places, "pause", lambda _: None)
    yield Team(tmp_path)


def verbs(plan: Plan) -> dict[Ref, Verb]:
    return {action.ref: action.verb for action in plan.actions if action.resources}


def reason(plan: Plan, ref: Ref) -> str:
    return next(action.reason for action in plan.actions if action.ref == ref)


def test_production_trains_and_measures_nothing_again_and_only_its_own_release_runs(team: Team) -> None:
    runner = team.runner("clone")
    runner.apply("pr")
    assert runner.jobs() == ["FineTuningJob", "EvaluationJob", "ModelExport"]
    assert verbs(runner.plan("prod")) == {ROUTER: Verb.REUSE, COMPARED: Verb.REUSE, RELEASE: Verb.CREATE}
    runner.apply("prod")
    assert runner.jobs()[3:] == ["ModelExport"]
    released = runner.backend.specs[runner.backend.submissions[-1][0]].work
    assert isinstance(released, ExportWork) and released.model_name == "ticket-router"
    assert runner.plan("prod").pending == () and runner.plan("pr").pending == ()


def test_the_plan_says_what_reuse_saves_and_what_is_still_to_be_spent(team: Team) -> None:
    runner = team.runner("clone")
    runner.apply("pr")
    planned = runner.planned("prod")
    text = plans.to_text(planned.plan, planned.desire, color=False)
    assert "      saves 0.00056 CPU-hours, 0.00056 GB-hours (1 s)\n" in text
    assert "Reuse saves 0.0011 CPU-hours, 0.0011 GB-hours." in text
    assert "ModelExport/release  job: 1 CPU, 4 GB, about 1 s (1 run on the same rows)" in text
    assert "Spend: about 0.00028 CPU-hours, 0.0011 GB-hours." in text
    shown = plan_to_markdown(planned.plan)
    assert "- Reuse saves 0.0011" in shown and "saves 0.00056 CPU-hours" in shown
    data = to_json(planned.plan)
    assert data["saved"]["jobs"] == 2 and data["spend"] == {
        "jobs": 1, "unknown_jobs": 0, "cpu_hours": 1 / 3600, "gpu_hours": 0.0, "memory_gb_hours": 4 / 3600,
    }  # fmt: skip
    assert [each["saves"]["seconds"] for each in data["actions"] if each["saves"]] == [1.0, 1.0]


def test_an_apply_says_what_was_spent_beside_what_was_foreseen(team: Team) -> None:
    runner = team.runner("clone")
    first = costs.spent(runner.apply("pr").account)
    assert first == "Spent: 0.0014 CPU-hours, 0.0022 GB-hours in 3 jobs."
    second = costs.spent(runner.apply("prod").account)
    assert second.startswith("Spent: 0.00028 CPU-hours, 0.0011 GB-hours in 1 job (foreseen: about 0.00028 CPU-hours")
    assert second.endswith("Reuse saved 0.0011 CPU-hours, 0.0011 GB-hours.")
    assert costs.spent(runner.apply("prod").account) == ""


def test_a_saved_plan_is_not_stale_because_another_run_was_recorded_elsewhere(team: Team) -> None:
    runner = team.runner("clone")
    before = json.loads(json.dumps(to_json(runner.plan("prod"))))
    runner.apply("pr", learning_rate="0.5")
    after = runner.plan("prod")
    assert before["spend"]["unknown_jobs"] == 3 and to_json(after)["spend"]["unknown_jobs"] == 0
    demand_same(before, after)


def test_a_runner_that_did_not_train_fetches_the_adapter_from_the_server_that_keeps_it(team: Team) -> None:
    there = team.runner("there", SERVER)
    there.apply("pr")
    here = team.runner("here", "HTTP://MLflow.example:5000/")
    here.edit("manifests/router.yaml", "metrics: [exact_match, perplexity]", "metrics: [perplexity]")
    assert verbs(here.plan("prod")) == {ROUTER: Verb.REUSE, COMPARED: Verb.CREATE, RELEASE: Verb.CREATE}
    here.apply("prod")
    assert here.jobs() == ["EvaluationJob", "ModelExport"]
    asked = next(spec.work for spec in here.backend.specs.values() if spec.kind == "EvaluationJob")
    assert isinstance(asked, EvaluationWork)
    adapter = asked.combinations[1].adapter
    assert adapter and isinstance(adapter.kept, Kept) and adapter.kept.run_id == "run" and adapter.digest
    assert here.plan("prod").pending == ()


@pytest.mark.parametrize("tracking", ["", "http://other.example"])
def test_an_adapter_that_nobody_can_fetch_is_trained_again_and_the_plan_says_why(team: Team, tracking: str) -> None:
    team.runner("there", SERVER if tracking else "").apply("pr")
    here = team.runner("here", tracking)
    plan = here.plan("prod")
    assert verbs(plan)[ROUTER] is Verb.CREATE
    assert "neither on this disk nor kept" in reason(plan, ROUTER)
    here.apply("prod")
    assert here.plan("prod").pending == ()


def test_a_record_whose_adapter_is_on_another_disk_only_is_replaced(team: Team) -> None:
    team.runner("there").apply("prod")
    plan = team.runner("here").plan("prod")
    assert verbs(plan)[ROUTER] is Verb.REPLACE
    assert "neither on this disk nor kept" in reason(plan, ROUTER)


def test_where_a_job_runs_may_differ_and_what_decides_its_outcome_may_not(team: Team) -> None:
    runner = team.runner("clone")
    runner.apply("pr")
    runner.edit("studio.yaml", "patch: {spec: {num_memory: 8}}", "patch: {spec: {num_memory: 64, num_gpu: 2}}")
    assert verbs(runner.plan("prod"))[ROUTER] is Verb.REUSE
    assert verbs(runner.plan("prod", learning_rate="0.005"))[ROUTER] is Verb.CREATE
    runner.edit("studio.yaml", "{released_as: ticket-router}", "{released_as: ticket-router, learning_rate: 0.02}")
    assert verbs(runner.plan("prod"))[ROUTER] is Verb.CREATE


def test_a_merge_that_brings_what_the_branch_trained_finds_it_whatever_moved(team: Team) -> None:
    branch = team.runner("branch", SERVER)
    branch.edit("studio.yaml", "default: 1.0e-2", "default: 3.0e-2")
    branch.apply("pr")
    main = team.runner("main", SERVER)
    assert verbs(main.plan("prod"))[ROUTER] is Verb.CREATE
    main.edit("studio.yaml", "default: 1.0e-2", "default: 3.0e-2")
    (main.root / "manifests" / "router.yaml").rename(main.root / "manifests" / "a.yaml")
    (main.root / "data" / "tickets.csv").rename(main.root / "data" / "mail.csv")
    main.edit("manifests/data.yaml", "data/tickets.csv", "data/mail.csv")
    main.edit("manifests/a.yaml", "name: router}", "name: router, title: Routes tickets}")
    assert verbs(main.plan("prod"))[ROUTER] is Verb.REUSE
