"""Sweeps through the workflow: trials are trained, the best one's adapter becomes the sweep's own."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.apply.outcome import Ending, Outcome
from studio.backends import BACKENDS
from studio.backends.base import JobState, JobStatus
from studio.core.jobresult import TrainingOutput
from studio.core.jobspec import EvaluationWork, JobSpec, TrainingWork
from studio.core.references import Ref
from studio.plan.actions import Verb
from studio.plan.selection import Selection, Unmanaged
from studio.workflow import applying, places, planning
from tests import projects
from tests.cli.front_door import ask
from tests.fakes.backend import CountingBackend, failed, result_of
from tests.projects import manifest
from tests.test_apply import QUICKSTART, Notes

SWEEP = Ref("FineTuningJob", "train")
RATES = {"matrix": {"learning_rate": [1.0e-3, 2.0e-3]}}
SLOW, FAST = (Ref("FineTuningJob", f"train-learning-rate-{rate}") for rate in ("1e-3", "2e-3"))

COMPARE, RELEASE = Ref("EvaluationJob", "compare"), Ref("ModelExport", "release")


class Bench:
    """A project with a sweep, and the backend its trials go to. Higher rates end lower there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.backend = CountingBackend(root)
        self.write(**RATES)

    def write(self, **changes: object) -> None:
        documents = projects.with_spec(projects.support_desk(), "FineTuningJob", **changes)
        projects.write(self.root, documents)

    def plan(self, selection: Selection | None = None) -> planning.Planned:
        planned = planning.plan(self.root, "default", selection=selection or Selection())
        assert isinstance(planned, planning.Planned), planned.findings
        return planned

    def apply(self, selection: Selection | None = None) -> dict[Ref, Outcome]:
        return applying.apply(self.plan(selection), Notes(), 4).outcomes

    def verbs(self) -> dict[str, str]:
        return {action.ref.name: action.verb.value for action in self.plan().plan.pending}

    def chosen(self) -> str:
        return str(self.plan().state.records()[SWEEP].outcome["output"]["sweep"]["best"])

    def adapter(self, trial: Ref) -> str:
        return str(self.plan().state.records()[trial].outcome["output"]["adapter"])

    def given(self) -> str:
        """The adapter that was evaluated last."""
        last = [spec.work for spec in self.backend.specs.values() if isinstance(spec.work, EvaluationWork)][-1]
        return next(each.adapter.location for each in last.combinations if each.adapter)

    def trained(self) -> list[str]:
        return [key for key, _ in self.backend.submissions if key.startswith("finetuningjob")]

    def measure(self, name: str, **metrics: float) -> None:
        """The job of that name reports these numbers, in place of its losses."""

        def end(spec: JobSpec) -> JobStatus:
            result = result_of(spec)
            assert isinstance(result.output, TrainingOutput)
            output = result.output.model_copy(update={"metrics": metrics})
            return JobStatus(JobState.SUCCEEDED, result=result.model_copy(update={"output": output}))

        self.backend.ends[name] = end


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path / "project")
    monkeypatch.setitem(BACKENDS, "local", lambda site: made.backend)
    monkeypatch.setattr(places, "pause", lambda _: None)
    yield made


def test_a_sweep_trains_each_trial_once_and_takes_the_best_adapter_over(bench: Bench) -> None:
    outcomes = bench.apply()
    assert {outcome.ending for outcome in outcomes.values()} == {Ending.DONE}
    assert outcomes[SWEEP].message == f"best is {FAST.name}, eval_loss 0.998"
    assert len(bench.trained()) == 2 and bench.chosen() == FAST.name
    records = bench.plan().state.records()
    assert records[SWEEP].outcome["output"]["adapter"] == records[FAST].outcome["output"]["adapter"]
    assert bench.verbs() == {}


def test_what_needs_the_sweeps_adapter_is_given_that_of_the_best_trial(bench: Bench) -> None:
    bench.apply()
    best = bench.plan().state.records()[FAST].outcome["output"]["adapter"]
    evaluation = next(spec.work for spec in bench.backend.specs.values() if isinstance(spec.work, EvaluationWork))
    assert [each.adapter.location for each in evaluation.combinations if each.adapter] == [best]
    assert evaluation.seen[0].split.train == 0.8


