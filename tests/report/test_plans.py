"""A plan as text: every pending action with its reasons, and the totals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from studio.core.references import Ref
from studio.desired import Desire
from studio.load.settings import Project
from studio.plan.actions import Plan
from studio.plan.decide import Recorded, make_plan
from studio.report.plans import to_text
from studio.state.base import Lineage, RecordStatus
from tests import projects
from tests.projects import Document, support_desk, with_spec


def shown(root: Path, documents: list[Document], past: Recorded | None = None) -> str:
    made = projects.wanted(projects.write(root, documents))
    return text(make_plan(made, past or Recorded(Lineage("", 0)), "default", Project()), made)


def text(plan: Plan, made: Desire) -> str:
    return to_text(plan, made, color=False)


def applied(root: Path, **changes: Any) -> Recorded:
    return projects.recorded(projects.wanted(projects.write(root, support_desk())), **changes)


def test_a_first_plan_lists_everything_with_what_it_is_and_what_it_asks_for(tmp_path: Path) -> None:
    assert shown(tmp_path, support_desk()) == (
        "Plan for environment 'default':\n\n"
        "  + create  Config/lora\n"
        "  + create  Dataset/tickets  40 rows, columns text, queue\n"
        "  + create  Model/tiny  LlamaForCausalLM\n"
        "  + create  Prompt/route\n"
        "  + create  FineTuningJob/train  job: 2 CPU, 4 GB\n"
        "  + create  EvaluationJob/compare  job: 2 CPU, 4 GB\n"
        "  + create  ModelExport/release  job: 1 CPU, 4 GB\n\n"
        "Plan: 7 to create, 0 unchanged.\n"
        "3 jobs will run; the largest asks for 2 CPU, 4 GB.\n"
        "Spend: unknown, there is no recorded run to go by."
    )


def test_a_change_is_told_with_its_values_and_its_cause_all_the_way_down(tmp_path: Path) -> None:
    past = applied(tmp_path)
    documents = with_spec(support_desk(), "FineTuningJob", learning_rate=0.001, num_gpu=1, num_workers=2)
    lines = shown(tmp_path, documents, past)
    assert "± replace FineTuningJob/train  job: 2 CPU, 4 GB, 1 GPU, 2 workers" in lines
    assert "because spec.learning_rate 0.002 → 0.001, spec.num_workers (unset) → 2" in lines
    assert "spec.num_gpu: (unset) → 1  (applies to the next run)" in lines or "spec.num_gpu: 0 → 1" in lines
    assert "± replace ModelExport/release" in lines and "because FineTuningJob/train changed" in lines
    assert "Plan: 3 to replace, 4 unchanged." in lines


def test_with_nothing_to_do_the_plan_is_one_line(tmp_path: Path) -> None:
    past = applied(tmp_path)
    assert shown(tmp_path, support_desk(), past) == "Nothing to do: 7 resources up to date."


def test_a_retry_and_a_reuse_say_why(tmp_path: Path) -> None:
    past = applied(tmp_path)
    job = Ref("FineTuningJob", "train")
    records = {**past.records, job: replace(past.records[job], status=RecordStatus.FAILED)}
    retry = Recorded(past.lineage, records, {**past.artifacts, "FineTuningJob": frozenset()})
    assert "because the last run failed" in shown(tmp_path, support_desk(), retry)
    reuse = Recorded(past.lineage, {}, past.artifacts)
    assert "because the same work was done before" in shown(tmp_path, support_desk(), reuse)


def test_what_is_kept_is_named_and_a_long_list_is_cut(tmp_path: Path) -> None:
    past = applied(tmp_path)
    lines = shown(tmp_path, support_desk()[:1], past)
    how = "without a manifest stay as they are (--prune deletes them)"
    assert f"6 recorded resources {how}: Config/lora, EvaluationJob/compare" in lines
    assert lines.endswith(" …")


def test_text_from_manifests_stays_on_its_line(tmp_path: Path) -> None:
    past = applied(tmp_path)
    documents = with_spec(support_desk(), "Prompt", completion_template=" {queue}\n\x1b[31m::error::x")
    lines = shown(tmp_path, documents, past)
    assert "\x1b" not in lines and not any(line.startswith("::") for line in lines.splitlines())


def test_colour_is_only_decoration(tmp_path: Path) -> None:
    made = projects.wanted(projects.write(tmp_path, support_desk()))
    plan = make_plan(made, Recorded(Lineage("", 0)), "default", Project())
    coloured = to_text(plan, made, color=True)
    assert "\x1b[" in coloured and click.unstyle(coloured) == text(plan, made)
