"""Golden folders: a project, the commands, and what they print. ``pytest --update`` writes what is printed now.

``golden/<case>/command`` holds one command a line; everything else but ``expected.txt`` is the project, copied before
the commands run in it. Times, ids and people are masked; everything else is compared to the letter.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.projects import ROOT

from .front_door import ask

GOLDEN = ROOT / "tests" / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if (folder / "command").exists())
MASKS = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "{uuid}"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "{time}"),
    (r"(Last \w+ by) \S+?( at [0-9a-f]{12})?:", r"\1 {actor}:"),
    (r'"commit": ".*?"', '"commit": "{commit}"'),
    (r"^  commit .*\n", ""),
)


def transcript(root: Path, commands: str) -> str:
    """What a user sees: each command, what it prints, and its exit code."""
    shown = []
    for line in filter(None, commands.splitlines()):
        answer = ask(root, *shlex.split(line)[1:])
        shown.append(f"$ {line}\n{answer.out}{answer.err}[{answer.code}]\n")
    text = "\n".join(shown).replace(str(root), "{root}")
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text, flags=re.MULTILINE)
    return text


@pytest.mark.parametrize("case", CASES)
def test_a_command_prints_what_it_always_printed(
    tmp_path: Path, case: str, update: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GITHUB_SHA", "GITHUB_ACTOR", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)
    root = tmp_path / case
    shutil.copytree(GOLDEN / case, root, ignore=shutil.ignore_patterns("command", "expected.txt"), symlinks=True)
    printed = transcript(root, (GOLDEN / case / "command").read_text("utf-8"))
    expected = GOLDEN / case / "expected.txt"
    if update:
        expected.write_text(printed, "utf-8")
    assert printed == expected.read_text("utf-8")
