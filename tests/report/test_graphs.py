"""Pictures of what feeds what: complete, in one order, safe with any name, and fast however deep the graph."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.references import Ref
from studio.report import graphs, trees
from studio.report.graphs import Origin, Picture
from tests import projects
from tests.cli.front_door import ask


def stages(*pairs: tuple[str, str], cycles: tuple[tuple[Ref, ...], ...] = ()) -> Picture:
    """A picture from (what is needed, what needs it)."""
    names = sorted({name for pair in pairs for name in pair})
    needs = {Ref("Stage", name): {Ref("Stage", n): ("after",) for n, ref in pairs if ref == name} for name in names}
    return Picture(dict.fromkeys(needs, Origin.MANIFEST), needs, cycles)


def text(drawn: Picture, **options: object) -> list[str]:
    return click.unstyle(trees.to_text(drawn, **options)).splitlines()  # type: ignore[arg-type]


def test_a_node_is_shown_in_full_once_and_by_name_after_that() -> None:
    assert text(stages(("a", "b"), ("b", "c"), ("b", "d"))) == [
        "Stage/c", "└─ after: Stage/b", "   └─ after: Stage/a", "Stage/d", "└─ after: Stage/b (above)",
    ]  # fmt: skip


def test_what_lies_on_a_cycle_is_shown_too_and_the_cycle_is_named() -> None:
    assert text(stages(("a", "b"), ("b", "a"), ("x", "y"), ("z", "z"))) == [
        "Stage/y", "└─ after: Stage/x",
        "Stage/a", "└─ after: Stage/b", "   └─ after: Stage/a (cycle)",
        "Stage/z", "└─ after: Stage/z (cycle)",
    ]  # fmt: skip


def test_the_part_around_a_node_holds_what_it_needs_and_what_it_feeds() -> None:
    drawn = stages(("a", "b"), ("b", "c"), ("a", "d"), ("x", "c"))
    b = Ref("Stage", "b")
    assert [ref.name for ref in drawn.around(b, upstream=True, downstream=True).nodes] == ["a", "b", "c"]
    assert [ref.name for ref in drawn.around(b, upstream=True, downstream=False).nodes] == ["a", "b"]
    assert [ref.name for ref in drawn.around(b, upstream=False, downstream=True).nodes] == ["b", "c"]


def test_a_chain_of_ten_thousand_is_shown_in_pieces_without_wide_lines() -> None:
    deep = {Ref("Stage", f"{at:05}"): {Ref("Stage", f"{at + 1:05}"): ("after",)} for at in range(10_000)}
    drawn = Picture(dict.fromkeys([*deep, Ref("Stage", "10000")], Origin.MANIFEST), deep)
    for lines in (text(drawn), text(drawn, root=Ref("Stage", "00000")), text(drawn, downstream=True)):
        shown = [re.findall(r"Stage/(\d+)(?! \(below\))\b", line) for line in lines]
        assert max(map(len, lines)) < 200
        assert {name for names in shown for name in names} == {ref.name for ref in drawn.nodes}
        assert sum("(below)" in line for line in lines) == 10_000 // trees.DEEPEST - 1


def test_the_order_of_manifests_changes_nothing(tmp_path: Path) -> None:
    documents = projects.support_desk()
    first = projects.write(tmp_path / "first", documents)
    random.Random(1).shuffle(documents)
    second = projects.write(tmp_path / "second", documents)
    for form in ("tree", "dot", "mermaid", "json"):
        answer = ask(first, "graph", "--format", form)
        assert answer.code == 0 and answer == ask(second, "graph", "--format", form)


def test_json_names_each_node_once_and_edges_only_between_them(desk: Path) -> None:
    answer = json.loads(ask(desk, "graph", "--format", "json").out)
    names = [node["resource"] for node in answer["nodes"]]
    assert len(names) == len(set(names)) and answer["version"] == 1
    assert {edge[end] for edge in answer["edges"] for end in ("from", "to")} <= set(names)
    assert {node["resource"] for node in answer["nodes"] if node["origin"] == "produced"} == {"Adapter/router"}


NAMES = st.text(max_size=30)


@given(st.lists(NAMES, min_size=1, max_size=4, unique=True))
def test_no_name_leaves_its_place_in_any_format(names: list[str]) -> None:
    refs = [Ref("Model", name) for name in names]
    drawn = Picture(dict.fromkeys(refs, Origin.MISSING), {refs[0]: dict.fromkeys(refs[1:], ("spec",))})
    label = r'"[A-Za-z0-9 _./-]*(?:#\d+;[A-Za-z0-9 _./-]*)*"'
    mermaid = graphs.to_mermaid(drawn).split("\n")
    assert all(re.fullmatch(rf"  n\d+\[{label}\]", line) for line in mermaid[1 : len(refs) + 1])
    assert all(re.fullmatch(r"  n\d+ --> n\d+", line) for line in mermaid[len(refs) + 1 : -2])
    quoted = r'"(?:[^"\\\n]|\\["\\])*"'
    dot = graphs.to_dot(drawn).split("\n")
    assert all(re.fullmatch(rf"  {quoted}(?: -> {quoted})? \[.*\];", line) for line in dot[3:-1])
    assert len(text(drawn)) == len(refs)


def test_more_edges_than_github_draws_are_announced(tmp_path: Path) -> None:
    documents = [projects.manifest("Prompt", f"p{at}", {"dataset": "tickets"}) for at in range(501)]
    root = projects.write(tmp_path / "wide", [*projects.data_resources(), *documents])
    answer = ask(root, "graph", "--format", "mermaid")
    assert answer.code == 0 and "GitHub draws no graph of more than 500 edges" in answer.err
    assert ask(root, "graph", "p7", "--format", "mermaid", "--upstream").err == ""


@pytest.mark.parametrize("settings", ["spec: [", "kind: Prject", "spec: {manifests: [nowhere]}"])
def test_a_project_with_errors_has_a_graph_all_the_same(desk: Path, settings: str) -> None:
    (desk / "studio.yaml").write_text(settings)
    answer = ask(desk, "graph")
    assert answer.code == 0 and "The graph may lack something" in answer.err
