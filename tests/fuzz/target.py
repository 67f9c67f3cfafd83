"""One case: a project tree is written and everything that reads it is run. Whatever it holds, nothing may go wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree

from studio import checking
from studio.core.errors import StudioError, UsageError
from studio.core.findings import OFFLINE
from studio.load.documents import parse
from studio.load.formatting import Unformattable, formatted
from studio.load.nodes import YamlFault
from studio.plan.actions import to_json
from studio.report import plans
from studio.report.formats import FORMATS, Validation
from studio.report.markdown import MAX_CHARACTERS, plan_to_markdown
from studio.workflow import planning
from tests.fuzz.strategies import Special

CPU_SECONDS = 5.0
"""For one case. A valid project of this size takes a hundredth of it."""
WALL_SECONDS = 120
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")
"""What would command a terminal."""


class TooSlowError(Exception):
    """A case that does not come to an end."""


@contextmanager
def bounded() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlowError(f"no end after {WALL_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(WALL_SECONDS)
    start = time.process_time()
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    spent = time.process_time() - start
    if spent > CPU_SECONDS:
        raise TooSlowError(f"{spent:.1f} s of CPU")


def grow(root: Path, files: Mapping[str, bytes], specials: Mapping[str, str]) -> None:
    """Write the tree anew."""
    shutil.rmtree(root, ignore_errors=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name, special in specials.items():
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        _plant(path, special)


def _plant(path: Path, special: str) -> None:
    match special:
        case Special.LOOP:
            path.symlink_to("..")
        case Special.OUTSIDE:
            path.symlink_to("/etc/passwd")
        case Special.ITSELF:
            path.symlink_to(path.name)
        case Special.DANGLING:
            path.symlink_to("nowhere")
        case Special.FOLDER:
            path.mkdir()
        case _:
            os.mkfifo(path)


def check_tree(root: Path, files: Mapping[str, bytes], specials: Mapping[str, str]) -> None:
    """Validate, report in every form, and plan; raises for anything that a user must never see."""
    grow(root, files, specials)
    with bounded():
        try:
            checked = checking.validate(root, None, OFFLINE)
        except UsageError:
            return
        resources = {ref: manifest.source.file for ref, manifest in checked.loaded.manifests.items()}
        report = Validation(root, "all", checked.findings, resources, checked.loaded.files)
        for form in ("text", "json", sorted(FORMATS)[sum(map(len, files.values())) % len(FORMATS)]):
            check_report(form, FORMATS[form](report))
        check_plan(root)


def check_report(form: str, text: str) -> None:
    unsafe = _COMMANDS.search(re.sub("\x1b\\[[0-9;]*m", "", text))
    assert unsafe is None, (form, text[max(0, unsafe.start() - 200) : unsafe.end() + 50])
    match form:
        case "json" | "sarif":
            json.loads(text, parse_constant=lambda name: (_ for _ in ()).throw(AssertionError(name)))
        case "junit":
            ElementTree.fromstring(text.encode())


def check_plan(root: Path) -> None:
    try:
        planned = planning.plan(root, "default")
    except StudioError:
        return
    if isinstance(planned, planning.Planned):
        json.dumps(to_json(planned.plan), allow_nan=False)
        check_report("text", plans.to_text(planned.plan, planned.desire, color=False))
        assert len(plan_to_markdown(planned.plan, planned.checked.findings)) <= MAX_CHARACTERS


def check_text(text: str) -> None:
    """Parse and lay out one text: values or a fault with its place, and formatting never changes a value."""
    with bounded():
        try:
            values = parse(text)
        except YamlFault as fault:
            assert fault.line >= 1 and fault.column >= 1 and fault.message
            return
        try:
            again = formatted(text)
        except (Unformattable, YamlFault):
            return
        assert repr(parse(again)) == repr(values)
        assert formatted(again) == again
