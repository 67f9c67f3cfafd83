"""Reports: what they show, that they need nothing else, and that nothing in them is anything but text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.references import Ref
from studio.report import markdown_page
from studio.report.html import markup, writer
from studio.report.pages import project, resource
from studio.report.pages.document import Document
from studio.report.pages.view import Evidence, View
from studio.state.base import RunStatus

from . import hostile, scene

GOLDEN = Path(__file__).parent / "pages"
VOID, CLOSED = {"meta", "br", "col"}, {"line", "rect", "path", "circle", "polyline"}
TOKEN = "hf_" + "a1B2" * 8
MARKUP = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='x", "</style><style>*{}", "]]>",
    "</title>", "<!--", "-->", "&#x3c;script&#x3e;", "javascript:alert(1)", "\u202e", "\x00", "\ud800",
)  # fmt: skip


def document(ref: Ref | None, view: View, evidence: Evidence) -> Document:
    return resource.document(view, ref, evidence) if ref else project.document(view)


class Reader(HTMLParser):
    """Demands that every element is closed in its turn, and gathers what a page says and refers to."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in CLOSED
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)


ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "p", "h1", "h2", "span", "ul", "li", "nav", "main",
    "footer", "code", "section", "details", "summary", "dl", "dt", "dd", "div", "table", "caption", "thead", "tbody",
    "tr", "th", "td", "pre", "figure", "figcaption", "strong", "i", "svg", "g", "text", "line", "rect", "path",
    "circle", "polyline", "article",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "name", "content", "http-equiv", "class", "id", "href", "title", "tabindex", "role",
    "aria-label", "scope", "viewbox", "width", "height", "x", "y", "x1", "x2", "y1", "y2", "rx", "r", "cx", "cy", "d",
    "points", "transform", "text-anchor", "fill-opacity",
}  # fmt: skip


def demand_harmless(page: str) -> Reader:
    """Only known elements and attributes, links within the page, one id each, and the policy that allows nothing."""
    found = Reader(page)
    assert {tag for tag, _ in found.tags} <= ALLOWED
    assert {name for _, attributes in found.tags for name in attributes} <= ATTRIBUTES
    ids = [str(attributes["id"]) for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(attributes["href"]) for _, attributes in found.tags if "href" in attributes]
    assert {link[1:] for link in links} <= set(ids) and all(link.startswith("#") for link in links)
    policies = [a["content"] for _, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [markup.POLICY] and page.count("<style>") == 1
    return found


@pytest.mark.parametrize("ref", scene.PAGES, ids=str)
def test_a_page_is_whole_and_needs_nothing_else(ref: Ref | None) -> None:
    page = writer.write(document(ref, scene.view(), scene.evidence()))
    found = demand_harmless(page)
    assert page.startswith(markup.BEGINNING)
    assert [tag for tag, _ in found.tags].count("h1") == 1
    assert all(attributes.get("aria-label") for tag, attributes in found.tags if tag == "svg")
    assert all("scope" in attributes for tag, attributes in found.tags if tag == "th")
    assert page == writer.write(document(ref, scene.view(), scene.evidence()))


@pytest.mark.parametrize("ref", scene.PAGES, ids=str)
@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_any_text_stays_text(ref: Ref | None, text: str) -> None:
    found = demand_harmless(writer.write(document(ref, scene.view(text), scene.evidence(text))))
    assert markup._UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text) in "".join(found.words)


@given(hostile.words | st.text(st.sampled_from("<>&\"'/=`|\n x")))
def test_no_text_at_all_becomes_markup(text: str) -> None:
    for ref in (None, scene.TRAIN, scene.COMPARE, scene.RELEASE):
        told = document(ref, scene.view(text), scene.evidence(text))
        demand_harmless(writer.write(told)).close()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]", markdown_page.write(told))
        assert markdown_page.write(told).encode()


@pytest.mark.parametrize("ref", scene.PAGES, ids=str)
def test_secrets_are_hidden_whole_and_cut(ref: Ref | None) -> None:
    told = document(ref, scene.view(f" {TOKEN}"), scene.evidence(f" {TOKEN}"))
    for text in (writer.write(told), markdown_page.write(told)):
        assert TOKEN[:9] not in text and "hunter2" not in text and "***" in text


