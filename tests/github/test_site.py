"""The documentation site, built as it is published, and every link in it followed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from studio.rules.base import catalogue
from tests.projects import ROOT

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src"}
"""Tags that make a browser fetch something, and where they say what."""


@dataclass(slots=True)
class Page:
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)


class Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.page.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.page.links.append(found["href"])
        if tag in LOADED and LOADED[tag] in found and found.get("rel") != "canonical":
            self.page.loaded.append(found[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {}
    for path in sorted(site.rglob("*.html")):
        found[path] = Page()
        Reader(found[path]).feed(path.read_text("utf-8"))
    return found


def targets(path: Path, links: list[str]) -> Iterator[tuple[str, Path, str]]:
    """Links within the site: as written, the file they lead to, the place in it."""
    for link in links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        there = Path(os.path.normpath(path.parent / unquote(parts.path))) if parts.path else path
        yield link, there / "index.html" if there.is_dir() else there, unquote(parts.fragment)


@pytest.mark.slow
def test_every_link_leads_to_a_page_and_a_place_on_it(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links start at the address the site will have
            continue
        for link, there, anchor in targets(path, [*page.links, *page.loaded]):
            known = pages.get(there)
            if not there.is_file() or (anchor and known and anchor not in known.anchors):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    names = ["mkdocs.yml", "README.md", "CHANGELOG.md", "docs/site.py", "docs/architecture.md", "docs/rules/README.md",
             "docs/reference/README.md"]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "docs" / "guide.md").write_text(
        "# A guide\n\n[there](nowhere.md) [here](architecture.md#no-such-place)\n"
    )
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr and "no-such-place" in done.stderr


def test_every_rule_has_a_page_that_its_index_leads_to(site: Path, pages: dict[Path, Page]) -> None:
    index = site / "rules" / "index.html"
    linked = {there for _, there, _ in targets(index, pages[index].links)}
    for rule in catalogue():
        page = site / "rules" / rule.id / "index.html"
        assert page in linked, rule.id
        assert rule.id in page.read_text("utf-8")


def test_a_reader_s_browser_fetches_nothing_from_elsewhere(pages: dict[Path, Page]) -> None:
    assert [each for page in pages.values() for each in page.loaded if urlsplit(each).netloc] == []


def test_what_is_written_can_be_found(site: Path) -> None:
    found = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    assert any("adapter" in each["text"] for each in found) and len(found) > len(list(catalogue()))


def test_every_page_of_the_repository_is_in_the_navigation(site: Path, pages: dict[Path, Page]) -> None:
    linked = {there for path, page in pages.items() for _, there, _ in targets(path, page.links)}
    for source in sorted((ROOT / "docs").rglob("*.md")):
        name = source.relative_to(ROOT / "docs").with_suffix("")
        there = site / (name.parent if name.name == "README" else name) / "index.html"
        assert there in linked, source


def test_lists_and_tables_are_written_so_that_both_renderings_show_them() -> None:
    """A list right below a paragraph is one on GitHub and running text on the site."""
    wrong = []
    for source in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = re.sub(r"^(`{3,}).*?^\1$", "", source.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        lines = text.splitlines()
        for before, line in pairwise(lines):
            starts = re.match(r"(- |\d+\. |\| )", line)
            if starts and before.strip() and not re.match(r"(\s|- |\d+\. |\|)", before):
                wrong.append(f"{source.relative_to(ROOT)}: {line}")
    assert wrong == []
