"""SARIF 2.1.0: valid by the official schema whatever was found, and stable where code scanning compares runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from studio.core.findings import Finding, Position, Severity
from studio.core.references import Ref
from studio.report import sarif
from studio.report.plain import json_text
from studio.rules.base import catalogue

from . import hostile

SCHEMA = Draft4Validator(json.loads(Path(__file__).with_name("sarif-schema-2.1.0.json").read_text("utf-8")))
RULES = catalogue()


def finding(rule: str = "FT-002", line: int = 7, file: str = "m/a b.yaml", **changes: Any) -> Finding:
    values = {"hint": "mend it", "resource": Ref("Model", "m"), "path": ("spec", "gates", 0)}
    return Finding(rule, Severity.ERROR, "it is wrong", position=Position(file, line, 3), **{**values, **changes})


def run(*findings: Finding, prefix: str = "") -> dict[str, Any]:
    log = json.loads(json_text(sarif.to_sarif(findings, RULES, prefix, "default")))
    assert [error.message for error in SCHEMA.iter_errors(log)] == []
    assert len(log["runs"]) == 1
    return dict(log["runs"][0])


def fingerprint(each: Finding, *others: Finding) -> str:
    return str(run(each, *others)["results"][0]["partialFingerprints"][sarif.FINGERPRINT])


def test_a_result_names_rule_level_words_and_place_from_the_root_of_the_repository() -> None:
    result = run(finding(), prefix="teams/ä/")["results"][0]
    assert result["ruleId"] == RULES[result["ruleIndex"]].id == "FT-002"
    assert result["level"] == "error" and result["message"]["text"] == "Model/m: it is wrong\nmend it"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "teams/%C3%A4/m/a%20b.yaml", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 7, "startColumn": 3}
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "Model/m/spec.gates[0]"


def test_the_whole_catalogue_is_described_for_people() -> None:
    described = run()["tool"]["driver"]["rules"]
    assert [each["id"] for each in described] == [rule.id for rule in RULES]
    for each in described:
        assert each["name"][0].isupper() and "_" not in each["name"]
        assert each["shortDescription"]["text"] and each["fullDescription"]["text"]
        assert "```yaml" in each["help"]["markdown"]


def test_levels_and_security_are_what_github_ranks_alerts_by() -> None:
    described = {each["id"]: each for each in run()["tool"]["driver"]["rules"]}
    assert described["CF-004"]["defaultConfiguration"]["level"] == "note"
    assert described["SEC-002"]["properties"]["security-severity"] == "8.0"
    assert "security" in described["SEC-002"]["properties"]["tags"]
    assert "security-severity" not in described["FT-002"]["properties"]


def test_columns_lines_and_the_base_of_paths_are_declared() -> None:
    log = run()
    assert log["columnKind"] == "unicodeCodePoints" and "\x85" in log["newlineSequences"]
    assert "%SRCROOT%" in log["originalUriBaseIds"]


def test_projects_and_environments_of_a_repository_do_not_replace_each_other() -> None:
    ids = {run(prefix=prefix)["automationDetails"]["id"] for prefix in ("", "teams/a/", "teams/b/")}
    assert ids == {"studio/default/", "studio/teams/a/default/", "studio/teams/b/default/"}


def test_a_finding_keeps_its_fingerprint_when_its_line_or_file_moves() -> None:
    first = fingerprint(finding())
    assert fingerprint(finding(line=90)) == fingerprint(finding(file="b.yaml")) == first
    others = [finding("FT-003"), finding(resource=Ref("Model", "n")), finding(path=("spec", "gates", 1))]
    assert len({first, *map(fingerprint, others)}) == 4


def test_two_findings_of_one_rule_in_one_place_are_told_apart() -> None:
    results = run(finding(), finding())["results"]
    assert len({result["partialFingerprints"][sarif.FINGERPRINT] for result in results}) == 2


def test_what_has_no_position_points_at_the_settings() -> None:
    result = run(Finding("PJ-005", Severity.WARNING, "no name"))["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "studio.yaml"


def test_more_results_than_github_takes_are_cut_where_they_weigh_least_and_counted() -> None:
    lot = [Finding("CF-004", Severity.INFO, "m")] * sarif.MAX_RESULTS + [finding()]
    log = sarif.to_sarif(lot, RULES, "", "default")["runs"][0]
    assert len(log["results"]) == sarif.MAX_RESULTS and log["results"][0]["level"] == "error"
    assert log["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"].startswith("1 finding of")


@pytest.mark.slow
@settings(max_examples=40)
@given(hostile.many, st.sampled_from(["", "a/b/", "ü ?#/"]))
def test_no_text_breaks_the_log(findings: list[Finding], prefix: str) -> None:
    results = run(*findings, prefix=prefix)["results"]
    assert len(results) == len(findings)
    for result in results:
        assert "](" not in result["message"]["text"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii() and not set(uri) & set(' \n\r\\"<>?#')