def test_a_trial_is_told_its_sweep_and_its_values_alone(bench: Bench) -> None:
    bench.apply()
    work = [spec.work for spec in bench.backend.specs.values() if isinstance(spec.work, TrainingWork)]
    assert sorted(each.learning_rate for each in work) == [1.0e-3, 2.0e-3]
    assert [each.trial.model_dump() for each in work if each.trial and each.learning_rate == 1.0e-3] == [
        {"sweep": "train", "values": {"learning_rate": 1.0e-3}}
    ]


def test_another_way_to_choose_trains_nothing(bench: Bench) -> None:
    bench.apply()
    before = bench.trained()
    bench.write(**RATES, select={"metric": "eval_loss", "mode": "max"})
    assert bench.verbs()["train"] == "replace" and SLOW.name not in bench.verbs()
    bench.apply()
    assert bench.trained() == before and bench.chosen() == SLOW.name


def test_a_new_value_trains_one_more_trial_and_renames_none(bench: Bench) -> None:
    bench.apply()
    bench.write(matrix={"learning_rate": [4.0e-3, 2.0e-3, 1.0e-3]})
    verbs = bench.verbs()
    assert verbs["train-learning-rate-4e-3"] == "create" and not {SLOW.name, FAST.name} & verbs.keys()
    bench.apply()
    assert len(bench.trained()) == 3 and bench.chosen() == "train-learning-rate-4e-3"


def test_the_order_of_keys_and_values_changes_no_job(bench: Bench) -> None:
    bench.write(matrix={"learning_rate": [1.0e-3, 2.0e-3], "lora_config.r": [4, 8]})
    bench.apply()
    bench.write(matrix={"lora_config.r": [8, 4], "learning_rate": [2.0e-3, 1.0e-3]})
    assert bench.verbs() == {"train": "update"}
    assert not any(action.dispatches for action in bench.plan().plan.actions)


def test_equal_trials_go_by_name_and_a_loss_that_is_no_number_never_wins(bench: Bench) -> None:
    bench.measure(FAST.name, eval_loss=math.nan)
    bench.measure(SLOW.name, eval_loss=0.5)
    bench.apply()
    assert bench.chosen() == SLOW.name
    bench.measure(FAST.name, eval_loss=0.5)
    bench.apply(Selection(replace=("FineTuningJob/train",)))
    assert bench.chosen() == SLOW.name and len(bench.trained()) == 4


def test_without_a_finite_number_the_sweep_fails_and_says_what_is_reported(bench: Bench) -> None:
    for ref in (SLOW, FAST):
        bench.measure(ref.name, eval_loss=math.inf, train_loss=1.0)
    outcomes = bench.apply()
    assert outcomes[SWEEP].ending is Ending.FAILED
    assert "eval_loss, train_loss" in outcomes[SWEEP].hint
    assert outcomes[Ref("EvaluationJob", "compare")].ending is Ending.BLOCKED
    bench.write(**RATES, select={"metric": "train_loss"})
    assert bench.apply()[SWEEP].ending is Ending.DONE and len(bench.trained()) == 2


def test_a_trial_that_fails_blocks_the_choice_until_it_is_trained(bench: Bench) -> None:
    bench.backend.ends[FAST.name] = lambda _: JobStatus(JobState.FAILED, message="out of memory")
    assert bench.apply()[SWEEP].ending is Ending.BLOCKED
    del bench.backend.ends[FAST.name]
    assert bench.verbs()[FAST.name] == "retry"
    assert bench.apply()[SWEEP].ending is Ending.DONE and bench.verbs() == {}


def test_a_trial_that_is_trained_again_alone_makes_the_sweep_choose_again(bench: Bench) -> None:
    bench.apply()
    selection = Selection(replace=(str(SLOW),))
    again = {Ref("EvaluationJob", "compare"): Verb.REPLACE, Ref("ModelExport", "release"): Verb.REPLACE}
    assert {a.ref: a.verb for a in bench.plan(selection).plan.pending} == {
        SLOW: Verb.REPLACE, SWEEP: Verb.UPDATE, **again,
    }  # fmt: skip
    bench.measure(SLOW.name, eval_loss=0.1)
    before = len(bench.backend.submissions)
    bench.apply(selection)
    assert bench.chosen() == SLOW.name and bench.verbs() == {}
    made = [key.split("-")[0] for key, _ in bench.backend.submissions[before:]]
    assert made == ["finetuningjob", "evaluationjob", "modelexport"]  # gates judge what is released


