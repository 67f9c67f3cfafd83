"""What makes up a training script: read, never run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.load.scripts import LARGEST, MOST, sources


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_what_a_script_imports_from_its_own_folder_belongs_to_it(tmp_path: Path) -> None:
    files = {
        "scripts/train.py": "import json, torch, losses, up\nfrom pkg import deep as d\nfrom pkg.other.leaf import x",
        "scripts/losses.py": "def f():\n    import late",
        "scripts/late.py": "import train",
        "scripts/pkg/__init__.py": "from . import sibling",
        "scripts/pkg/sibling.py": "from .more import *\nfrom ..outside import y",
        "scripts/pkg/more.py": "",
        "scripts/pkg/deep.py": "",
        "scripts/pkg/unused.py": "",
        "scripts/pkg/other/leaf.py": "x = 1",
        "scripts/outside.py": "",
        "scripts/unused.py": "",
        "up.py": "",
        "losses.py": "",
    }
    found = sources(write(tmp_path, files), "scripts/train.py")
    assert not found.fault
    assert sorted(found.files) == [
        "scripts/late.py", "scripts/losses.py", "scripts/outside.py", "scripts/pkg/__init__.py", "scripts/pkg/deep.py",
        "scripts/pkg/more.py", "scripts/pkg/other/leaf.py", "scripts/pkg/sibling.py", "scripts/train.py",
    ]  # fmt: skip


def test_a_change_of_what_is_imported_is_a_change_of_the_script(tmp_path: Path) -> None:
    root = write(tmp_path, {"train.py": "import losses", "losses.py": "a = 1"})
    before = sources(root, "train.py").files
    write(tmp_path, {"losses.py": "a = 2"})
    after = sources(root, "train.py").files
    assert before["train.py"] == after["train.py"] and before["losses.py"] != after["losses.py"]


def test_a_module_counts_beside_a_folder_of_its_name_that_is_no_package(tmp_path: Path) -> None:
    root = write(tmp_path, {"train.py": "import data, pkg", "data.py": "a = 1", "data/rows.csv": "a"})
    write(root, {"pkg.py": "never imported", "pkg/__init__.py": ""})
    assert sorted(sources(root, "train.py").files) == ["data.py", "pkg/__init__.py", "train.py"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a = (\n", "train.py:1:5: '(' was never closed"),
        ("\n  x = 1", "train.py:2:"),
        ("x = '\0'", "train.py: source code string cannot contain null bytes"),
        ("-" * 100_000 + "1", "train.py"),
        ("#" * (LARGEST + 1), "train.py is larger than 1 MiB"),
        ("import broken", "broken.py:1:"),
    ],
)
def test_what_is_no_python_is_told_with_its_place(content: str, words: str, tmp_path: Path) -> None:
    root = write(tmp_path, {"train.py": content, "broken.py": "this is no Python"})
    assert sources(root, "train.py").fault.startswith(words)


def test_there_is_an_end_to_it(tmp_path: Path) -> None:
    modules = {f"m{number}.py": "" for number in range(MOST + 1)}
    every = "\n".join(f"import {name[:-3]}" for name in modules)
    assert f"more than {MOST} files" in sources(write(tmp_path, {**modules, "train.py": every}), "train.py").fault


def test_nothing_outside_the_project_is_looked_at(tmp_path: Path) -> None:
    root = (
        write(tmp_path, {"project/train.py": "from ...up import x\nimport linked", "up.py": "", "real.py": ""})
        / "project"
    )
    (root / "linked.py").symlink_to(tmp_path / "real.py")
    assert sorted(sources(root, "train.py").files) == ["train.py"]
    assert sources(root, "gone.py").files == {}


@given(st.binary(max_size=200))
def test_no_content_raises(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.getbasetemp()
    (root / "any.py").write_bytes(content)
    assert set(sources(root, "any.py").files) == {"any.py"}


@given(
    st.lists(st.sampled_from(["import a", "from . import b", "from .a import c", "from ..d import *", "import a.b.c"]))
)
def test_imports_in_circles_end(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    root = tmp_path_factory.getbasetemp() / "circles"
    text = "\n".join(lines)
    write(root, dict.fromkeys(("t.py", "a.py", "b.py", "c.py", "d.py", "a/b.py"), text))
    found = sources(root, "t.py")
    assert "t.py" in found.files and not found.fault
