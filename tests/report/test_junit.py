"""JUnit XML: what CI servers count is right, and no text breaks the document."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from studio.core.findings import Finding, Position, Severity
from studio.core.references import Ref
from studio.report.junit import to_junit

from . import hostile

GOOD, BAD = Ref("Model", "good"), Ref("Model", "bad")
FILES = {GOOD: "m/a.yaml", BAD: "m/b.yaml"}


def finding(severity: Severity = Severity.ERROR, resource: Ref | None = BAD) -> Finding:
    return Finding(
        "XX-001", severity, "it is wrong", "mend it", resource, ("spec", "n", 0), None, Position("m/b.yaml", 2, 9)
    )


def parsed(*findings: Finding, files: dict[Ref, str] = FILES) -> ElementTree.Element:
    return ElementTree.fromstring(to_junit(findings, files, "teams/").encode())


def names(root: ElementTree.Element) -> list[str | None]:
    return [case.get("name") for case in root.iter("testcase")]


def test_a_resource_without_a_finding_is_a_case_that_passed() -> None:
    root = parsed()
    assert names(root) == ["Model/good", "Model/bad"] and root.get("tests") == "2" and root.get("failures") == "0"
    assert not root.findall(".//failure")


def test_an_error_is_a_failure_in_the_suite_of_its_file() -> None:
    root = parsed(finding())
    assert names(root) == ["Model/good", "Model/bad XX-001 spec.n[0]"] and root.get("failures") == "1"
    suite = root.findall("testsuite")[1]
    assert suite.attrib["name"] == "teams/m/b.yaml" and suite.attrib["failures"] == suite.attrib["tests"] == "1"
    case, failure = suite.find("testcase"), suite.find("testcase/failure")
    assert case is not None and failure is not None
    assert (case.get("file"), case.get("line"), case.get("classname")) == ("teams/m/b.yaml", "2", "teams/m/b.yaml")
    assert (failure.get("type"), failure.get("message")) == ("XX-001", "it is wrong")
    assert failure.text == "m/b.yaml:2:9\nit is wrong\nmend it"


def test_a_warning_fails_nothing_and_is_told_all_the_same() -> None:
    root = parsed(finding(Severity.WARNING))
    assert names(root) == ["Model/good", "Model/bad", "Model/bad XX-001 spec.n[0]"] and root.get("failures") == "0"
    assert [each.text for each in root.iter("system-out")] == ["warning\nm/b.yaml:2:9\nit is wrong\nmend it"]


def test_a_file_that_is_no_manifest_is_a_suite_too() -> None:
    root = parsed(finding(resource=None), files={})
    assert names(root) == ["XX-001 spec.n[0]"] and root.get("failures") == "1"


@given(hostile.many, st.dictionaries(hostile.refs, hostile.words, max_size=5))
def test_no_text_breaks_the_document(findings: list[Finding], files: dict[Ref, str]) -> None:
    root = ElementTree.fromstring(to_junit(findings, files).encode())
    errors = [each for each in findings if each.severity is Severity.ERROR]
    assert {each.tag for each in root.iter()} <= {"testsuites", "testsuite", "testcase", "failure", "system-out"}
    assert len(root.findall(".//failure")) == len(errors) == int(root.attrib["failures"])
    passed = set(files) - {each.resource for each in errors}
    assert int(root.attrib["tests"]) == len(findings) + len(passed) == sum(int(s.attrib["tests"]) for s in root)
