"""The nearest known name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core import suggest
from studio.core.suggest import did_you_mean, nearest

FIELDS = ["learning_rate", "num_epochs", "dataset", "lora_config"]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("learning_rat", "learning_rate"),
        ("Learning_Rate", "learning_rate"),
        ("lora-config", "lora_config"),
        ("data_set", "dataset"),
        ("epochs", "num_epochs"),
        ("set", "dataset"),
        ("xyzzy", None),
        ("", None),
    ],
)
def test_a_misspelt_name_leads_to_the_one_that_was_meant(word: str, found: str | None) -> None:
    assert nearest(word, FIELDS) == found


def test_a_word_without_end_is_compared_with_nothing() -> None:
    assert nearest("a" * 1_000, ["a" * 999]) == "a" * 999
    assert nearest("a" * 1_001, ["a" * 1_000]) is None


def test_without_a_near_name_the_hint_lists_what_there_is() -> None:
    assert did_you_mean("xyzzy", FIELDS) == "known: dataset, learning_rate, lora_config, num_epochs"


def test_a_long_list_is_cut_and_says_how_much() -> None:
    assert did_you_mean("?", [f"name-{n:02}" for n in range(20)]).endswith("name-07 and 12 more")


def test_a_list_is_not_cut_to_save_a_name_or_two_and_shows_no_empty_name() -> None:
    assert did_you_mean("?", ["", *"abcdefghij"]) == "known: a, b, c, d, e, f, g, h, i, j"
    assert did_you_mean("?", [""]) == "there is none to choose from yet"


def test_with_nothing_known_the_hint_says_so() -> None:
    assert did_you_mean("x", []) == "there is none to choose from yet"


@given(st.text(), st.lists(st.text(min_size=1)))
def test_the_order_of_the_known_names_does_not_matter(word: str, known: list[str]) -> None:
    assert did_you_mean(word, known) == did_you_mean(word, list(reversed(known)))


@given(st.lists(st.text("abcdefgh_", min_size=1), min_size=1))
def test_a_known_name_is_nearest_to_itself(known: list[str]) -> None:
    assert nearest(known[0], known) == known[0]


MANY = [f"dataset-{number:05}" for number in range(10_000)]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("datset-01234", "dataset-01234"),
        ("dtaaset-01234", "dataset-01234"),
        ("dataset_01234", "dataset-01234"),
        ("Dataset-01234", "dataset-01234"),
        ("dataset-01234", "dataset-01234"),
        ("zzz", None),
        ("", None),
    ],
)
def test_among_thousands_of_names_a_slip_is_still_understood(word: str, found: str | None) -> None:
    assert nearest(word, MANY) == found


def test_among_thousands_of_names_two_slips_lead_to_a_neighbour() -> None:
    assert (nearest("dataset-0123xx", MANY) or "").startswith("dataset-012")


def test_among_thousands_of_names_only_a_few_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    compare = suggest.difflib.get_close_matches

    def counting(word: str, close: list[str], n: int, cutoff: float) -> list[str]:
        compared.append(len(close))
        return compare(word, close, n=n, cutoff=cutoff)

    monkeypatch.setattr("studio.core.suggest.difflib.get_close_matches", counting)
    for number in range(50):
        assert did_you_mean(f"datset-x{number}", MANY) and did_you_mean(f"datset-x{number}", MANY)
    assert len(compared) == 50 and max(compared) <= 2 * suggest.NEIGHBOURS


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("csv", ["project_csv", "project"], "project_csv"),
        ("model", ["base_model", "adapter"], "base_model"),
        ("mode", ["base_model", "adapter", "metric"], None),
    ],
)
def test_a_word_that_is_a_part_of_a_name_means_it_and_one_that_is_only_in_it_does_not(
    word: str, known: list[str], meant: str | None
) -> None:
    assert nearest(word, known) == meant
