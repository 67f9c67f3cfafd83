"""What the documentation site is made of besides ``docs/``: its start page, the changes, and the navigation.

The pages are written to be read in the repository too. Here their links are followed from where they lie there: a link
to another page stays a link, one to a file that the site does not have becomes plain text, and one to nothing stays as
it is, so that the strict build fails.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
ROOT = DOCS.parent
DESIGN = ("architecture.md", "decisions")
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s#]*)(#[^()\s]*)?\)")
_CODE = re.compile(r"(^ {0,3}(?P<fence>`{3,}|~{3,}).*?^ {0,3}(?P=fence)[`~]*\s*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_MERMAID = re.compile(r"^```mermaid\n.*?^```\n", re.MULTILINE | re.DOTALL)
_DOMAIN = re.compile(r"^## (?P<domain>[A-Z]+): (?P<title>.+)$", re.MULTILINE)
Nav = list[Any]


def sources() -> dict[str, str]:
    """Pages of the site that lie elsewhere in the repository: name in the site to name in the repository."""
    examples = sorted(path.parent.name for path in (ROOT / "examples").glob("*/README.md"))
    return {
        "index.md": "README.md",
        "changes.md": "CHANGELOG.md",
        **{f"examples/{name}.md": f"examples/{name}/README.md" for name in examples},
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the navigation from what is there."""
    reference = [{part.title(): pages(f"reference/{part}")} for part in ("kinds", "commands")]
    guides = [path.name for path in sorted(DOCS.glob("*.md")) if path.name not in DESIGN]
    config.nav = [
        {"Start": ["index.md", *(name for name in sources() if name.startswith("examples/"))]},
        {"Guides": guides},
        {"Rules": ["rules/README.md", *rules()]},
        {"Reference": ["reference/README.md", *reference]},
        {"Design": ["architecture.md", *pages("decisions"), "changes.md"]},
    ]
    return config


def pages(folder: str) -> Nav:
    """The pages in a folder of ``docs``, by name."""
    return [f"{folder}/{path.name}" for path in sorted((DOCS / folder).glob("*.md")) if path.name != "README.md"]


def rules() -> Nav:
    """One section a domain, in the order of the rules' own index."""
    index = (DOCS / "rules" / "README.md").read_text("utf-8")
    every = pages("rules")
    return [
        {found["title"]: [name for name in every if name.startswith(f"rules/{found['domain']}-")]}
        for found in _DOMAIN.finditer(index)
    ]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere."""
    for name, source in sources().items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Follow the page's links from where it lies in the repository."""
    name = page.file.src_uri
    source = sources().get(name, f"docs/{name}")
    markdown = _MERMAID.sub("", markdown)  # a site that draws these fetches a program from elsewhere
    parts = _CODE.split(markdown)  # text, code, its fence, text …
    texts = [_LINK.sub(lambda found: follow(found, source, name), text) for text in parts[::3]]
    codes = [*parts[1::3], ""]
    return "".join(text + code for text, code in zip(texts, codes, strict=True))


def follow(found: re.Match[str], source: str, page: str) -> str:
    """A link of the file ``source``, as it must be in the page ``page`` of the site."""
    text, target, anchor = found[1], found[2], found[3] or ""
    if not target or ":" in target or target.startswith("/"):
        return found[0]
    meant = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    in_site = {elsewhere: name for name, elsewhere in sources().items()}.get(meant)
    if in_site is None and meant.startswith("docs/") and (ROOT / meant).is_file():
        in_site = meant.removeprefix("docs/")
    if in_site:
        return f"[{text}]({posixpath.relpath(in_site, posixpath.dirname(page) or '.')}{anchor})"
    return text if (ROOT / meant).exists() and not meant.startswith("..") else found[0]
