"""Beacons: names that cannot be mistaken, and contents that nobody has to trust."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core import beacons
from studio.core.beacons import Beacon, Ended
from studio.core.event import Event

KEYS = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,117}", fullmatch=True)
BEACONS = st.builds(Beacon, KEYS, st.integers(1, 999_999), st.integers(0, 9999), st.booleans())


@given(BEACONS)
def test_a_name_says_which_attempt_of_which_part_and_whether_it_ended(beacon: Beacon) -> None:
    assert beacons.parse(beacon.name) == beacon
    assert beacon.path == f".studio/beacons/{beacon.name}" and len(beacon.name) < 255


@given(BEACONS, BEACONS)
def test_two_beacons_never_share_a_name(one: Beacon, other: Beacon) -> None:
    assert (one.name == other.name) is (one == other)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "job",
        "job@",
        "@1",
        "job@0",
        "job@01",
        "job@-1",
        "job@1.part-0",
        "job@1.part-01",
        "job@1.part-2.ended.ended",
        "job@1.ENDED",
        "job@1.ended\n",
        "job@1 ",
        "../job@1",
        "a/b@1",
        ".job@1.77",
        ".job@1",
        "job@٣",
        "jöb@1",
        "job@1@2",
        "job@9999999999",
        f"{'k' * 300}@1",
    ],
)
def test_a_name_that_no_job_gives_is_no_beacon(name: str) -> None:
    assert beacons.parse(name) is None


@given(st.text())
def test_any_text_is_a_beacons_name_or_none(name: str) -> None:
    found = beacons.parse(name)
    assert found is None or found.name == name


def test_an_event_is_heard_as_it_was_told() -> None:
    event = Event(time=7.5, phase="train", step=3, total=9, loss=0.25)
    assert beacons.heard(beacons.told(event)) == event


def test_a_long_message_is_cut_so_that_a_beacon_stays_small() -> None:
    heard = beacons.heard(beacons.told(Event(time=1.0, phase="load", message="é" * 10**6)))
    assert heard is not None and heard.message == "é" * beacons.LONGEST_MESSAGE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"time": 1}',
        b'{"time": NaN, "phase": "train"}',
        b'{"time": Infinity, "phase": "train"}',
        b'{"time": 1, "phase": "train", "step": "many"}',
        b'{"time": 1, "phase": "train", "shell": "rm"}',
        b'{"time": 1, "phase": "train", "message": "' + b"x" * beacons.LARGEST_BYTES + b'"}',
        b"[" * 10_000,
    ],
)
def test_content_that_no_job_leaves_says_nothing(content: bytes) -> None:
    assert beacons.heard(content) is None and beacons.heard_end(content) is None


@given(st.binary())
def test_any_bytes_are_an_event_or_none(content: bytes) -> None:
    assert beacons.heard(content) is None or b"phase" in content


@pytest.mark.parametrize("ended", [Ended(code=0), Ended(code=-9), Ended(code=143, cancelled=True)])
def test_an_end_is_heard_as_it_was_told(ended: Ended) -> None:
    assert beacons.heard_end(beacons.told_end(ended)) == ended


@pytest.mark.parametrize("said", [{"code": 1.5}, {"code": 10**9}, {"code": -(10**9)}, {}, {"code": 0, "why": ""}])
def test_an_end_that_no_process_has_says_nothing(said: dict[str, Any]) -> None:
    assert beacons.heard_end(json.dumps(said).encode()) is None