def test_what_a_sweep_chose_when_it_was_applied_alone_reaches_what_depends_on_it_later(bench: Bench) -> None:
    bench.apply()
    bench.measure(SLOW.name, eval_loss=0.1)
    bench.apply(Selection(target=(str(SWEEP),), replace=(str(SLOW),)))
    later = {action.ref: action for action in bench.plan().plan.pending}
    assert {ref: action.verb for ref, action in later.items()} == {COMPARE: Verb.REPLACE, RELEASE: Verb.REPLACE}
    assert later[COMPARE].reason == f"{SWEEP} chose {SLOW.name}, not {FAST.name}"
    bench.apply()
    assert bench.verbs() == {} and bench.given() == bench.adapter(SLOW)


def test_a_trial_that_loses_comes_and_goes_and_nothing_is_evaluated_or_released_again(bench: Bench) -> None:
    bench.apply()
    before = len(bench.backend.submissions)
    bench.write(matrix={"learning_rate": [2.0e-3]})
    assert bench.verbs() == {"train": "replace"}
    reason = next(action.reason for action in bench.plan().plan.pending if action.ref == SWEEP)
    assert reason == f"spec.matrix.learning_rate - 0.001, {SLOW} is a trial no more"
    bench.apply()
    bench.write(**RATES)
    assert bench.verbs() == {"train": "replace"}
    bench.apply()
    assert len(bench.backend.submissions) == before and bench.verbs() == {}


def test_before_a_new_trial_is_trained_nobody_knows_who_wins_and_what_stays_is_taken_over(bench: Bench) -> None:
    bench.apply()
    before = len(bench.backend.submissions)
    bench.write(matrix={"learning_rate": [5.0e-4, 1.0e-3, 2.0e-3]})
    planned = {action.ref: action for action in bench.plan().plan.pending}
    assert planned[SWEEP].reason.endswith("FineTuningJob/train-learning-rate-5e-4 is a new trial")
    assert planned[COMPARE].reason == f"{SWEEP} chooses anew, and another trial may win"
    assert planned[COMPARE].verb is planned[RELEASE].verb is Verb.REPLACE
    outcomes = bench.apply()
    assert outcomes[COMPARE].ending is outcomes[RELEASE].ending is Ending.REUSED
    assert [key for key, _ in bench.backend.submissions[before:]] == bench.trained()[-1:]
    assert bench.verbs() == {}


def test_another_way_to_choose_that_chooses_the_same_trial_runs_nothing(bench: Bench) -> None:
    bench.measure(FAST.name, eval_loss=0.1, train_loss=0.1)
    bench.measure(SLOW.name, eval_loss=0.2, train_loss=0.2)
    bench.apply()
    bench.write(**RATES, select={"metric": "train_loss"})
    assert bench.verbs() == {"train": "replace"}
    bench.apply()
    assert bench.verbs() == {}


def test_a_sweep_that_becomes_the_job_of_its_best_trial_runs_nothing(bench: Bench) -> None:
    bench.apply()
    bench.write(learning_rate=2.0e-3)
    assert bench.verbs() == {"train": "reuse"}
    bench.apply(Selection(unmanaged=Unmanaged.DELETE))
    assert bench.verbs() == {}


@pytest.mark.parametrize("unmanaged", [Unmanaged.DELETE, Unmanaged.FORGET])
def test_a_sweep_that_becomes_another_job_leaves_no_choice_behind(bench: Bench, unmanaged: Unmanaged) -> None:
    bench.apply()
    chosen = bench.plan().state.records()[SWEEP].fingerprint
    bench.write(learning_rate=3.0e-3)
    bench.backend.ends["train"] = lambda _: JobStatus(JobState.FAILED, message="out of memory")
    bench.apply(Selection(unmanaged=unmanaged))
    assert bench.plan().state.artifact(SWEEP.kind, chosen) is None
    del bench.backend.ends["train"]
    bench.apply(Selection(unmanaged=unmanaged))
    folders = {folder for folder in bench.backend.discarded if FAST.name in folder}
    assert bool(folders) is (unmanaged is Unmanaged.DELETE)


def test_a_sweep_that_is_forgotten_leaves_its_trials_adapters_and_no_choice(bench: Bench) -> None:
    bench.apply()
    records = bench.plan().state.records()
    bench.write()
    documents = [each for each in projects.support_desk() if each["kind"] not in ("FineTuningJob", "EvaluationJob")]
    projects.write(bench.root, [each for each in documents if each["kind"] != "ModelExport"])
    bench.apply(Selection(unmanaged=Unmanaged.FORGET))
    state = bench.plan().state
    kept = [ref for ref in (SWEEP, SLOW, FAST) if state.artifact(ref.kind, records[ref].fingerprint)]
    assert kept == [SLOW, FAST]


