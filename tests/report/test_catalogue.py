"""The pages of the rules."""

from __future__ import annotations

import pytest

from studio.report import catalogue
from studio.rules import base

RULES = base.catalogue()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_page_holds_all_that_a_rule_says_of_itself(rule: base.Rule) -> None:
    for page in (catalogue.rule_markdown(rule), catalogue.rule_text(rule)):
        assert rule.id in page and rule.severity.value in page and rule.phase.value in page
        assert catalogue.subject(rule) in page
        assert page.index("Bad:") < page.index("Good:")
        assert "``" not in page.replace("```", "")
    assert catalogue.to_json(rule)["bad"] in catalogue.rule_markdown(rule)


def test_every_domain_has_words_for_the_index() -> None:
    assert {catalogue.domain(rule) for rule in RULES} == set(catalogue.DOMAINS)
    index = catalogue.index_markdown(RULES)
    assert all(f"[{rule.id}]({rule.id}.md)" in index for rule in RULES)


def test_paragraphs_are_joined_and_kept_apart() -> None:
    assert catalogue.unwrapped("One ``field``\nand more.\n\nAnother.") == "One `field` and more.\n\nAnother."
