"""Findings whose words somebody chose with bad intent, for the property tests of the formats."""

from __future__ import annotations

from hypothesis import strategies as st

from studio.core.findings import Finding, Position, Severity
from studio.core.references import Ref

ATTACKS = (
    "\n::error::injected", "\r::set-output name=x::y", "##[add-mask]x", "::stop-commands::x", "%0A::debug::x",
    "a,b:c=d", "]]>", "</failure>", "&amp;", "\x00", "\ud800", "\uffff", "\u2028", "\x1b[2J", "[x](http://evil.example)",
    "{0}", "",
)  # fmt: skip
words = st.one_of(st.sampled_from(ATTACKS), st.text(max_size=20), st.text(st.characters(codec=None), max_size=8))
"""Also with characters that no encoding can write."""

refs = st.builds(Ref, st.sampled_from(["Model", "Prompt"]), words)
findings = st.builds(
    Finding,
    rule=st.sampled_from(["FT-002", "SEC-001", "MF-002", "CF-004"]),
    severity=st.sampled_from(Severity),
    message=words,
    hint=words,
    resource=st.none() | refs,
    path=st.lists(words | st.integers(0, 9), max_size=3).map(tuple),
    position=st.none() | st.builds(Position, words, st.integers(1, 10**6), st.integers(1, 500)),
)
many = st.lists(findings, max_size=40)
