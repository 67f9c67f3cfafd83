"""Findings as SARIF 2.1.0 (OASIS), which code scanning reads."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from studio import __version__
from studio.core.findings import Finding, Position, Severity, format_path
from studio.report import catalogue
from studio.report.findings import plural
from studio.report.plain import plain

if TYPE_CHECKING:
    from studio.rules.base import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
BASE = "%SRCROOT%"
MAX_RESULTS = 25_000
"""GitHub rejects a run with more (GitHub documentation, SARIF limits)."""
LINE_BREAKS = ["\r\n", "\n", "\r", "\x85", "\u2028", "\u2029"]
"""What ends a line in YAML, so that line numbers are counted alike."""
FINGERPRINT = "studioFinding/v1"
"""Not ``primaryLocationLineHash``: GitHub's upload computes that one itself and warns of any other value."""
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_PROBLEMS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}
_SECURITY = {Severity.ERROR: "8.0", Severity.WARNING: "5.0", Severity.INFO: "2.0"}
"""GitHub's scale of security findings: above 7 is high, above 4 is medium."""


def to_sarif(findings: Iterable[Finding], rules: Sequence[Rule], prefix: str, environment: str) -> dict[str, Any]:
    """One run with the whole catalogue; ``prefix`` leads from the repository's root to the project.

    The run's id keeps apart the projects and environments of one repository, which would replace each other.
    """
    gravest = sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
    kept = gravest[:MAX_RESULTS]
    index = {rule.id: number for number, rule in enumerate(rules)}
    seen: Counter[str] = Counter()
    run = {
        "tool": {"driver": _driver(rules)},
        "automationDetails": {"id": f"studio/{quote(prefix)}{environment}/"},
        "originalUriBaseIds": {BASE: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "newlineSequences": LINE_BREAKS,
        "invocations": [_invocation(len(gravest) - len(kept))],
        "results": [_result(finding, index, prefix, seen) for finding in kept],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _driver(rules: Iterable[Rule]) -> dict[str, Any]:
    return {
        "name": "studio",
        "fullName": "Fine Tuning Studio, declarative",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_descriptor(rule) for rule in rules],
    }


def _descriptor(rule: Rule) -> dict[str, Any]:
    page = rule.page
    security = rule.id.startswith("SEC-")
    properties: dict[str, Any] = {
        "kind": catalogue.subject(rule),
        "phase": rule.phase.value,
        "precision": "very-high",
        "problem.severity": _PROBLEMS[rule.severity],
        "tags": ["fine-tuning", rule.phase.value, *(["security"] if security else [])],
    }
    if security:
        properties["security-severity"] = _SECURITY[rule.severity]
    markdown = catalogue.rule_markdown(rule)
    return {
        "id": rule.id,
        "name": rule.name.title().replace("_", ""),
        "shortDescription": {"text": page.title},
        "fullDescription": {"text": catalogue.unwrapped(page.why) or page.title},
        "help": {"text": markdown, "markdown": markdown},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": properties,
    }


def _invocation(left_out: int) -> dict[str, Any]:
    if not left_out:
        return {"executionSuccessful": True}
    words = f"{plural(left_out, 'finding')} of the least severity left out: a run may hold {MAX_RESULTS:,}"
    notification = {"level": "warning", "message": {"text": words}}
    return {"executionSuccessful": True, "toolExecutionNotifications": [notification]}


def _result(finding: Finding, index: dict[str, int], prefix: str, seen: Counter[str]) -> dict[str, Any]:
    said = [part for part in (finding.message, finding.hint) if part]
    who = f"{finding.resource}: " if finding.resource and finding.resource.name else ""
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": _message(who + "\n".join(map(plain, said)))},
        "locations": [_location(finding, prefix)],
        "partialFingerprints": {FINGERPRINT: _fingerprint(finding, seen)},
    }
    return result


def _message(text: str) -> str:
    """``](`` would make a link of what somebody wrote into a manifest (SARIF 2.1.0, 3.11.6)."""
    return text.replace("](", "]\\(")


_NOT_A_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of surrogate pairs that stand for no byte of a file's name."""


def _location(finding: Finding, prefix: str) -> dict[str, Any]:
    where = finding.position or Position("studio.yaml", 1, 1)
    uri = quote(_NOT_A_BYTE.sub("\N{REPLACEMENT CHARACTER}", prefix + where.file), errors="surrogateescape")
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": uri, "uriBaseId": BASE},
            "region": {"startLine": where.line, "startColumn": where.column},
        }
    }
    if finding.resource:
        name = f"{finding.resource}/{format_path(finding.path)}".rstrip("/")
        location["logicalLocations"] = [{"fullyQualifiedName": plain(name), "kind": "resource"}]
    return location


def _fingerprint(finding: Finding, seen: Counter[str]) -> str:
    """The same when lines or files move: the rule, the resource and the field, numbered where these are the same.

    What has no field goes by its file and message.
    """
    owner = str(finding.resource) if finding.resource else finding.position.file if finding.position else ""
    what = format_path(finding.path) or finding.message
    digest = hashlib.sha256("\0".join((finding.rule, owner, what)).encode(errors="surrogatepass")).hexdigest()[:32]
    seen[digest] += 1
    return f"{digest}:{seen[digest]}"
