"""Findings as JUnit XML, which CI servers show as tests: a suite for each file, a case for each resource that passed
and for each finding."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from studio.core.findings import Finding, Severity, format_path
from studio.core.references import Ref
from studio.report.plain import plain

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 allows in no form, not even escaped."""


def to_junit(findings: Iterable[Finding], resources: Mapping[Ref, str], prefix: str = "") -> str:
    """Errors are failures; warnings do not fail a build, so their cases pass and speak in ``system-out``.

    ``resources`` holds the file of each manifest, ``prefix`` leads from the repository's root to the project.
    """
    found = list(findings)
    failing = {finding.resource for finding in found if finding.severity is Severity.ERROR}
    suites: dict[str, list[Element]] = defaultdict(list)
    for ref, file in resources.items():
        if ref not in failing:
            suites[file].append(_case(prefix + file, str(ref)))
    for finding in found:
        file = finding.position.file if finding.position else ""
        suites[file].append(_finding(prefix + file, finding))
    root = Element("testsuites", name="studio validate")
    for file in sorted(suites):
        suite = SubElement(root, "testsuite", name=_text(prefix + file))
        suite.extend(suites[file])
        _count(suite)
    _count(root)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, "unicode")


def _case(file: str, name: str) -> Element:
    return Element("testcase", classname=_text(file), name=_text(name), file=_text(file), time="0")


def _finding(file: str, finding: Finding) -> Element:
    parts = (finding.resource, finding.rule, format_path(finding.path))
    case = _case(file, " ".join(str(part) for part in parts if part))
    said = [plain(part) for part in (finding.position, finding.message, finding.hint) if part]
    if finding.position:
        case.set("line", str(finding.position.line))
    if finding.severity is Severity.ERROR:
        detail = SubElement(case, "failure", message=_text(finding.message), type=finding.rule)
    else:
        detail = SubElement(case, "system-out")
        said.insert(0, finding.severity.value)
    detail.text = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", "\n".join(said))
    return case


def _count(suite: Element) -> None:
    counted = {"tests": "testcase", "failures": "failure"}
    suite.attrib |= {name: str(sum(1 for _ in suite.iter(tag))) for name, tag in counted.items()}
    suite.attrib |= {"errors": "0", "skipped": "0", "time": "0"}


def _text(value: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", plain(value))