def test_an_adapters_manifest_follows_what_the_sweep_chose(bench: Bench) -> None:
    documents = projects.with_spec(projects.support_desk(), "FineTuningJob", **RATES)
    adapter = manifest("Adapter", "router", {"type": "project", "model": "tiny", "fine_tuning_job": "train"})
    projects.write(bench.root, [*documents, adapter])
    bench.apply()
    assert bench.verbs() == {}
    bench.measure(SLOW.name, eval_loss=0.1)
    bench.apply(Selection(replace=(str(SLOW),)))
    assert bench.verbs() == {} and bench.given() == bench.adapter(SLOW)


def test_every_copy_is_made_again_when_a_sweep_is_trained_again(bench: Bench) -> None:
    (bench.root / "out").mkdir()
    bench.write(**RATES, out_dir="out")
    bench.apply()
    assert bench.verbs() == {}
    bench.measure(SLOW.name, eval_loss=0.1)
    bench.apply(Selection(replace=(str(SWEEP),)))
    assert bench.verbs() == {}


def test_a_target_takes_its_trials_with_it_and_replacing_a_sweep_replaces_them(bench: Bench) -> None:
    target = bench.plan(Selection(target=("FineTuningJob/train",))).plan
    assert {SLOW, FAST, SWEEP} <= {action.ref for action in target.pending}
    bench.apply()
    again = bench.plan(Selection(replace=("FineTuningJob/train",))).plan
    assert {a.ref for a in again.pending if a.fresh} == {SLOW, FAST}


def test_a_value_that_left_is_pruned_and_without_prune_costs_nothing_to_bring_back(bench: Bench) -> None:
    bench.apply()
    bench.write(matrix={"learning_rate": [2.0e-3]})
    bench.apply()
    bench.write(**RATES)
    assert SLOW.name not in bench.verbs()
    bench.write(matrix={"learning_rate": [2.0e-3]})
    pruned = bench.apply(Selection(unmanaged=Unmanaged.DELETE))
    assert pruned[SLOW].ending is Ending.DELETED
    folders = [folder for folder in bench.backend.discarded if SLOW.name in folder]
    assert folders and bench.verbs() == {}


def test_a_renamed_sweep_takes_the_records_of_its_trials_along(bench: Bench) -> None:
    bench.apply()
    documents = projects.with_spec(projects.support_desk(), "FineTuningJob", **RATES)
    projects.pick(documents, "FineTuningJob")["metadata"].update(name="tuned", renamed_from="train")
    projects.write(bench.root, documents)
    moves = {str(move.old.name): move.new.name for move in bench.plan().plan.moves}
    assert moves == {"train": "tuned", SLOW.name: "tuned-learning-rate-1e-3", FAST.name: "tuned-learning-rate-2e-3"}
    bench.apply()
    assert len(bench.trained()) == 2 and bench.verbs() == {}


def test_an_environment_may_take_the_matrix_away_and_reuses_a_trial(bench: Bench) -> None:
    bench.apply()
    patch = "{target: {kind: FineTuningJob}, patch: {spec: {matrix: null, learning_rate: 1.0e-3}}}"
    settings = f"{projects.SETTINGS}spec: {{environments: {{prod: {{patches: [{patch}]}}}}}}\n"
    (bench.root / "studio.yaml").write_text(settings)
    planned = planning.plan(bench.root, "prod")
    assert isinstance(planned, planning.Planned)
    jobs = [action for action in planned.plan.actions if action.ref.kind == "FineTuningJob"]
    assert [(job.ref, job.verb) for job in jobs] == [(SWEEP, Verb.REUSE)]


def test_dotted_keys_are_merged_over_the_config_that_is_in_force(bench: Bench) -> None:
    bench.write(matrix={"lora_config.r": [4], "training_arguments_config.weight_decay": [0.1]})
    bench.apply()
    work = next(spec.work for spec in bench.backend.specs.values() if isinstance(spec.work, TrainingWork))
    assert work.lora == {**projects.LORA, "r": 4}
    assert work.training_arguments["weight_decay"] == 0.1 and work.training_arguments["use_cpu"] is True


