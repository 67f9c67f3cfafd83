"""The catalogue tests itself: every rule is documented, its bad example is found, its good one is clean."""

from __future__ import annotations

import pytest

from studio.core.findings import Phase, Severity, sort_key
from studio.rules.base import Rule, catalogue
from tests.fakes.hub import FakeHub
from tests.rules.conftest import Check

RULES = {rule.id: rule for rule in catalogue()}
GUIDE = {
    **{f"FT-{number:03}": Severity.ERROR for number in range(1, 17)},
    **{f"EV-{number:03}": Severity.ERROR for number in range(1, 9)},
    **{f"DS-{number:03}": Severity.ERROR for number in range(1, 4)},
    **{f"MD-{number:03}": Severity.ERROR for number in range(1, 4)},
    **{f"AD-{number:03}": Severity.ERROR for number in range(1, 6)},
    **{f"PR-{number:03}": Severity.ERROR for number in range(1, 6)},
    **{f"CF-{number:03}": Severity.ERROR for number in range(1, 4)},
    "CF-004": Severity.INFO,
    **{f"EX-{number:03}": Severity.ERROR for number in range(1, 6)},
}
"""The rules of the guide and their severities."""
IMPLIED = {"REF-003": {"FT-017"}}
"""Rules whose bad example cannot but break another one."""

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


@every_rule
def test_a_rule_has_a_title_examples_and_a_name_that_states_the_fault(rule: Rule) -> None:
    page = rule.page
    assert page.title.endswith(".")
    assert page.bad, "no bad example"
    assert page.good, "no good example"
    assert sum(line.endswith("# <-") for line in page.bad.splitlines()) == 1 or rule.id == "MF-009"
    assert "# <-" not in page.good


@every_rule
def test_the_bad_example_is_found_at_the_marked_line_and_nothing_else_is(
    rule: Rule, checked: Check, online: FakeHub
) -> None:
    outcome = checked(rule.page.bad, Phase.STATIC, rule.phase)
    places = outcome.at(rule.id)
    assert places, [str(finding) for finding in outcome.findings]
    assert set(outcome.marked) <= set(places)
    errors = {finding.rule for finding in outcome.findings if finding.severity is Severity.ERROR}
    assert errors - {rule.id} <= IMPLIED.get(rule.id, set())
    again = checked(rule.page.bad, Phase.STATIC, rule.phase).findings
    assert again == outcome.findings == sorted(again, key=sort_key), "in the same order every time"
    for finding in again:
        assert finding.position and finding.position.line > 0
        assert finding.message and finding.hint, "what is wrong, and what to do"
        assert not finding.message.endswith(".") and not finding.hint.endswith(".")


@every_rule
def test_the_good_example_has_no_error_and_not_this_finding(rule: Rule, checked: Check, online: FakeHub) -> None:
    outcome = checked(rule.page.good, Phase.STATIC, rule.phase)
    assert [f for f in outcome.findings if f.severity is Severity.ERROR or f.rule == rule.id] == []


def test_the_sample_project_has_no_finding(checked: Check, online: FakeHub) -> None:
    assert checked("kind: Project\nmetadata:\n  name: sample", Phase.STATIC, Phase.ONLINE).findings == []


@pytest.mark.parametrize("id", GUIDE)
def test_the_guide_s_rules_are_there_with_their_severities(id: str) -> None:
    assert RULES[id].severity is GUIDE[id]


def test_ids_of_a_domain_are_numbered_without_gaps() -> None:
    numbers: dict[str, list[int]] = {}
    for id in RULES:
        domain, _, number = id.partition("-")
        numbers.setdefault(domain, []).append(int(number))
    for found in numbers.values():
        assert sorted(found) == list(range(1, len(found) + 1))


def test_names_of_rules_are_unique_within_their_domain() -> None:
    names = [(rule.id.partition("-")[0], rule.name) for rule in RULES.values()]
    assert len(names) == len(set(names))
