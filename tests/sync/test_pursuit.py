"""How far a branch was followed: what is remembered, and when a commit is tried again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from studio.pursuit import GOOD, LONGEST_SECONDS, PASSING, REJECTED, Ending, Pursuit, Round, Try, pause, read, written

COMMITS = st.sampled_from(["a" * 40, "b" * 40, "c" * 40])
FRESH = Pursuit("default", "origin", "main")
tries = st.builds(Try, st.sampled_from(Ending), st.text(max_size=9), st.integers(0, 99), st.floats(0, 1e12))
pursuits = st.builds(
    Pursuit, st.just("default"), st.just("origin"), st.just("main"), COMMITS, COMMITS, COMMITS, st.text(max_size=9),
    st.dictionaries(COMMITS, tries),
)  # fmt: skip


@given(pursuits, pursuits)
def test_what_is_written_is_read_back_and_other_environments_stay(one: Pursuit, other: Pursuit) -> None:
    other = replace(other, environment="prod")
    text = written(written("", one), other)
    assert read(text, FRESH) == one
    assert read(text, replace(FRESH, environment="prod")) == other


@given(st.text(max_size=40) | pursuits.map(lambda each: written("", each)).flatmap(
    lambda text: st.integers(0, len(text)).map(lambda cut: text[:cut])
))  # fmt: skip
def test_whatever_the_file_holds_it_is_read_or_all_is_looked_at_anew(text: str) -> None:
    found = read(text, FRESH)
    assert (found.environment, found.remote, found.ref) == ("default", "origin", "main")
    assert read(written(text, found), FRESH) == found


def test_another_branch_begins_anew() -> None:
    text = written("", replace(FRESH, seen="a" * 40))
    assert read(text, replace(FRESH, ref="next")).seen == ""


@given(st.floats(1, 86_400), st.integers(1, 500))
def test_pauses_double_up_to_an_hour_and_never_fall_below_the_interval(interval: float, failures: int) -> None:
    assert pause(1, interval) == interval
    assert interval <= pause(failures, interval) <= max(LONGEST_SECONDS, interval)
    assert pause(failures, interval) <= pause(failures + 1, interval) <= 2 * pause(failures, interval)


def followed(pursuit: Pursuit, commit: str, ending: Ending, now: float = 0.0) -> Pursuit:
    return replace(pursuit, seen=commit).after(Round("t", commit, ending, "why"), now, 60.0)


def test_a_failure_is_tried_again_later_and_a_new_commit_at_once() -> None:
    once = followed(FRESH, "a", Ending.FAILED)
    assert once.target(59) == "" and once.target(60) == "a" and once.good == "a"
    twice = followed(once, "a", Ending.FAILED, 60)
    assert twice.target(179) == "" and twice.target(180) == "a"
    assert replace(twice, seen="b").target(61) == "b"
    assert followed(twice, "a", Ending.APPLIED, 180).tries["a"].failures == 0


def test_a_rejected_commit_leaves_the_good_one_in_force() -> None:
    for ending in REJECTED:
        pursuit = followed(followed(FRESH, "a", Ending.APPLIED), "b", ending)
        assert pursuit.rejected and pursuit.good == pursuit.applied == "a"
        assert pursuit.target(0) == "a" and pursuit.target(60) == "b"
        assert not followed(pursuit, "c", Ending.APPLIED).rejected


def test_what_passes_says_nothing_about_the_commit() -> None:
    before = followed(FRESH, "a", Ending.APPLIED)
    for ending in PASSING:
        assert followed(before, "b", ending).target(0) == "b"
    assert not PASSING & GOOD and not REJECTED & GOOD
