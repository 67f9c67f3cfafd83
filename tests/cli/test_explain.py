"""``studio rules`` and ``studio explain``: the catalogue for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.rules.base import catalogue

from .front_door import ask

RULES = catalogue()


def test_rules_lists_every_rule_on_a_line_of_its_own(tmp_path: Path) -> None:
    answer = ask(tmp_path, "rules")
    assert answer.code == 0 and [line.split()[0] for line in answer.out.splitlines()] == [rule.id for rule in RULES]
    assert "FT-010  error" in answer.out and "FineTuningJob" in answer.out


@pytest.mark.parametrize(
    ("arguments", "every"),
    [
        (["--kind", "finetuningjob"], {"kind": "FineTuningJob"}),
        (["--severity", "warning"], {"severity": "warning"}),
        (["--phase", "online", "--kind", "Model"], {"phase": "online", "kind": "Model"}),
    ],
)
def test_rules_are_filtered(tmp_path: Path, arguments: list[str], every: dict[str, str]) -> None:
    found = json.loads(ask(tmp_path, "rules", "--json", *arguments).out)["rules"]
    assert found and all(rule[name] == value for rule in found for name, value in every.items())
    wanted = [
        rule for rule in json.loads(ask(tmp_path, "rules", "--json").out)["rules"] if every.items() <= rule.items()
    ]
    assert found == wanted


def test_an_empty_selection_says_so_and_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    answer = ask(tmp_path, "rules", "--severity", "info", "--phase", "online")
    assert answer.code == 0 and answer.out == "" and "no rule is of" in answer.err
    answer = ask(tmp_path, "rules", "--kind", "Datset")
    assert answer.code == 64 and "did you mean 'Dataset'?" in answer.err


@pytest.mark.parametrize("id", ["FT-002", "ft-002", "Ft-002", "ft002"])
def test_a_rule_is_explained_by_its_id(tmp_path: Path, id: str) -> None:
    answer = ask(tmp_path, "explain", id)
    assert answer.code == 0 and answer.out.startswith("FT-002  ")
    assert answer.out.index("Bad:") < answer.out.index("Good:")
    assert json.loads(ask(tmp_path, "explain", id, "--json").out)["id"] == "FT-002"


@pytest.mark.parametrize(
    ("subject", "path"),
    [
        ("FineTuningJob.spec.lora_config", "FineTuningJob.spec.lora_config"),
        ("finetuningjob.lora_config", "FineTuningJob.spec.lora_config"),
        ("Dataset.metadata.labels", "Dataset.metadata.labels"),
        ("EvaluationJob.spec.gates[0].min", "EvaluationJob.spec.gates.min"),
        ("EvaluationJob/spec/gates/0/min", "EvaluationJob.spec.gates.min"),
        ("project.spec.backend", "Project.spec.backend"),
        ("Project.spec.environments.prod.patches[0].target", "Project.spec.environments.patches.target"),
        ("Project.spec.environments.patches", "Project.spec.environments.patches"),
        ("Dataset.metadata.labels.team", "Dataset.metadata.labels"),
        ("gates", "EvaluationJob.spec.gates"),
    ],
)
def test_a_field_is_explained_by_its_path(tmp_path: Path, subject: str, path: str) -> None:
    answer = ask(tmp_path, "explain", subject)
    assert answer.code == 0 and answer.out.startswith(path + "\n")
    assert json.loads(ask(tmp_path, "explain", subject, "--json").out)["path"] == path


@pytest.mark.parametrize("kind", ["Dataset", "modelexport", "Project"])
def test_a_kind_is_explained_by_its_name(tmp_path: Path, kind: str) -> None:
    answer = ask(tmp_path, "explain", kind)
    assert answer.code == 0 and answer.out.lower().startswith(kind.lower() + "\n")
    content = json.loads(ask(tmp_path, "explain", kind, "--json").out)
    assert [field["name"] for field in content["fields"]] == ["apiVersion", "kind", "metadata", "spec"]


@pytest.mark.parametrize(
    ("subject", "what", "hint"),
    [
        ("FT-999", "there is no rule 'FT-999'", "did you mean 'FT-"),
        ("Datset", "there is no kind 'Datset'", "did you mean 'Dataset'?"),
        ("Dataset.spec.locaton", "Dataset.spec has no field 'locaton'", "did you mean 'location'?"),
        ("Dataset.spec.type.x", "Dataset.spec.type has no field 'x'", "it is text"),
        ("Dataset.metadata.labels.team.x", "Dataset.metadata.labels has no field 'x'", "it is mapping of names"),
        ("Project.spec.environments.a.b", "Project.spec.environments has no field 'b'", "known: backend"),
        ("num_gpu", "3 kinds have a field 'num_gpu'", "studio explain FineTuningJob.spec.num_gpu | EvaluationJob"),
        ("Dataset.spec.", "", ""),
        ("", "there is no kind ''", "known: "),
        ("\x1b[31m.x", "there is no kind", "known: "),
    ],
)
def test_what_is_unknown_leads_to_the_nearest(tmp_path: Path, subject: str, what: str, hint: str) -> None:
    answer = ask(tmp_path, "explain", subject)
    assert answer.code == (64 if what else 0)
    assert what in answer.err and hint in answer.err and "\x1b" not in answer.err
