"""A training script of the project, and the modules of the project that it imports: read as text, never run.

Python puts the folder of a script first among the places where it looks for modules. What an ``import`` finds there
belongs to the script; what it finds nowhere in the project is a library.
"""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from studio.load.files import Place, inside, look

LARGEST = 1 << 20
"""Bytes of a file that is still read as a script."""
MOST = 1000
"""Files of one script."""
SHARES = re.compile(rb"\b(?:(?:LOCAL_)?RANK|WORLD_SIZE|distributed|accelerate|deepspeed|\w{0,60}Trainer)\b")
"""What is in the text of a script that knows of other workers: by itself, or by a library that shares the rows."""
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What the parser raises: for wrong text, NUL characters, and nesting without end."""


@dataclass(slots=True)
class Sources:
    """Project-relative name to SHA-256 of each file that makes up a script; ``fault`` says where one is no Python."""

    files: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    shares: bool = False
    """Whether anything in them may have to do with other workers."""


def sources(root: Path, script: str) -> Sources:
    """The script and all that it imports from its own folder; empty when the script is not there."""
    found, top = Sources(), PurePosixPath(script).parent
    pending = [PurePosixPath(script)]
    while pending:
        name = str(pending.pop())
        if name in found.files or look(root, name) is not Place.FILE:
            continue
        if len(found.files) == MOST:
            found.fault = f"{script} and what it imports are more than {MOST} files"
            return found
        tree = _parsed(root, name, found)
        if tree is not None:
            pending += _imported(root, PurePosixPath(name), top, tree)
    return found


def _parsed(root: Path, name: str, found: Sources) -> ast.Module | None:
    path = inside(root, name)
    if path is None:
        return None
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
            hashed = hashlib.sha256(content)
            while block := stream.read(LARGEST):
                hashed.update(block)
    except OSError as error:
        found.files[name] = ""
        found.fault = found.fault or f"{name} cannot be read: {error.strerror}"
        return None
    found.files[name] = hashed.hexdigest()
    found.shares = found.shares or SHARES.search(content) is not None
    if len(content) > LARGEST:
        found.fault = found.fault or f"{name} is larger than {LARGEST >> 20} MiB"
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(content, filename=name)
    except UNREADABLE as error:
        found.fault = found.fault or _where(name, error)
        return None


def _where(name: str, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{name}:{error.lineno}:{error.offset or 1}: {error.msg}"
    return f"{name}: {error or 'nested too deeply'}"


def _imported(root: Path, file: PurePosixPath, top: PurePosixPath, tree: ast.Module) -> Iterator[PurePosixPath]:
    """Names of files in the project that the import statements of one file may mean."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(root, top, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = (file, *file.parents)[min(node.level, len(file.parents))] if node.level else top
            module = node.module.split(".") if node.module else []
            yield from _files(root, base, module)
            for alias in node.names:
                yield from _files(root, base, [*module, alias.name])


def _files(root: Path, base: PurePosixPath, parts: list[str]) -> Iterator[PurePosixPath]:
    """``a.b`` is the package ``a`` and in it the module or package ``b``."""
    for length in range(1, len(parts) + 1):
        module = base.joinpath(*parts[:length])
        file, package = module.with_name(f"{module.name}.py"), module / "__init__.py"
        if look(root, str(module)) is not Place.FOLDER:
            yield file
            return
        yield package
        # A folder without __init__.py gives way to a module of the same name.
        if look(root, str(package)) is not Place.FILE and look(root, str(file)) is Place.FILE:
            yield file
            return
