"""Plans for pull requests: complete, bounded, and safe whatever a manifest says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.findings import Finding, Position, Severity
from studio.core.references import Ref
from studio.plan.actions import Action, Kept, Plan, Verb
from studio.plan.diff import Change
from studio.report.markdown import MAX_CHARACTERS, code, findings_to_markdown, plan_to_markdown, prose
from studio.resources.base import Effect
from tests import projects
from tests.projects import support_desk, with_spec

HOSTILE = "@everyone `x` | <img src=x> ](http://evil) \n# big\n::error::x"


def made(root: Path) -> Plan:
    before = projects.recorded(projects.wanted(projects.write(root, support_desk())))
    return projects.plan(projects.write(root, with_spec(support_desk(), "FineTuningJob", learning_rate=0.5)), before)


def large(actions: int, changes: int, width: int) -> Plan:
    change = Change("spec.x", Effect.OUTCOME, "determines the outcome", "a" * width, "b" * width)
    return Plan(
        "prod", "lineage", 1, "digest",
        tuple(
            Action(Ref("Config", f"c{n}"), Verb.UPDATE, "f", (change,) * (changes + n % 2), (), None, "because")
            for n in range(actions)
        ),
    )  # fmt: skip


def test_a_plan_tells_what_why_and_every_change(tmp_path: Path) -> None:
    text = plan_to_markdown(made(tmp_path))
    assert text.startswith("### Plan for `default`: 3 to replace, 4 unchanged\n")
    assert "| **replace** | `FineTuningJob/train` | `spec.learning_rate 0.002 → 0.5` | 2 CPU, 4 GB |" in text
    assert "- `spec.learning_rate`: `0.002 → 0.5` (determines the outcome)" in text


def test_a_plan_with_nothing_to_do_is_one_line(tmp_path: Path) -> None:
    past = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    assert plan_to_markdown(projects.plan(tmp_path, past)) == (
        "### Plan for `default`: nothing to do, 7 resources up to date\n"
    )


def test_missed_gates_kept_records_and_warnings_are_told(tmp_path: Path) -> None:
    plan = Plan("default", "", 0, "", (), (Kept(Ref("Model", "old"), "no manifest"),))
    finding = Finding("FT-024", Severity.WARNING, "words", "do this", Ref("Model", "m"), position=Position("a", 1, 2))
    text = plan_to_markdown(plan, [finding], ["EvaluationJob/x: exact_match 0.1, wanted 0.6"])
    assert "- gate missed: `EvaluationJob/x: exact_match 0.1, wanted 0.6`" in text
    assert "1 recorded resource without a manifest stays as it is (--prune deletes it): `Model/old`" in text
    assert "**FT-024** `Model/m` at `a:1:2`<br>`words`<br>`do this`" in text


@pytest.mark.parametrize(
    ("actions", "changes", "width"),
    [(3, 400, 200), (2000, 1, 10), pytest.param(5000, 30, 250, marks=pytest.mark.slow), (1, 100_000, 5), (40, 0, 0)],
)
def test_a_huge_plan_is_folded_and_says_what_is_left_out(actions: int, changes: int, width: int) -> None:
    text = plan_to_markdown(large(actions, changes, width))
    assert len(text) <= MAX_CHARACTERS
    rows = text.count("| **update** |")
    left = re.search(r"and ([\d,]+) actions? more", text)
    assert rows + (int(left.group(1).replace(",", "")) if left else 0) == actions
    assert text.count("<details>") == text.count("</details>")


def test_many_errors_are_bounded_and_counted() -> None:
    finding = Finding("MF-001", Severity.ERROR, "m" * 200, "h" * 200)
    text = findings_to_markdown([finding] * 5_000)
    shown = text.count("**MF-001**")
    assert len(text) <= MAX_CHARACTERS and f"and {5_000 - shown:,} findings more" in text
    assert text.startswith("### 5,000 errors: no plan\n")


def test_hostile_text_stays_in_its_code_span() -> None:
    span = code(HOSTILE)
    assert span == "``@everyone `x` \\| <img src=x> ](http://evil) \\n# big\\n::error::x``"


@given(st.text(max_size=40))
def test_no_text_breaks_out_of_its_code_span(text: str) -> None:
    span = code(text)
    assert "\n" not in span and not re.search(r"(?<!\\)\|", span)
    if not span.startswith("<code>"):
        fence = re.match("`+", span)
        assert fence and span.endswith(fence.group())
        inner = span[len(fence.group()) : -len(fence.group())]
        assert fence.group() not in re.findall("`+", inner)


def test_prose_reads_as_prose_and_only_what_may_act_is_code() -> None:
    assert prose("3 of 395 rows (0.8 %) got better, the model's best so far.") == (
        "3 of 395 rows (0.8 %) got better, the model's best so far."
    )
    assert prose("see http://evil and @everyone else") == "see `http://evil` and `@everyone` else"
    assert prose("exact_match of support-desk: 0.81 → 0.9") == "`exact_match` of support-desk: 0.81 → 0.9"
    assert prose("1. first GH-12 evil.example") == "`1.` first `GH-12 evil.example`"


@given(st.text() | st.text(st.sampled_from("ab1 .-*_#@`|<>[]()!\\&~:/\n+=")))
def test_outside_code_spans_prose_holds_no_sign_that_acts(text: str) -> None:
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", prose(text))
    assert not re.search(r"[*_#@`|<\[\]\\&~/\n=+]|\w[.]\D\w", outside.replace("<code>", "").replace("</code>", ""))
