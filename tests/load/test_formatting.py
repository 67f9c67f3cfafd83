"""The canonical form of a manifest: what it looks like, and that nothing but white space ever changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.load.documents import parse
from studio.load.formatting import Unformattable, formatted
from studio.load.nodes import YamlFault
from tests.projects import ROOT

CORPUS = sorted(
    path
    for folder in ("examples", "manifests", "tests")
    for path in (ROOT / folder).rglob("*.y*ml")
    if ".studio" not in path.parts
)
OURS = [path for path in CORPUS if path.is_relative_to(ROOT / "examples") or path.is_relative_to(ROOT / "manifests")]

CASES = {
    "two spaces for each level": ("a:\n    b:\n        c: 1\n", "a:\n  b:\n    c: 1\n"),
    "lists stand below their key": ("a:\n- 1\n- b:  2\n  c: 3\n", "a:\n  - 1\n  - b: 2\n    c: 3\n"),
    "lists in lists": ("-   -  - a\n       - b\n", "- - - a\n    - b\n"),
    "one space after a colon and a dash": ("a :   1\nb:\n  -   2\n", "a: 1\nb:\n  - 2\n"),
    "brackets without padding": ("a: { b : 1,c: [ 1 ,2 ] }\n", "a: {b: 1, c: [1, 2]}\n"),
    "brackets keep their lines": ("a:   [1,\n      2]\n", "a: [1,\n    2]\n"),
    "a closing bracket may stand below its key": ("a: {\n b: 1\n}\n", "a: {\n  b: 1\n}\n"),
    "comments in brackets": ("a: [1,\n# c\n  2]  \n", "a: [1,\n  # c\n  2]\n"),
    "one blank line is enough": ("a: 1\n\n\n\nb: 2\n", "a: 1\n\nb: 2\n"),
    "no blank line at the ends": ("\n\na: 1\n\n---\n\nb: 2\n\n\n", "a: 1\n---\nb: 2\n"),
    "no blank line below a key": ("a:\n\n  b: 1\n", "a:\n  b: 1\n"),
    "a blank line after an empty value stays": ("a:\n\nb: 1\n", "a:\n\nb: 1\n"),
    "no white space at the end of a line": ("a: 1  \n# c \t\nb: 2\t\n", "a: 1\n# c\nb: 2\n"),
    "a line break at the end": ("a: 1", "a: 1\n"),
    "no line break that would join a value": ("a: |\n    b", "a: |\n  b"),
    "a comment stands with what it is about": (
        "a:\n- 1\n# two\n- 2\n# b\nb: 1\n", "a:\n  - 1\n  # two\n  - 2\n# b\nb: 1\n",
    ),
    "a comment at the end of a block": ("a:\n    b: 1\n    # end\nc: 2\n", "a:\n  b: 1\n  # end\nc: 2\n"),
    "a comment behind a value": ("a: 1 # c\n", "a: 1  # c\n"),
    "comments in a column stay there": ("a:  1     # x\nbb: 22    # y\n", "a: 1      # x\nbb: 22    # y\n"),
    "a comment goes on below": ("a: 1      # x\n          # y\nb: 2\n", "a: 1      # x\n          # y\nb: 2\n"),
    "comments between documents": ("a: 1\n  # x\n---\n  # y\nb: 2\n", "a: 1\n# x\n---\n# y\nb: 2\n"),
    "nothing but comments": ("\n  # a\n\n\n# b", "# a\n\n# b\n"),
    "empty documents": ("---\n\n---\n# c\n", "---\n---\n# c\n"),
    "document ends": ("a: 1\n... # end\nb: 2\n", "a: 1\n...  # end\nb: 2\n"),
    "a directive": ("%YAML 1.2\n---\n\na:   1\n", "%YAML 1.2\n---\na: 1\n"),
    "anchors and aliases": ("a: &x   {b: 1}\nc:   *x\nd: [*x , *x ]\n", "a: &x {b: 1}\nc: *x\nd: [*x , *x ]\n"),
    "an anchored block": ("a: &x\n    b: 1\n", "a: &x\n  b: 1\n"),
    "quotes stay": ("a:  'b'\nc: \"d\"\n", "a: 'b'\nc: \"d\"\n"),
    "numbers stay": ("a:  3.0e-3\nb: 0x1F\nc: ~\n", "a: 3.0e-3\nb: 0x1F\nc: ~\n"),
    "long text is not wrapped": (f"a:   {'word ' * 60}end\n", f"a: {'word ' * 60}end\n"),
    "text over several lines": ("a: 'x\n        y  \n\n    z'\n", "a: 'x\n  y\n\n  z'\n"),
    "an escaped line break": ('a: "x \\\n       \\ y\\ \n  z"\n', 'a: "x \\\n  \\ y\\ \n  z"\n'),
    "a literal": ("a: |\n     x  \n       y\n\n     z\n\n\nb: 1\n", "a: |\n  x  \n    y\n\n  z\n\nb: 1\n"),
    "a literal in a list": ("a:\n- |\n   x\n- >-\n   y\n", "a:\n  - |\n    x\n  - >-\n    y\n"),
    "a literal that keeps its end": ("a: |+\n   x\n\n\nb: 1\n", "a: |+\n  x\n\n\nb: 1\n"),
    "a literal with an indicator": ("a:\n- |2\n     x\n    y\n", "a:\n  - |2\n       x\n      y\n"),
    "a comment in a literal is text": ("a: |  # head \n   # x\n# out\n", "a: |  # head\n  # x\n# out\n"),
    "Windows line breaks": ("a: 1\r\nb: |\r\n   x\r\n   y\r\n", "a: 1\nb: |\n  x\n  y\n"),
    "old Mac line breaks": ("a: 1\rb:   2\r", "a: 1\nb: 2\n"),
    "tabs between tokens": ("a:\t1\t# c\nb: {c:\t1}\n", "a: 1  # c\nb: {c: 1}\n"),
    "a tab that is text": ("a: |\n    \tx\n    y\n", "a: |\n  \tx\n  y\n"),
    "Unicode": ("ключ:   значение   # ☃\n'😀':  1\n", "ключ: значение     # ☃\n'😀': 1\n"),
    "an explicit key": ("?   a\n:   b\n", "? a\n: b\n"),
    "JSON": ('{"a":1,"b":[1,2]}', '{"a": 1, "b": [1, 2]}\n'),
    "an empty file": ("", ""),
    "blank lines only": ("\n \n", "\n \n"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_canonical_form(case: str) -> None:
    before, after = CASES[case]
    assert formatted(before) == after
    assert_the_same(before, after)


@pytest.mark.parametrize("path", CORPUS, ids=[str(path.relative_to(ROOT)) for path in CORPUS])
def test_every_manifest_of_this_repository_keeps_its_values(path: Path) -> None:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        after = formatted(text)
    except (UnicodeDecodeError, YamlFault):
        wrong = ("tests/golden", "tests/rules/sample/hostile")  # on purpose
        assert any(path.is_relative_to(ROOT / folder) for folder in wrong)
        return
    assert_the_same(text, after)


@pytest.mark.parametrize("path", OURS, ids=[str(path.relative_to(ROOT)) for path in OURS])
def test_examples_and_shipped_manifests_are_canonical(path: Path) -> None:
    text = path.read_text("utf-8")
    assert formatted(text) == text, "run 'studio fmt'"


@pytest.mark.parametrize(
    ("text", "line"), [("a: [1\n", 2), ("a: 1\na: 2\n", 2), ("a: !!python/name:os x\n", 1), ("a: \x07\n", 1)]
)
def test_what_is_no_manifest_is_a_fault_with_its_place(text: str, line: int) -> None:
    with pytest.raises(YamlFault) as caught:
        formatted(text)
    assert caught.value.line == line


@pytest.mark.parametrize("text", ["# lost \u2028 a: b", "# lost \x85 - x\n", "a:\n  # lost \u2029  b: 1\n"])
def test_a_comment_that_ends_in_an_old_line_break_is_not_lost(text: str) -> None:
    with pytest.raises((Unformattable, YamlFault)):
        formatted(text)


def assert_the_same(before: str, after: str) -> None:
    assert repr(parse(before)) == repr(parse(after))
    assert "".join(before.split()) == "".join(after.split())
    assert formatted(after) == after


WORDS = st.sampled_from(
    ["a", "two words", "3", "3.0e-3", "true", "~", "'#no'", '"q\\n"', "'it''s'", "x#y", "é☃", "1:2", "-1", "''", "--"]
)  # fmt: skip


class Writer:
    """Writes random YAML as somebody in a hurry would: uneven indentation, spaces and comments everywhere."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.comments: list[str] = []

    def pick(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def comment(self) -> str:
        self.comments.append(f"# note {len(self.comments)}")
        return self.comments[-1]

    def end(self) -> str:
        return (
            self.pick("", "", "", " ", "   ") + "\n"
            if self.number(0, 3)
            else f"{' ' * self.number(1, 9)}{self.comment()}\n"
        )

    def between(self, indent: int) -> str:
        lines = [self.pick("", "", "  ") if self.number(0, 1) else " " * self.number(0, indent + 3) + self.comment()
                 for _ in range(max(0, self.number(-4, 3)))]  # fmt: skip
        return "".join(line + "\n" for line in lines)

    def word(self) -> str:
        return self.draw(WORDS)

    def flow(self, depth: int) -> str:
        shape = self.number(0, 2 if depth else 0)
        gap = lambda: self.pick("", " ", "  ")  # noqa: E731
        if shape == 0:
            return self.word()
        count = self.number(0, 3)
        if shape == 1:
            return "[" + ",".join(gap() + self.flow(depth - 1) + gap() for _ in range(count)) + "]"
        entries = [f"{gap()}k{at}{gap()}: {gap()}{self.flow(depth - 1)}{gap()}" for at in range(count)]
        return "{" + ",".join(entries) + "}"

    def literal(self, indent: int) -> str:
        header = self.pick("|", ">", "|-", ">-", "|+", "|2-" if indent == 0 else "|")
        deep = 2 if "2" in header else indent + self.number(1, 4)
        lines = [" " * deep + self.pick("text", "# text", "more  text  ", "x: y")]
        for _ in range(self.number(0, 3)):
            lines.append(self.pick("", " " * (deep + 2) + "deep", " " * deep + "- text", " " * deep + "end"))
        return f"{header}{self.pick('', ' ')}\n" + "".join(line + "\n" for line in lines)

    def block(self, indent: int, depth: int) -> str:
        sequence = self.number(0, 1)
        text = ""
        for at in range(self.number(1, 3)):
            head = "-" if sequence else f"key{at}{self.pick('', ' ')}:"
            text += (
                (self.between(indent) if at else "") + " " * indent + head + self.value(indent, depth, sequence == 1)
            )
        return text

    def value(self, indent: int, depth: int, entry: bool) -> str:
        shape = self.number(0, 4 if depth else 2)
        if shape == 0:
            return self.end()
        if shape == 1:
            return " " * self.number(1, 3) + self.flow(2) + self.end()
        if shape == 2:
            return f" {self.literal(indent)}"
        deeper = indent + self.number(1, 4)
        if entry and shape == 3:
            return " " * (deeper - indent) + self.block(deeper + 1, depth - 1).lstrip(" ")
        return self.end() + self.between(deeper) + self.block(deeper, depth - 1)

    def stream(self) -> str:
        documents = [self.between(0) + self.block(self.number(0, 2), 3) + self.between(2)
                     for _ in range(self.number(1, 3))]  # fmt: skip
        return "".join(f"---{self.end()}{document}" for document in documents)


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, list[str]]:
    writer = Writer(draw)
    return writer.stream(), writer.comments


@settings(max_examples=300)
@given(streams())
def test_random_manifests_keep_values_and_comments(written: tuple[str, list[str]]) -> None:
    text, comments = written
    try:
        parse(text)
    except YamlFault:
        return  # a literal took a comment for text, and the like
    after = formatted(text)
    assert_the_same(text, after)
    assert all(after.count(f"{comment}\n") + after.endswith(comment) >= 1 for comment in comments)
    assert text.count("#") == after.count("#")


@settings(max_examples=300)
@given(st.text(st.sampled_from("ab:-?[]{},#&*!|>'\"%\\ \t\n\r.0é\x85\u2028")), st.sampled_from(["", "a: 1\n", "- x\n"]))
def test_any_text_is_formatted_or_refused(text: str, before: str) -> None:
    try:
        after = formatted(before + text)
    except (YamlFault, Unformattable):
        return
    assert_the_same(before + text, after)
    assert not after.strip() or not [line for line in after.split("\n") if line.endswith("\r")]
