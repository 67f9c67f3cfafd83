"""The house style, checked: layers, types, lint, and the habits that no tool knows."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import ROOT

MODULES = sorted([*(ROOT / "studio").rglob("*.py"), *(ROOT / "action").glob("*.py")])
SOURCES = [path for path in MODULES if "migrations" not in path.parts]
NAMES = [str(path.relative_to(ROOT)) for path in SOURCES]
LONGEST_FUNCTION, LONGEST_MODULE = 50, 300
HOMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}

TOOLS = {
    "lint-imports": ["lint-imports"],
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
}


@pytest.mark.parametrize(
    "tool", [pytest.param(tool, marks=pytest.mark.slow if tool == "mypy" else ()) for tool in TOOLS]
)
def test_a_tool_has_nothing_to_complain_of(tool: str) -> None:
    command = TOOLS[tool]
    found = shutil.which(command[0], path=str(Path(sys.executable).parent)) or shutil.which(command[0])
    if found is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([found, *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text("utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring: a rule's docstring is its page."""
    first = function.body[0]
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_no_function_and_no_module_is_too_long(path: Path) -> None:
    long = {each.name: body_length(each) for each in functions(path) if body_length(each) > LONGEST_FUNCTION}
    assert long == {}
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_no_module_swallows_every_exception(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = ast.unparse(node.type) if node.type else "BaseException"
        silent = all(isinstance(each, ast.Pass | ast.Continue) for each in node.body)
        assert not (silent and re.search(r"\b(Base)?Exception\b", caught)), f"line {node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_every_module_says_what_it_is_and_leaves_nothing_to_do(path: Path) -> None:
    text = path.read_text("utf-8")
    assert path.name == "__init__.py" or ast.get_docstring(ast.parse(text))
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)


def test_no_module_is_named_for_what_found_no_home() -> None:
    assert [path for path in MODULES if path.stem in HOMELESS] == []


def test_a_package_s_init_holds_a_table_or_nothing() -> None:
    for path in (path for path in SOURCES if path.name == "__init__.py"):
        tree = ast.parse(path.read_text("utf-8"))
        assert not [node for node in tree.body if isinstance(node, ast.For | ast.While | ast.With | ast.Try)], path


def test_no_test_is_without_an_assertion() -> None:
    bare = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for each in functions(path):
            if each.name.startswith("test_") and not asserts(each):
                bare.append(f"{path.relative_to(ROOT)}::{each.name}")
    assert bare == []


def asserts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """An assert statement, ``pytest.raises``, or a call of something whose name says that it asserts."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "pytest.raises" or re.search(r"(assert|expect|check|demand|validate)", name.rpartition(".")[2]):
                return True
    return False