def test_a_dotted_key_is_merged_over_the_default_of_the_models_family(bench: Bench) -> None:
    default = {"type": "lora_config", "config": {**projects.LORA, "lora_alpha": 99}, "default": True}
    family = manifest("Config", "of-llama", {**default, "model_family": "LlamaForCausalLM"})
    documents = projects.with_spec(projects.support_desk(), "FineTuningJob", matrix={"lora_config.r": [4]})
    del projects.pick(documents, "FineTuningJob")["spec"]["lora_config"]
    projects.write(bench.root, [*documents, family])
    bench.apply()
    work = next(spec.work for spec in bench.backend.specs.values() if isinstance(spec.work, TrainingWork))
    assert work.lora == {**projects.LORA, "lora_alpha": 99, "r": 4}


def test_plans_show_trials_below_their_sweep_and_fold_many(bench: Bench) -> None:
    bench.write(matrix={"learning_rate": [float(rate) for rate in range(1, 13)]})
    text = ask(bench.root, "plan").out
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  + create  FineTuningJob/train "))
    assert lines[at].endswith("best of 12 trials by the lowest eval_loss")
    assert lines[at + 1].startswith("      + create  FineTuningJob/train-learning-rate-1")
    assert "… and 4 more trials: 4 to create" in lines[at + 9]
    assert "↳" in ask(bench.root, "plan", "--markdown").out


def test_a_report_of_a_sweep_has_its_trials_and_names_the_one_that_was_taken(bench: Bench) -> None:
    bench.apply()
    told = ask(bench.root, "report", str(SWEEP)).out
    [row] = [line for line in told.splitlines() if FAST.name in line and "0.002" in line]
    assert "best" in row and "0.998" in row and any(SLOW.name in line for line in told.splitlines())
    [headline] = [line for line in told.splitlines() if "trial taken" in line]
    assert FAST.name in headline and "best of 2" in headline
    page = bench.root / "page.html"
    assert ask(bench.root, "report", str(SWEEP), "--html", "--out", str(page)).code == 0
    assert "Trials" in page.read_text() and "trial taken" in page.read_text()


def test_after_a_sweep_failed_nobody_takes_its_new_trials_for_those_of_the_recorded_choice(bench: Bench) -> None:
    bench.apply()
    bench.write(matrix={"learning_rate": [2.0e-3, 3.0e-3]})
    bench.backend.ends["train-learning-rate-3e-3"] = failed("killed")
    assert bench.apply()[SWEEP].ending is Ending.BLOCKED
    for shown in (ask(bench.root, "show", str(SWEEP)).out, ask(bench.root, "report", str(SWEEP)).out):
        assert "nothing is chosen yet; recorded is the best of 2" in shown
        [row] = [line for line in shown.splitlines() if FAST.name in line and "0.002" in line]
        assert "taken" in row and "best" not in row


def test_show_compares_the_trials_and_marks_the_best(bench: Bench) -> None:
    bench.apply()
    shown = ask(bench.root, "show", "FineTuningJob/train").out
    assert [line.split()[0] for line in shown.splitlines() if FAST.name in line and "0.002" in line] == ["best"]
    assert "best of 2: train-learning-rate-2e-3, eval_loss 0.998" in ask(bench.root, "status").out
    assert "its trials run, not itself" in ask(bench.root, "logs", "train").err


@pytest.mark.parametrize(("kind", "name"), [("Prompt", "route"), ("Model", "tiny")])
def test_a_sweep_is_not_tried_with_another_prompt_or_base_model_than_it_was_trained_with(
    bench: Bench, kind: str, name: str
) -> None:
    bench.apply()
    documents = projects.with_spec(projects.support_desk(), "FineTuningJob", **RATES)
    if kind == "Prompt":
        projects.pick(documents, kind)["spec"]["input_template"] = "### {text}\n>>"
    else:
        (bench.root / "models" / "tiny" / "added.json").write_text("{}")
    projects.write(bench.root, documents)
    bench.apply(Selection(target=(f"{kind}/{name}",)))
    refused = ask(bench.root, "try", "FineTuningJob/train", "--row", "1")
    assert refused.code != 0
    assert f"{kind}/{name} has changed since FineTuningJob/train was" in refused.err


