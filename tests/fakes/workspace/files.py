"""The files API. What its specification leaves open is as users have measured it on real workspaces:

names in a listing are relative to the folder that was asked for; the form field of an upload is *named* by where the
file goes, and an upload never replaces: ``notes.txt`` becomes ``notes(1).txt`` beside it, and the answer is 200. A
field named ``file``, which is what the generated client sends, goes by the name of the file.
"""

from __future__ import annotations

import shutil
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path, PurePosixPath

from tests.fakes.http import Answer, Request
from tests.fakes.workspace.facts import Record, record
from tests.fakes.workspace.refusal import Refusal

BASHRC = ".bashrc"
HOME = "/home/cdsw"
"""The project's folder, as it is called in a workload."""


def inside(folder: Path, path: str) -> Path:
    """The file that a path of the API means."""
    steps = PurePosixPath(path.removeprefix(f"{HOME}/").removeprefix(HOME) or ".")
    if steps.is_absolute() and path not in ("/", "//"):
        raise Refusal(400, f"path {path} is not relative to the project")
    if ".." in steps.parts or "\0" in path:
        raise Refusal(400, f"path {path} leaves the project")
    found = folder if path == "/" else folder / steps
    if not found.resolve().is_relative_to(folder.resolve()):
        raise Refusal(403, f"path {path} leaves the project")
    return found


def listing(folder: Path, path: str, *, hides_dots: bool = False) -> Record:
    """Names below a folder, with sizes in bytes. The project's own folder is a home, and has a shell's settings."""
    found = inside(folder, path)
    if not found.is_dir():
        raise Refusal(404, f"{path}: no such directory")
    infos = [info for each in sorted(found.iterdir()) if (info := _info(each)) is not None]
    if found == folder and not any(info["path"] == BASHRC for info in infos):
        infos.append(record("FileInfo", path=BASHRC, is_dir=False, file_size="0"))
    return {"files": [info for info in infos if not (hides_dots and info["path"].startswith("."))]}


def _info(path: Path) -> Record | None:
    """None for a file that went while the folder was read."""
    try:
        size = path.stat().st_size
    except OSError:
        return None
    return record("FileInfo", path=path.name, is_dir=path.is_dir(), file_size=str(size))


def download(folder: Path, path: str) -> Answer:
    found = inside(folder, path)
    if found.is_dir():
        raise Refusal(400, f"{path} is a directory")
    try:
        content = found.read_bytes()
    except OSError:
        raise Refusal(404, f"{path}: no such file") from None
    return Answer(200, {"Content-Type": "application/octet-stream"}, content)


def delete(folder: Path, path: str) -> Record:
    found = inside(folder, path)
    if found.is_dir() and not found.is_symlink():
        shutil.rmtree(found)
    elif found.exists() or found.is_symlink():
        found.unlink()
    else:
        raise Refusal(404, f"{path}: no such file or directory")
    return {}


def upload(folder: Path, request: Request) -> Record:
    """Every part of a multipart body becomes a file."""
    head = f"Content-Type: {request.headers.get('Content-Type', '')}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    if not message.is_multipart():
        raise Refusal(400, "request Content-Type isn't multipart/form-data")
    for part in message.iter_parts():
        name = str(part.get_param("name", "", "content-disposition"))
        destination = _free(inside(folder, part.get_filename("") if name == "file" else name))
        destination.parent.mkdir(parents=True, exist_ok=True)
        content = part.get_payload(decode=True)
        destination.write_bytes(content if isinstance(content, bytes) else b"")
    return {}


def _free(path: Path) -> Path:
    """The path itself, or the first numbered name beside it that is free."""
    found, number = path, 0
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}({number}){path.suffix}")
    return found
