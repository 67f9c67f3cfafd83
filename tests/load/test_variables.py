"""Variables: declared and set in studio.yaml and on the command line, named in manifests and patches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from studio.checking import validate
from studio.core.errors import UsageError
from studio.core.findings import Source
from studio.core.references import Ref
from studio.load.documents import parse
from studio.load.project import Loaded, load_project
from studio.load.variables import MARK, Variables, mentioned, substituted
from studio.report.published import published
from studio.resources.fine_tuning_job import FineTuningJob
from tests import projects
from tests.cli.front_door import ask

JOB = Ref("FineTuningJob", "train")
SETTINGS = """
apiVersion: studio/v1
kind: Project
metadata: {name: support-desk}
spec:
  variables:
    rate: {default: 0.001, description: Peak rate}
    epochs: {default: 2}
    team: {default: support}
    seed: {}
  environments:
    prod:
      variables: {rate: 0.0005, seed: 7}
      patches:
        - target: {kind: FineTuningJob}
          patch: {spec: {num_epochs: "${var.epochs}"}}
"""


def project(root: Path, settings: str = SETTINGS, **spec: Any) -> Path:
    return projects.write(root, projects.with_spec(projects.support_desk(), "FineTuningJob", **spec), settings)


def job(loaded: Loaded) -> FineTuningJob:
    assert not loaded.problems, loaded.problems
    found = next(each.resource for ref, each in loaded.manifests.items() if ref.kind == "FineTuningJob")
    assert isinstance(found, FineTuningJob)
    return found


def found(root: Path, environment: str | None = "default") -> list[str]:
    return [f"{each.rule} {each.position} {each.message}" for each in validate(root, environment).findings]


def made(document: Any, **values: Any) -> Any:
    known = Variables("default", frozenset(values), values)
    result, work = substituted(document, known, Source("a.yaml"))
    assert not work.problems
    return result


def test_an_environment_s_value_counts_before_the_default_and_the_command_line_s_before_both(tmp_path: Path) -> None:
    root = project(tmp_path, learning_rate="${var.rate}")
    assert job(load_project(root)).spec.learning_rate == 0.001
    assert job(load_project(root, "prod")).spec.learning_rate == 0.0005
    assert job(load_project(root, "prod", {"rate": "1e-2"})).spec.learning_rate == 0.01


def test_patches_name_variables_too(tmp_path: Path) -> None:
    root = project(tmp_path, num_epochs=1)
    assert job(load_project(root)).spec.num_epochs == 1
    assert job(load_project(root, "prod")).spec.num_epochs == 2
    assert job(load_project(root, "prod", {"epochs": "5"})).spec.num_epochs == 5


def test_a_whole_value_keeps_its_type_and_a_part_of_a_text_becomes_text() -> None:
    values = {"number": 0.002, "count": 3, "on": True, "word": "a b"}
    document = {name: f"${{var.{name}}}" for name in values}
    assert made(document, **values) == values
    text = "${var.number}, ${var.count}, ${var.on}, ${var.word}"
    assert made({"x": [{"y": text}]}, **values) == {"x": [{"y": "0.002, 3, true, a b"}]}


def test_two_dollars_are_one_and_no_reference() -> None:
    assert made({"x": "$${var.a} and ${var.a}"}, a="b") == {"x": "${var.a} and b"}
    assert made({"x": "$${var."}) == {"x": "${var."}
    assert list(mentioned({"x": ["$${var.a}", "${var.b}"]})) == ["b"]


def test_a_value_is_not_searched_for_references_again() -> None:
    assert made({"x": "${var.a}"}, a="${var.b}", b="no") == {"x": "${var.b}"}
    assert made({"x": "-${var.a}-"}, a="${var.b}", b="no") == {"x": "-${var.b}-"}


def test_what_a_shell_or_a_template_expands_is_left_alone() -> None:
    document = {"x": "${HOME} {field} ${{ github.sha }} $var.x ${variable}", "kind": "${var.x}"}
    assert made(document) == document


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_a_document_without_references_stays_as_it_is(value: Any) -> None:
    document = {"x": value, "y": {"z": value}}
    if MARK not in json.dumps(document):
        assert made(document) == document


@given(st.text(alphabet="${}var. \n", max_size=40))
def test_any_text_gives_a_text_or_a_problem(text: str) -> None:
    result, work = substituted({"spec": {"x": text}}, Variables("default", frozenset({"a"}), {"a": 1}), Source("f"))
    assert result == {"spec": {}} if work.problems else MARK not in text.replace("$${var.", "") or "x" in result["spec"]
    assert all(problem.lost == (("spec", "x"),) for problem in work.problems)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"learning_rate": "${var.rat}"}, ["PJ-008 studio.yaml declares no variable 'rat'"]),
        ({"num_epochs": "${var.seed}"}, ["PJ-009 the variable 'seed' has no value in environment 'default'"]),
        ({"num_epochs": "${var.}"}, ["PJ-010 ${var. begins a reference that names no variable"]),
        ({"adapter_name": "x-${var.team"}, ["PJ-010 ${var. begins a reference that names no variable"]),
        ({"num_epochs": "${var.team}"}, ["MF-007 spec.num_epochs: must be a number (${var.team} is 'support')"]),
        ({"num_epochs": "${var.rat} ${var.seed}"}, ["PJ-008 studio", "PJ-009 the variable 'seed'"]),
    ],
)
def test_a_faulty_reference_is_one_finding_at_its_line(
    tmp_path: Path, spec: dict[str, Any], expected: list[str]
) -> None:
    root = project(tmp_path, SETTINGS, **({"learning_rate": "${var.rate}"} | spec))
    text = (root / "manifests" / "all.yaml").read_text()
    line = next(n for n, row in enumerate(text.splitlines(), 1) if f'"{next(iter(spec))}"' in row)
    findings = [each for each in found(root) if "PJ-014" not in each]
    assert len(findings) == len(expected), findings
    for finding, words in zip(findings, expected, strict=True):
        rule, _, message = words.partition(" ")
        assert finding.startswith(f"{rule} manifests/all.yaml:{line}:") and message in finding


def test_a_rule_that_judges_a_value_says_which_variable_made_it(tmp_path: Path) -> None:
    root = project(tmp_path, SETTINGS.replace("default: 0.001", "default: -1.0"), learning_rate="${var.rate}")
    message = next(each for each in found(root) if each.startswith("FT-009"))
    assert message.endswith("(${var.rate} is -1.0)")


def test_a_fault_that_a_patch_brings_is_found_in_the_patch(tmp_path: Path) -> None:
    root = project(tmp_path, SETTINGS.replace("var.epochs", "var.epoch"), learning_rate="${var.rate}")
    assert any("PJ-008 studio.yaml:16:" in each for each in found(root, "prod"))


def test_a_name_that_depends_on_a_variable_is_refused(tmp_path: Path) -> None:
    root = project(tmp_path)
    file = root / "manifests" / "all.yaml"
    file.write_text(file.read_text().replace('"name": "train"', '"name": "train-${var.team}"', 1))
    assert [each for each in found(root) if "the name says what a resource is" in each]


def test_a_list_that_loses_an_item_is_lost_and_nothing_is_judged_by_the_rest(tmp_path: Path) -> None:
    documents = projects.with_spec(projects.support_desk(), "EvaluationJob", metrics=["latency", "${var.nope}"])
    root = projects.write(tmp_path, documents, projects.SETTINGS)
    assert [each.partition(" ")[0] for each in found(root)] == ["PJ-008"]


def test_a_long_value_named_often_fills_no_memory(tmp_path: Path) -> None:
    settings = SETTINGS.replace("default: support", f"default: {'x' * 10_000}")
    root = project(tmp_path, settings, adapter_name="a", user_script="${var.team}" * 10_000)
    assert any("MF-009" in each and "variables add more than 1,000,000 characters" in each for each in found(root))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rat": "1"}, "studio.yaml declares no such variable"),
        ({"rate": "fast"}, "'fast' is not a number, as the default is"),
        ({"epochs": "2.5"}, "'2.5' is not a whole number"),
        ({"epochs": "true"}, "is not a whole number"),
        ({"team": "hf_" + "a" * 34}, "this looks like"),
    ],
)
def test_what_the_command_line_cannot_set_is_refused(tmp_path: Path, given: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_project(project(tmp_path), "default", given)
    assert caught.value.hint


def test_without_a_default_the_command_line_s_value_is_read_as_yaml(tmp_path: Path) -> None:
    root = project(tmp_path, num_epochs="${var.seed}")
    assert job(load_project(root, "default", {"seed": "3"})).spec.num_epochs == 3
    assert load_project(root, "default", {"seed": "x"}).problems


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--var", "rate"), "sets nothing"),
        (("--var", "=1"), "sets nothing"),
        (("--var", "rate=1", "--var", "rate=2"), "given twice"),
        (("--var", "rat=1"), "did you mean 'rate'?"),
    ],
)
def test_a_wrong_option_says_what_to_write(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    answer = ask(project(tmp_path), "plan", *arguments)
    assert answer.code == 64 and words in answer.err


def test_validate_with_values_from_the_command_line_keeps_no_verdict(tmp_path: Path) -> None:
    root = project(
        tmp_path, SETTINGS.replace("    seed: {}\n", "").replace(", seed: 7", ""), learning_rate="${var.rate}"
    )
    assert ask(root, "validate", "--env", "default").code == 0
    assert ask(root, "validate", "--env", "default", "--var", "rate=-1").code == 1
    assert ask(root, "validate", "--env", "default").code == 0


def test_an_unused_variable_is_a_warning_unless_a_patch_of_any_environment_names_it(tmp_path: Path) -> None:
    root = project(tmp_path, learning_rate="${var.rate}", num_epochs=1)
    unused = [each for each in found(root) if each.startswith("PJ-014")]
    assert [each.rpartition(" ")[2] for each in unused] == ["'team'", "'seed'"]


def test_a_change_of_a_value_changes_the_fingerprint_and_a_description_does_not(tmp_path: Path) -> None:
    root = project(tmp_path, learning_rate="${var.rate}")
    before = projects.fingerprints(root)
    (root / "studio.yaml").write_text(SETTINGS.replace("Peak rate", "The peak"))
    assert projects.fingerprints(root) == before
    (root / "studio.yaml").write_text(SETTINGS.replace("0.001", "0.002"))
    assert projects.fingerprints(root)[str(JOB)] != before[str(JOB)]


def test_a_written_value_and_a_variable_of_that_value_are_the_same(tmp_path: Path) -> None:
    written = projects.fingerprints(project(tmp_path / "a", learning_rate=0.001))
    assert projects.fingerprints(project(tmp_path / "b", learning_rate="${var.rate}")) == written


def test_editors_accept_a_variable_for_a_value_and_nothing_else_that_is_no_value() -> None:
    kinds = published()
    for name in ("FineTuningJob.schema.json", "manifest.schema.json"):
        validator = Draft202012Validator(kinds[name])
        document = projects.pick(projects.support_desk(), "FineTuningJob")
        for value, good in (("${var.rate}", True), ("${var.}", False), ("x ${var.rate}", False), (2e-4, True)):
            changed = {**document, "spec": {**document["spec"], "learning_rate": value}}
            assert validator.is_valid(changed) is good, value
        named = {**document, "metadata": {**document["metadata"], "name": "${var.rate}"}}
        assert not validator.is_valid(named)


def test_within_braces_a_reference_needs_quotes_and_the_message_says_so(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "manifests" / "x.yaml").write_text("apiVersion: studio/v1\nspec: {num_epochs: ${var.epochs}}\n")
    finding = next(each for each in validate(root, "default").findings if each.rule == "MF-002")
    assert finding.hint == 'quote it: within braces or brackets write "${var.name}"'
    assert parse('a: {b: "${var.x}"}') == [{"a": {"b": "${var.x}"}}]


def test_a_saved_plan_remembers_what_the_command_line_set(tmp_path: Path) -> None:
    root = project(tmp_path, learning_rate="${var.rate}")
    saved = tmp_path / "plan.json"
    assert ask(root, "plan", "--var", "rate=5e-3", "--out", str(saved)).code == 0
    content = json.loads(saved.read_text())
    assert content["variables"] == {"rate": "5e-3"}
    answer = ask(root, "apply", str(saved), "--var", "rate=5e-3")
    assert answer.code == 64 and "leave --var out" in answer.err
    saved.write_text(json.dumps({**content, "variables": {"rate": "4e-3"}}))
    assert ask(root, "apply", str(saved)).code == 4
    saved.write_text(json.dumps({**content, "variables": {"rate": 4}}))
    answer = ask(root, "apply", str(saved))
    assert answer.code == 64 and "variables are not texts" in answer.err
    saved.write_text(json.dumps(content))
    (root / "studio.yaml").write_text(SETTINGS.replace("    rate: {default: 0.001, description: Peak rate}\n", ""))
    answer = ask(root, "apply", str(saved))
    assert answer.code == 4 and "the plan is stale: --var rate" in answer.err


def test_a_variable_whose_value_a_patch_replaces_is_used_all_the_same(tmp_path: Path) -> None:
    patched = SETTINGS + (
        "    own:\n      patches:\n        - target: {kind: FineTuningJob}\n          patch: {spec: {num_epochs: 2}}\n"
    )
    root = project(tmp_path, patched, learning_rate="${var.rate}", num_epochs="${var.seed}")
    unused = [each for each in found(root, "own") if each.startswith("PJ-014")]
    assert not [each for each in unused if "'seed'" in each]


def test_every_command_that_reads_manifests_in_an_environment_takes_values(tmp_path: Path) -> None:
    """``base`` has no value elsewhere, so without one the reference leads nowhere."""
    settings = SETTINGS.replace("    seed: {}\n", "    seed: {}\n    base: {}\n")
    root = project(tmp_path, settings, base_model="${var.base}")
    given = ("--var", "base=tiny")
    fed = ask(root, "graph", "Model/tiny", "--downstream")
    assert "FineTuningJob" not in fed.out and "The graph may lack something" in fed.err
    answer = ask(root, "graph", "Model/tiny", "--downstream", *given)
    assert "FineTuningJob" in answer.out and not answer.err
    assert "--var base=tiny" in ask(root, "status", *given).out
    assert ask(root, "show", "Nothing", *given).code == 64
    imported = ("import", "Model", "tiny", "0123")
    assert ask(root, *imported).code == 1
    assert ask(root, *imported, *given).code == 0
    for command in (("graph",), ("show", "tiny"), ("status",), imported):
        answer = ask(root, *command, "--var", "bas=tiny")
        assert answer.code == 64 and "did you mean 'base'?" in answer.err, command