@given(
    st.lists(st.floats(), max_size=40), st.lists(st.floats(), min_size=2, max_size=2), st.integers(0, 3)
)  # fmt: skip
def test_a_chart_of_any_numbers_is_drawn_within_its_frame(values: list[float], ends: list[float], kind: int) -> None:
    from studio.report.html import bars, lines
    from studio.report.pages.document import Bar, BarChart, Line, LineChart

    points = [(float(number), value) for number, value in enumerate(values)]
    chart = LineChart("t", "u", [Line("a", points), Line("b", points[:1])], from_zero=bool(kind % 2))
    drawn = lines.chart(chart) + lines.small(points, "loss")
    drawn += bars.chart(BarChart("t", "u", [Bar(str(n), value, *ends) for n, value in enumerate(values)]))
    places = [
        float(number)
        for _, attributes in Reader(drawn).tags
        for name in ("points", "cx", "cy", "x1", "x2", "y1", "y2")
        for number in re.findall(r"[^\s,]+", str(attributes.get(name) or ""))
    ]
    assert all(-1 <= place <= 46 * 41 for place in places)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40), st.integers(1, 13)
)  # fmt: skip
def test_boxes_of_a_graph_never_overlap_and_all_are_in_it(pairs: list[tuple[int, int]], count: int) -> None:
    from studio.report.html import diagram
    from studio.report.pages.document import Diagram, Node

    nodes = [Node(f"n{number}", f"n{number}", "Config") for number in range(count)]
    drawn = Reader(diagram.chart(Diagram("t", nodes, [(f"n{a}", f"n{b}") for a, b in pairs])))
    boxes = [(float(str(a["x"])), float(str(a["y"]))) for tag, a in drawn.tags if tag == "rect"]
    (frame,) = [attributes for tag, attributes in drawn.tags if tag == "svg"]
    width, height = float(str(frame["width"])), float(str(frame["height"]))
    assert len(boxes) == count and all(x + diagram.BOX <= width and y + diagram.TALL <= height for x, y in boxes)
    for number, (x, y) in enumerate(boxes):
        for left, top in boxes[number + 1 :]:
            assert abs(x - left) >= diagram.BOX or abs(y - top) >= diagram.TALL


@pytest.mark.parametrize("name", ["project", "training", "evaluation", "export"])
def test_a_page_looks_as_it_always_did(name: str, update: bool) -> None:
    refs = {"project": None, "training": scene.TRAIN, "evaluation": scene.COMPARE, "export": scene.RELEASE}
    told = document(refs[name], scene.view(), scene.evidence())
    page = writer.write(told).replace(markup.STYLE, "").replace(markup.POLICY, "").replace("><", ">\n<")
    for suffix, text in ((".html", page), (".md", markdown_page.write(told))):
        expected = GOLDEN / f"{name}{suffix}"
        if update:
            expected.parent.mkdir(exist_ok=True)
            expected.write_text(text, "utf-8")
        assert text == expected.read_text("utf-8")


def test_files_that_are_gone_are_said_to_be_and_the_rest_is_shown() -> None:
    page = writer.write(document(scene.COMPARE, scene.view(), Evidence(who=("a", "b"), sheets=(None, None))))
    assert "The predictions are not on this disk any more" in page and "+0.5" in page
    assert "What the job was given is not on this disk" in page
    half = replace(scene.evidence(), sheets=(None, scene.evidence().sheets[1]), matrices=(None, None))
    page = writer.write(document(scene.COMPARE, scene.view(), half))
    assert "The predictions of 1 of 2 combinations are gone" in page and "The confusion matrix of tiny" in page


def test_rows_that_changed_come_first() -> None:
    page = writer.write(document(scene.COMPARE, scene.view(), scene.evidence()))
    order = re.findall(r'asked <span class="pill \w+">([a-z ]+)</span>', page)
    assert order == ["better"] * 5 + ["other answer"] * 5
    assert "10 rows: 5 better, 5 other answer" in page


def test_what_is_too_much_is_counted_and_not_shown() -> None:
    view = scene.view()
    many = {
        Ref("Config", f"c{number:03}"): replace(view.standings[scene.DATA], ref=Ref("Config", f"c{number:03}"))
        for number in range(project.MOST_ROWS + 1)
    }
    picture = replace(view.picture, nodes=dict.fromkeys(many, next(iter(view.picture.nodes.values()))))
    page = writer.write(project.document(replace(view, standings=many, picture=picture)))
    assert f"{len(many)} in all; the first {project.MOST_ROWS} are shown" in page
    assert "too many to draw" in page and len(page) < 200_000


def test_a_failed_job_says_why_and_one_never_applied_what_to_do() -> None:
    page = writer.write(document(scene.RELEASE, scene.view(), scene.evidence()))
    assert "What went wrong" in page and "broke\nbadly" in page
    assert "never applied: &#x27;studio plan&#x27;" in writer.write(document(scene.NEW, scene.view(), Evidence()))
    assert scene.view().runs[0].status is RunStatus.FAILED
