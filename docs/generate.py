"""Write everything that is generated: ``make generated``. ``--check`` writes nothing and fails when a file is stale."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from studio.cli.main import GROUPS
from studio.report import catalogue, commands, fields
from studio.report.published import published
from studio.report.schemas import PROJECT, schema_text, schemas
from studio.resources import KINDS
from studio.rules import base

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("docs/rules", "docs/reference/kinds", "docs/reference/commands")
"""Folders that hold nothing but generated files."""


def files() -> dict[str, str]:
    """Path in the repository to content."""
    found = {f"schemas/{name}": schema_text(schema) for name, schema in published().items()}
    rules = base.catalogue()
    found |= {f"docs/rules/{rule.id}.md": catalogue.rule_markdown(rule) for rule in rules}
    found["docs/rules/README.md"] = catalogue.index_markdown(rules)
    resolved = schemas()
    kinds = {kind: resolved[f"{kind}.schema.json"] for kind in KINDS} | {"Project": resolved[PROJECT]}
    found |= {f"docs/reference/kinds/{kind}.md": fields.kind_markdown(schema) for kind, schema in kinds.items()}
    for name in (name for group in GROUPS.values() for name in group):
        declared = importlib.import_module(f"studio.cli.{name}").command
        found[f"docs/reference/commands/{name}.md"] = commands.command_markdown(f"studio {name}", declared)
    abouts = {kind: schema["description"] for kind, schema in kinds.items()}
    return found | {"docs/reference/README.md": index(abouts)}


def index(kinds: dict[str, str]) -> str:
    """The table of contents of the reference."""
    parts = [
        "# Reference",
        "Kinds, fields and commands, as declared in the code. The rules are [here](../rules/README.md).",
    ]
    rows = [f"| [{kind}](kinds/{kind}.md) | {about} |" for kind, about in kinds.items()]
    parts += ["## Kinds", "\n".join(["| kind | what it is |", "|---|---|", *rows])]
    for title, group in GROUPS.items():
        rows = [f"| [studio {name}](commands/{name}.md) | {line} |" for name, line in group.items()]
        parts += [f"## {title}", "\n".join(["| command | what it does |", "|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def stale() -> list[str]:
    """Files that differ from what is generated now, are missing, or are generated no more."""
    wanted = files()
    there = {path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).glob("*")}
    found = there - set(wanted)
    found |= {name for name, text in wanted.items() if not _is(ROOT / name, text)}
    return sorted(found)


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def main() -> int:
    changed = stale()
    if "--check" in sys.argv:
        print("".join(f"{name} is stale: run 'make generated'\n" for name in changed), end="")
        return int(bool(changed))
    wanted = files()
    for name in changed:
        path = ROOT / name
        if name not in wanted:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted[name].encode())
    print(f"{len(changed)} of {len(wanted)} files written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
