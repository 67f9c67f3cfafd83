"""``studio fmt``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.cli.errors import Exit
from studio.core.errors import UsageError

if TYPE_CHECKING:
    from studio.load.problems import Problem

BOM = b"\xef\xbb\xbf"
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's text, and what it should be; ``fault`` says why it stays as it is."""

    name: str
    before: str
    after: str
    fault: str = ""
    hint: str = ""

    @property
    def changes(self) -> bool:
        return not self.fault and self.before != self.after


@click.command(epilog="Example: studio fmt --check --diff")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@options.folder
@click.option("--check", is_flag=True, help="Write nothing; list what would change and exit with 1 if there is any.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
def command(paths: tuple[str, ...], folder: Path, check: bool, diff: bool) -> int:
    """Lay out manifests and studio.yaml in the canonical form. Only white space changes.

    PATH is a file or folder of the project; without one, everything is formatted. A - reads standard input and prints
    the result. Values, comments, quotes and the order of keys stay as they are; a file of which that cannot be said
    for certain is left alone and reported.
    """
    if STDIN in paths:
        if len(paths) > 1:
            raise UsageError(
                "- stands alone: standard input cannot be mixed with files", "format them one after another"
            )
        return _filter(check, diff)
    root = options.root_of(folder)
    names = _named(root, paths) if paths else _everything(root)
    done = [0, 0, 0]
    for sheet in (_read(root, name) for name in names):
        written = sheet if check or diff else _write(root, sheet)
        _tell(written, check, diff)
        done[2 if written.fault else 1 if written.changes else 0] += 1
    click.echo(_summary(*done, dry=check or diff), err=diff)
    return Exit.FINDINGS if done[2] or (check and done[1]) else Exit.OK


def _everything(root: Path) -> list[str | Problem]:
    from studio.load import files
    from studio.load.files import SETTINGS_FILE
    from studio.load.project import load_project

    folders = load_project(root).settings.spec.manifests
    there = [each for each in folders if files.look(root, each) in (files.Place.FILE, files.Place.FOLDER)]
    names, closed = files.find(root, there)
    return [*dict.fromkeys([SETTINGS_FILE, *names]), *closed]


def _named(root: Path, paths: Iterable[str]) -> list[str | Problem]:
    """The files behind the arguments, relative to the working folder, and the folders among them that cannot be listed;
    raises UsageError before any is read."""
    if "" in paths:
        raise UsageError("a path is empty", "leave it out to format everything, or name a file or a folder")
    found: dict[str | Problem, None] = {}
    for path in paths:
        found.update(dict.fromkeys(_behind(root, path)))
    return list(found)


def _behind(root: Path, path: str) -> Iterator[str | Problem]:
    from studio.load import files

    whole = str(Path.cwd() / path)
    inside = files.inside(root, whole)
    place = files.look(root, whole)
    if inside is None:
        raise UsageError(f"{path!r} is outside the project {root}", "pass --project FOLDER for another project")
    if place is files.Place.MISSING:
        raise UsageError(f"there is no file {path!r}", "paths are relative to the folder you are in")
    name = inside.relative_to(root).as_posix()
    if place is files.Place.FOLDER:
        below, closed = files.find(root, [name])
        if not below and not closed:
            raise UsageError(f"the folder {path!r} holds no manifest", "manifests are files that end in .yaml or .yml")
        yield from below
        yield from closed
    elif name.endswith(files.SUFFIXES):
        yield name
    else:
        raise UsageError(f"{path!r} is not a manifest", "manifests are files that end in .yaml or .yml")


def _read(root: Path, name: str | Problem) -> Sheet:
    """``name`` may be the reason why a folder's files have none."""
    from studio.load import files
    from studio.load.problems import Problem

    if isinstance(name, Problem):
        return Sheet(name.source.file, "", "", name.message, name.hint)
    text = files.read_text(root, name)
    if isinstance(text, Problem):
        return Sheet(name, "", "", f"{name}: {text.message}", text.hint)
    with (root / name).open("rb") as stream:
        mark = "\ufeff" if stream.read(len(BOM)) == BOM else ""
    return _formatted(name, text, mark)


def _formatted(name: str, text: str, mark: str = "") -> Sheet:
    """``mark`` is a byte-order mark, which the canonical form does not have."""
    from studio.core.findings import Source
    from studio.load.formatting import Unformattable, formatted
    from studio.load.nodes import YamlFault
    from studio.load.readings import yaml_problem

    try:
        return Sheet(name, mark + text, formatted(text))
    except YamlFault as fault:
        problem = yaml_problem(fault, Source(name))
        return Sheet(name, text, text, f"{problem.position}: {problem.message}", problem.hint)
    except Unformattable as fault:
        where = f"{name}:{fault.line}:{fault.column}"
        return Sheet(name, text, text, f"{where}: left as it is: {fault.message}", "format this file by hand")


def _write(root: Path, sheet: Sheet) -> Sheet:
    from studio.core.atomic import write_atomically

    if sheet.changes:
        try:
            write_atomically((root / sheet.name).resolve(), sheet.after.encode())
        except OSError as error:
            return Sheet(sheet.name, "", "", f"{sheet.name}: cannot be written: {error.strerror}", "check its rights")
    return sheet


def _tell(sheet: Sheet, check: bool, diff: bool) -> None:
    from studio.report.plain import plain

    if sheet.fault:
        click.echo(
            f"{click.style('error:', fg='red', bold=True)} {plain(sheet.fault)}\n  {plain(sheet.hint)}", err=True
        )
    elif sheet.changes and diff:
        click.echo(_difference(sheet), nl=False)
    elif sheet.changes:
        click.echo(f"{'would format' if check else 'formatted'} {plain(sheet.name)}")


def _difference(sheet: Sheet) -> str:
    import difflib

    from studio.report.plain import difference, plain

    name = plain(sheet.name)
    before, after = sheet.before.split("\n"), sheet.after.split("\n")
    lines = list(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm=""))
    colors = {"-": "red", "+": "green", "@": "cyan"}
    return "".join(click.style(difference(line), fg=colors.get(line[:1])) + "\n" for line in lines)


def _summary(unchanged: int, changed: int, faulty: int, *, dry: bool) -> str:
    from studio.report.findings import plural

    parts = [plural(changed, "file") + (" would change" if dry else " formatted")] if changed else []
    parts += [f"{unchanged:,} in canonical form"] if unchanged else []
    parts += [f"{faulty:,} left as {'it is' if faulty == 1 else 'they are'}"] if faulty else []
    return ", ".join(parts) + "."


def _filter(check: bool, diff: bool) -> int:
    """Standard input to standard output, for editors; nothing is printed for a text that cannot be formatted."""
    from studio.load.files import MAX_BYTES

    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UsageError("standard input is too large for a manifest", f"manifests stop at {MAX_BYTES >> 20} MiB")
    try:
        sheet = _formatted("<stdin>", content.decode("utf-8-sig"), "\ufeff" if content.startswith(BOM) else "")
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    if sheet.fault or check or diff:
        _tell(sheet, check, diff)
        return Exit.FINDINGS if sheet.fault or (check and sheet.changes) else Exit.OK
    sys.stdout.buffer.write(sheet.after.encode())
    return Exit.OK
