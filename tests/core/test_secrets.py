"""What looks like a secret is recognised and hidden; what does not is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.secrets import HIDDEN, has_password, names_secret, redact, redact_named, secret_in

TOKENS = {
    "a Hugging Face token": "hf_" + "aB3" * 12,
    "an API key": "sk-" + "x9" * 16,
    "a GitHub token": "ghp_" + "A1b2" * 9,
    "a GitLab token": "glpat-" + "a-1_" * 6,
    "an AWS access key": "AKIA" + "A1B2" * 4,
    "a Google API key": "AIza" + "a_-1b" * 7,
    "a Slack token": "xoxb-" + "1234567890",
    "a signed web token": "eyJ" + "a" * 10 + ".eyJ" + "b" * 10 + "." + "c" * 10,
    "a private key": "-----BEGIN RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize(("what", "token"), TOKENS.items())
def test_a_token_is_named_and_hidden_wherever_it_stands(what: str, token: str) -> None:
    text = f"token: {token} # mine"
    assert secret_in(text) == what
    assert token not in redact(text) and HIDDEN in redact(text)


@given(st.sampled_from(sorted(TOKENS.values())), st.text(), st.text())
def test_a_hidden_token_stays_hidden_in_any_text(token: str, before: str, after: str) -> None:
    assert token not in redact(f"{before} {token} {after}")


@pytest.mark.parametrize(
    "text", ["task-list", "half_done", "sk-short", "pad_token", "the hf_hub library", "AKIA", "eyJhbGciOi", ""]
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert secret_in(text) == "" and redact(text) == text


@pytest.mark.parametrize("text", ["a" * 1_000_000 + "://", "-eyJ" * 250_000, "x://:" * 200_000, "sk-" * 300_000])
def test_the_time_for_hostile_text_is_linear(text: str) -> None:
    before = time.process_time()
    assert secret_in(text) in ("", "an API key") and len(redact(text)) <= len(text)
    assert time.process_time() - before < 5  # quadratic takes a quarter of an hour


def test_a_password_in_a_url_is_hidden_and_the_rest_is_kept() -> None:
    url = "postgresql+psycopg://studio:hunter2@db.example.org/state"
    assert has_password(url) and redact(url) == "postgresql+psycopg://studio:***@db.example.org/state"
    assert not has_password("postgresql+psycopg://studio@db.example.org/state")


@pytest.mark.parametrize(
    ("key", "secret"),
    [("password", True), ("HF-Token", True), ("db_password", True), ("pad_token", False), ("eos_token", False)],
)
def test_a_key_tells_whether_its_value_is_secret(key: str, secret: bool) -> None:
    assert names_secret(key) is secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hunter2supersecret", "password=***"),
        ("DB_PASSWORD: hunter2supersecret and more", "DB_PASSWORD: *** and more"),
        ("connect(api_key='abcd-efgh-1234', timeout=3)", "connect(api_key='***', timeout=3)"),
        ('{"client_secret": "abcdefgh", "rows": 3}', '{"client_secret": "***", "rows": 3}'),
        (r'{"message": "{\"token\": \"abcdefgh\"}"}', r'{"message": "{\"token\": \"***\"}"}'),
        ("config: MY_SERVICE_TOKEN = abcdefgh12", "config: MY_SERVICE_TOKEN = ***"),
        ("--hf-token=abcdefgh", "--hf-token=***"),
    ],
)
def test_a_value_that_its_name_calls_secret_is_hidden_in_what_programs_print(text: str, shown: str) -> None:
    assert redact_named(text) == shown == redact_named(shown)


@pytest.mark.parametrize(
    "text",
    [
        "password=short", "passwords: everything", "pad_token=endoftext", "eos_token: <|endoftext|>", "token: [MARK]",
        "tokens=12345678", "the secret is out: nobody knows", "secret\n\n\n= anything", "password=", "token", "",
    ],
)  # fmt: skip
def test_what_no_name_calls_secret_is_printed_as_it_is(text: str) -> None:
    assert redact_named(text) == text


@pytest.mark.parametrize(
    "piece", ["password", "token='", 'secret="a', "api_key: ", "pad_token=", "password=a\\", "key"]
)
def test_the_time_for_hostile_names_is_linear(piece: str) -> None:
    text, before = piece * (1_000_000 // len(piece)), time.process_time()
    assert len(redact_named(text)) <= len(text)
    assert time.process_time() - before < 5