def test_where_an_evaluation_came_from_is_told_as_unchanged_after_its_sweep_has_chosen(bench: Bench) -> None:
    bench.apply()
    shown = json.loads(ask(bench.root, "show", "EvaluationJob/compare", "--json").out)
    assert {"FineTuningJob/train", str(FAST)} <= {link["ref"] for link in shown["provenance"]}
    assert not any(link["changed"] for link in shown["provenance"])


def test_a_fault_that_every_trial_has_is_told_once_with_their_number(bench: Bench) -> None:
    documents = projects.with_spec(projects.support_desk(), "FineTuningJob", matrix={"num_epochs": [1, 2, 3]})
    projects.pick(documents, "FineTuningJob")["metadata"]["name"] = "a" * 245
    projects.write(bench.root, documents)
    found = [line for line in ask(bench.root, "validate").out.splitlines() if "FT-050" in line]
    assert len(found) == 1 and "has 258 characters; at most 253 are allowed; so with 2 more of its trials" in found[0]


def test_a_setting_that_is_said_twice_is_told_with_both_places(bench: Bench) -> None:
    bench.write(matrix={"learning_rate": [1.0e-3], "training_arguments_config.learning_rate": [2.0e-3]})
    told = ask(bench.root, "validate").out
    assert "spec.matrix.learning_rate and spec.matrix.training_arguments_config.learning_rate" in told


def test_json_of_a_trial_whose_loss_is_no_number_is_json(bench: Bench) -> None:
    bench.measure(SLOW.name, eval_loss=math.nan, train_loss=math.inf)
    bench.apply()
    text = ask(bench.root, "show", str(SLOW), "--json").out
    shown = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert shown["record"]["outcome"]["output"]["metrics"] == {"eval_loss": None, "train_loss": None}
    assert set(shown["not_finite"].values()) == {"nan", "inf"}
    assert "record.outcome.output.metrics.eval_loss" in shown["not_finite"]
    for command in (("status", "--json"), ("show", "FineTuningJob/train", "--json"), ("state", "show", str(SLOW))):
        json.loads(ask(bench.root, *command).out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_show_says_what_the_trials_of_a_sweep_took_together(bench: Bench) -> None:
    bench.apply()
    shown = ask(bench.root, "show", "FineTuningJob/train").out
    assert [line.split() for line in shown.splitlines() if line.startswith("  took")] == [
        ["took", "2", "s", "in", "2", "trials", "together"]
    ]


def test_cancelling_a_sweep_cancels_its_trials(bench: Bench) -> None:
    bench.backend.polls = 1000
    assert ask(bench.root, "apply", "--yes", "--detach").code == 0
    assert len(bench.trained()) == 2
    output = ask(bench.root, "cancel", "FineTuningJob/train").out
    assert output.count("cancelled") == 2


def test_a_sweep_is_destroyed_with_its_trials_and_leaves_no_folder(bench: Bench) -> None:
    bench.apply()
    bench.write(**RATES, select={"mode": "max"})
    bench.apply()
    assert ask(bench.root, "destroy", "--yes").code == 0
    assert bench.plan().state.records() == {}
    assert not list((bench.root / ".studio" / "runs").glob("finetuningjob-*/adapter"))


@pytest.mark.slow
def test_two_real_trainings_are_compared_by_their_held_out_loss(tmp_path: Path) -> None:
    root = Path(shutil.copytree(QUICKSTART, tmp_path / "project", ignore=shutil.ignore_patterns(".studio", "build")))
    manifests = root / "manifests" / "router.yaml"
    rates = (
        "matrix: {learning_rate: [1.0e-9, 1.0e-2], training_arguments_config.max_steps: [4]}\n  dataset_fraction: 0.02"
    )
    manifests.write_text(manifests.read_text("utf-8").replace("learning_rate: 3.0e-3", rates), "utf-8")
    done = ask(root, "apply", "--yes", "--target", "FineTuningJob/router", "--parallelism", "1")
    assert done.code == 0, done.out + done.err
    shown = json.loads(ask(root, "show", "FineTuningJob/router", "--json").out)
    losses = {each["values"]["learning_rate"]: _loss(each["record"]) for each in shown["trials"]}
    assert shown["record"]["outcome"]["output"]["sweep"]["best"] == "router-learning-rate-1e-2-max-steps-4"
    assert _loss(shown["record"]) == losses[1.0e-2] < losses[1.0e-9]


def _loss(record: dict[str, Any]) -> float:
    return float(record["outcome"]["output"]["metrics"]["eval_loss"])
