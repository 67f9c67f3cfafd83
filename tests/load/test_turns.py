"""Conversations as previews and lengths see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.core.templates import parse
from studio.load import conversations, lengths, samples
from studio.load.turns import Said, Turns
from studio.resources.prompt import ChatFacts, PromptFacts

CHAT = [
    {"role": "system", "content": "Be kind"},
    {"role": "user", "content": "Who?"},
    {"role": "assistant", "content": "Ada."},
    {"role": "user", "content": "When?"},
    {"role": "assistant", "content": "1843"},
    {"role": "user", "content": "Thanks"},
]


@pytest.mark.parametrize(
    ("loss", "pair"),
    [
        ("completion", ("Be kind\nWho?\nAda.\nWhen?\n", "1843</s>")),
        ("assistant", ("Be kind\nWho?\n", "Ada.\nWhen?\n1843</s>")),
        ("full", ("", "Be kind\nWho?\nAda.\nWhen?\n1843</s>")),
    ],
)
def test_what_comes_before_the_first_turn_that_counts_is_shown_the_rest_is_learnt(
    loss: str, pair: tuple[str, str]
) -> None:
    assert Turns("chat", (), loss, "</s>").pair({"chat": CHAT}) == pair


def test_templates_make_turns_and_a_row_without_a_conversation_has_none() -> None:
    facts = PromptFacts("", "{text}", "{queue}", ChatFacts(system="Route {text}"))
    found = lengths.source(facts, "completion")
    said = found.said({"text": "lost", "queue": "card"})
    assert said == (Said("system", "Route lost", False), Said("user", "lost", False), Said("assistant", "card", True))
    assert [*found.columns()] == ["text", "text", "queue"]
    torn = Turns("chat", (), "completion", "</s>")
    assert torn.said({"chat": "hello"}) == () and torn.pair({"chat": None}) == ("", "")


def test_the_bound_is_never_below_what_is_said(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"chat": CHAT, "text": "größer"}) + "\n")
    known = samples.profile(path, "one", 1)
    assert known is not None
    for turns in (
        Turns("chat", (), "full"),
        Turns("", (("user", parse("{text} ")), ("assistant", parse("ok"))), "full"),
    ):
        row = {"chat": CHAT, "text": "größer"}
        assert turns.most(known) >= len("".join(turns.pair(row)).encode())


def test_rows_without_a_conversation_are_counted_and_the_first_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"chat": chat}) + "\n" for chat in (CHAT, *["x"] * 7, CHAT[:2])))
    found = conversations.faults(path, "data/rows.jsonl", "chat")
    assert found is not None and (found.bad, found.rows, len(found.told)) == (8, 9, conversations.MOST_TOLD)
    assert found.told[0][0] == "data/rows.jsonl:2: text in place of a list of turns"
    assert conversations.faults(tmp_path / "gone.jsonl", "gone", "chat") is None
