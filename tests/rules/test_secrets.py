"""Secrets are found by their shape or by their key, and never repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.secrets import HIDDEN, has_password, names_secret, redact, secret_in
from tests.rules.conftest import Check

LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
"""Tokens are put together here, so that no scanner takes this file for a leak."""
TOKENS = [
    "hf" + "_" + LETTERS[:34],
    "sk" + "-" + LETTERS,
    "sk" + "-proj-" + LETTERS,
    "gh" + "p_" + LETTERS,
    "github" + "_pat_" + LETTERS,
    "glpat" + "-" + LETTERS[:20],
    "AKI" + "A" + "Q3EGR5TZP7WXL2MV",
    "AI" + "za" + LETTERS[:35],
    "xox" + "b-" + LETTERS,
    "ey" + "J" + LETTERS[:12] + ".ey" + "J" + LETTERS[:20] + "." + LETTERS[:24],
    "-----BEGIN " + "PRIVATE KEY-----",
]


PLACES = [
    "kind: Model\nmetadata:\n  annotations:\n    note: 'use {} for it'  # <-",
    "kind: FineTuningJob\nspec:\n  user_config:\n    any:\n      - '{}'  # <-",
    "kind: Project\nspec:\n  mlflow:\n    experiment: '{}'  # <-",
]


@pytest.mark.parametrize("example", PLACES, ids=["annotation", "config", "settings"])
@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:6])
def test_a_token_is_found_wherever_it_stands_and_its_value_goes_nowhere(
    token: str, example: str, checked: Check
) -> None:
    outcome = checked(example.format(token))
    assert outcome.at("SEC-002") == outcome.marked
    assert all(token not in f"{finding.message} {finding.hint}" for finding in outcome.findings)


@given(before=st.text(max_size=10), after=st.text(max_size=10), token=st.sampled_from(TOKENS))
def test_redaction_leaves_nothing_of_a_token(before: str, after: str, token: str) -> None:
    text = f"{before} {token} {after}"
    assert token not in redact(text)
    assert not secret_in(redact(text))
    assert redact(redact(text)) == redact(text)


def test_a_password_in_a_url_is_hidden_and_the_rest_stays() -> None:
    url = "postgresql+psycopg://studio:letmein@db.example:5432/studio"
    assert has_password(url)
    assert redact(f"cannot open {url}!") == f"cannot open postgresql+psycopg://studio:{HIDDEN}@db.example:5432/studio!"
    assert not has_password("postgresql+psycopg://studio@db.example/studio")


@pytest.mark.parametrize(
    "text", ["acme/tiny-llama", "task-router-for-the-support-desk-2024", "hf_internal_testing", "risk-" + "a" * 30]
)
def test_ordinary_names_are_no_secrets(text: str) -> None:
    assert secret_in(text) == ""
    assert redact(text) == text


def test_keys_of_secrets_are_told_from_keys_of_tokens() -> None:
    assert all(map(names_secret, ("password", "API-Key", "wandb_api_key", "hub_token", "client_secret", "db_password")))
    assert not any(map(names_secret, ("pad_token", "eos_token", "tokens", "max_new_tokens", "token_type", "key")))
