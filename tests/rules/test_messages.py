"""Words that a new user stumbled over: what a finding says, and what it says to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.checking import validate
from studio.core.findings import Finding
from tests import projects
from tests.rules.conftest import Check


def found(checked: Check, id: str, example: str) -> Finding:
    return next(finding for finding in checked(example).findings if finding.rule == id)


@pytest.mark.parametrize(
    ("id", "example", "message", "hint"),
    [
        (
            "FT-004",
            "kind: FineTuningJob\nspec:\n  num_cpu: 0",
            "num_cpu is 0; it must be greater than 0",
            "write num_cpu: 1",
        ),
        (
            "FT-027",
            "kind: FineTuningJob\nspec:\n  lora_config: {target_modules: [q_prj, v_proj, v_prj]}",
            "the model has no modules 'q_prj', 'v_prj'",
            "did you mean 'q_proj', 'v_proj'?",
        ),
        (
            "EV-010",
            "kind: EvaluationJob\nspec:\n  metrics: [latency]\n  gates: [{metric: rouge1, min: 1.0}]",
            "the metric 'rouge1' is not computed here",
            "add rouge1 to spec.metrics, or judge one of latency",
        ),
        (
            "EV-010",
            "kind: EvaluationJob\nspec:\n  metrics: [latency]\n  gates: [{metric: latencie, min: 1.0}]",
            "the metric 'latencie' is not computed here",
            "did you mean 'latency'?",
        ),
        (
            "EV-025",
            "kind: EvaluationJob\nspec:\n  judges: [{name: helpful, model: j, definition: It helps.}]\n"
            "  gates: [{metric: helpful, adapter: ticket-router, min: 6}]",
            "min is 6, and the scale of the judge helpful is from 1 to 5",
            "write a number from 1 to 5, or change the judge's scale",
        ),
        (
            "EV-035",
            "kind: EvaluationJob\nspec:\n"
            "  judges: [{name: helpful, model: j, definition: It helps., parameters: {top_p: 3}}]",
            "top_p is 3, and takes a number from 0 to 1",
            "write a number from 0 to 1, or remove top_p",
        ),
        (
            "PJ-004",
            "kind: Project\nspec:\n  state: $DB_URL",
            "state names a variable as a shell does, and is taken to the letter",
            "write state: {env: DB_URL}",
        ),
        (
            "PJ-004",
            "kind: Project\nspec:\n  environments: {prod: {state: '${DB_URL}'}}",
            "state names a variable as a shell does, and is taken to the letter",
            "write state: {env: DB_URL}",
        ),
        (
            "PJ-007",
            "kind: Project\nspec:\n  environments:\n    prod:\n      patches:\n"
            "        - {target: {kind: FineTuningJob, name: routr}, patch: {}}",
            "the patch targets nothing: no FineTuningJob is named 'routr'",
            "did you mean 'router'?",
        ),
        (
            "PJ-007",
            "kind: Project\nspec:\n  environments:\n    prod:\n      patches:\n"
            "        - {target: {labels: {team: suport, a: b}}, patch: {}}",
            "the patch targets nothing: no resource has the labels {a: b, team: suport}",
            "correct kind, name and labels of the target, or remove the patch",
        ),
        (
            "MF-013",
            "kind: Dataset\nspec:\n  type: project_csv\n  subset: en",
            "subset counts with type huggingface only; with project_csv it is ignored",
            "remove it, or write type: huggingface",
        ),
    ],
)
def test_a_message_says_what_is_wrong_and_the_hint_what_to_do(
    checked: Check, id: str, example: str, message: str, hint: str
) -> None:
    finding = found(checked, id, example)
    assert (finding.message, finding.hint) == (message, hint)


@pytest.mark.parametrize(("id", "field"), [("FT-004", "num_cpu"), ("FT-006", "num_memory")])
def test_a_number_that_was_left_out_is_missing_and_not_0(tmp_path: Path, id: str, field: str) -> None:
    documents = projects.changed(projects.support_desk(), "FineTuningJob", lambda document: document["spec"].pop(field))
    findings = validate(projects.write(tmp_path, documents), "default").findings
    assert [f.message for f in findings if f.rule == id] == [f"{field} is missing; it must be greater than 0"]


def test_a_finding_in_the_settings_names_the_project(checked: Check) -> None:
    finding = found(checked, "PJ-001", "kind: Project\nspec: {backend: {type: locl}}")
    assert str(finding.resource) == "Project/sample"
    nameless = found(checked, "PJ-005", "kind: Project\nmetadata: {name: ''}")
    assert nameless.resource is None


@pytest.mark.parametrize(
    ("kind", "message", "hint"),
    [
        ("Projct", "studio.yaml is of kind 'Projct', not of kind Project", "did you mean 'Project'?"),
        ("Dataset", "studio.yaml is of kind 'Dataset', not of kind Project", "move it to a manifest folder"),
        ("x", "studio.yaml is of kind 'x', not of kind Project", "write apiVersion: studio/v1, kind: Project"),
        ("[]", "studio.yaml is not of kind Project", "write apiVersion: studio/v1, kind: Project"),
    ],
)
def test_a_wrong_kind_of_settings_is_pointed_at(tmp_path: Path, kind: str, message: str, hint: str) -> None:
    root = projects.write(tmp_path, settings=f"apiVersion: studio/v1\nkind: {kind}\nmetadata: {{name: x}}\n")
    finding = next(f for f in validate(root, "default").findings if f.rule == "MF-004")
    assert finding.message == message and finding.hint.startswith(hint)
    assert finding.position and finding.position.line == 2
