"""What is remembered of a file is what reading it again would say, whatever happened to it in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import RawIOBase
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core import fingerprints
from studio.load import recollection, witness
from studio.load.recollection import LEAST, file_digest, folder_digest, remembering
from tests import projects
from tests.cli.front_door import ask

LONG_AGO = 10**18
LARGE = b"weights " * LEAST
Edit = Callable[[Path], object]


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test has just written counts as left alone; only the tests of that very rule wait for its time."""
    monkeypatch.setattr(witness, "SETTLED", -LONG_AGO)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A large file of a project, in a folder of its own."""
    file = tmp_path / "desk/models/tiny/model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(LARGE)
    return file


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """One entry for each file that is really read."""
    found: list[int] = []
    real = fingerprints.stream_digest

    def counted(stream: RawIOBase) -> str:
        found.append(1)
        return real(stream)

    monkeypatch.setattr(fingerprints, "stream_digest", counted)
    yield found


def remembered(file: Path, environ: dict[str, str]) -> str:
    """The digest as a run with a memory says it."""
    with remembering(file.parents[2], environ):
        return file_digest(file)


def kept(environ: dict[str, str]) -> Path:
    (found,) = Path(environ["XDG_CACHE_HOME"]).rglob("*.json")
    return found


def test_a_large_file_is_read_once(file: Path, environ: dict[str, str], reads: list[int]) -> None:
    expected = fingerprints.file_digest(file)
    reads.clear()
    assert [remembered(file, environ) for _ in range(3)] == [expected] * 3
    assert len(reads) == 1


def test_without_a_memory_it_is_read_every_time(file: Path, reads: list[int]) -> None:
    assert file_digest(file) == file_digest(file)
    assert len(reads) == 2


def test_a_small_file_is_not_remembered(file: Path, environ: dict[str, str]) -> None:
    file.write_bytes(LARGE[: LEAST - 1])
    remembered(file, environ)
    assert not Path(environ["XDG_CACHE_HOME"]).exists()


def other(content: bytes) -> bytes:
    """Other content of the same length."""
    return content[::-1]


def put_back_the_time(file: Path, edit: Edit) -> None:
    before = file.stat()
    edit(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_a_rename(file: Path) -> None:
    fresh = file.with_name("fresh")
    fresh.write_bytes(other(LARGE))
    os.utime(fresh, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    fresh.rename(file)


def replaced_by_a_link(file: Path) -> None:
    fresh = file.with_name("fresh")
    fresh.write_bytes(other(LARGE))
    file.unlink()
    file.symlink_to(fresh.name)


def folders_swapped(file: Path) -> None:
    folder, fresh = file.parent, file.parent.with_name("fresh")
    fresh.mkdir()
    (fresh / file.name).write_bytes(other(LARGE))
    folder.rename(folder.with_name("old"))
    fresh.rename(folder)


EDITS: dict[str, Edit] = {
    "rewritten": lambda file: file.write_bytes(other(LARGE)),
    "rewritten in place, time put back": lambda file: put_back_the_time(
        file, lambda file: file.write_bytes(other(LARGE))
    ),
    "one byte written over, time put back": lambda file: put_back_the_time(
        file, lambda file: os.pwrite(os.open(file, os.O_WRONLY), b"W", 9)
    ),
    "replaced by a rename": replaced_by_a_rename,
    "replaced by a link": replaced_by_a_link,
    "its folder swapped": folders_swapped,
    "cut off": lambda file: os.truncate(file, LEAST + 1),
    "grown": lambda file: file.write_bytes(LARGE + b"more"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_after_an_edit_the_file_is_read_again(edit: Edit, file: Path, environ: dict[str, str]) -> None:
    before = remembered(file, environ)
    edit(file)
    after = fingerprints.file_digest(file)
    assert before != after == remembered(file, environ) == remembered(file, environ)


def test_what_has_just_changed_is_not_remembered(
    file: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change within one tick of a coarse clock leaves size and times as they are."""
    monkeypatch.setattr(witness, "SETTLED", 2_000_000_000)
    monkeypatch.setattr(recollection, "identity", lambda status: "the clock stands still")
    remembered(file, environ)
    file.write_bytes(other(LARGE))
    assert remembered(file, environ) == fingerprints.file_digest(file)


@pytest.mark.parametrize("edit", [EDITS["rewritten"], folders_swapped, replaced_by_a_rename])
def test_what_changes_while_it_is_read_is_not_remembered(
    edit: Edit, file: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fingerprints.stream_digest

    def disturbed(stream: RawIOBase) -> str:
        found = real(stream)
        edit(file)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(fingerprints, "stream_digest", disturbed)
        remembered(file, environ)
    assert remembered(file, environ) == fingerprints.file_digest(file)


happenings = st.lists(
    st.tuples(st.sampled_from(["write", "write, time put back", "rename", "link", "swap", "ask"]), st.integers(0, 2)),
    max_size=12,
)


@settings(max_examples=60)
@given(steps=happenings)
def test_whatever_happens_to_a_file_its_digest_is_right(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("swaps")
    file, environ = base / "desk/models/tiny/w", {"XDG_CACHE_HOME": str(base / "cache")}
    file.parent.mkdir(parents=True)
    file.write_bytes(LARGE)
    for number, (step, content) in enumerate(steps):
        fresh = bytes([content]) * len(LARGE)
        spare = file.with_name(f"spare{number}")
        match step:
            case "write":
                file.write_bytes(fresh)
            case "write, time put back":
                put_back_the_time(file, lambda file, fresh=fresh: file.write_bytes(fresh))  # type: ignore[misc]
            case "rename" | "link":
                spare.write_bytes(fresh)
                if step == "rename":
                    spare.rename(file)
                else:
                    file.unlink()
                    file.symlink_to(spare.name)
            case "swap":
                aside = file.parent.with_name(f"aside{number}")
                file.parent.rename(aside)
                file.parent.mkdir()
                file.write_bytes(fresh)
        assert remembered(file, environ) == fingerprints.file_digest(file)


# What is kept


def damaged(content: bytes) -> Iterator[bytes]:
    _, _, body = content.partition(b"\n")
    yield b""
    yield content[: len(content) // 2]
    yield content.replace(b"sha256", b"sha255")
    for files in (7, [7], [[]], [["a", "b"]], [["a", "b", 7]], {"a": 1}, None):
        forged = json.dumps({**json.loads(body), "files": files}).encode()
        yield recollection.cache._checksum(forged) + b"\n" + forged


def test_a_damaged_file_is_no_memory(file: Path, environ: dict[str, str], reads: list[int]) -> None:
    expected = remembered(file, environ)
    place = kept(environ)
    for content in damaged(place.read_bytes()):
        place.write_bytes(content)
        reads.clear()
        assert remembered(file, environ) == expected and len(reads) == 1


def test_a_file_that_others_may_write_is_no_memory(file: Path, environ: dict[str, str], reads: list[int]) -> None:
    remembered(file, environ)
    kept(environ).chmod(0o666)
    remembered(file, environ)
    assert len(reads) == 2


def test_changed_code_reads_again(
    file: Path, environ: dict[str, str], reads: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remembered(file, environ)
    (tmp_path / "package").mkdir()
    monkeypatch.setattr("studio.__file__", str(tmp_path / "package/__init__.py"))
    remembered(file, environ)
    assert len(reads) == 2


def test_where_nothing_can_be_written_the_answer_is_the_same(file: Path, environ: dict[str, str]) -> None:
    Path(environ["XDG_CACHE_HOME"]).write_text("a file in the way")
    assert remembered(file, environ) == fingerprints.file_digest(file)


def test_no_file_of_the_project_is_a_memory(file: Path) -> None:
    remembered(file, {"XDG_CACHE_HOME": str(file.parents[2] / ".cache")})
    assert not list(file.parents[2].rglob("*.json"))


def test_two_runs_at_once_lose_nothing(file: Path, environ: dict[str, str], reads: list[int]) -> None:
    second = file.with_name("second")
    second.write_bytes(other(LARGE))
    with remembering(file.parents[2], environ):
        file_digest(file)
        remembered(second, environ)  # another run, from beginning to end
    reads.clear()
    remembered(file, environ)
    remembered(second, environ)
    assert not reads


def test_many_processes_at_once_leave_a_memory_that_holds(file: Path, environ: dict[str, str]) -> None:
    for number in range(4):
        file.with_name(f"w{number}").write_bytes(bytes([number]) * len(LARGE))
    script = (
        "import os, sys; from pathlib import Path\n"
        "from studio.load import recollection, witness\n"
        f"witness.SETTLED = -{LONG_AGO}\n"
        "with recollection.remembering(Path(sys.argv[1]), os.environ):\n"
        "    print([recollection.file_digest(path) for path in sorted(Path(sys.argv[2]).iterdir())])\n"
    )
    command = [sys.executable, "-c", script, str(file.parents[2]), str(file.parent)]
    running = [
        subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    expected = str([fingerprints.file_digest(path) for path in sorted(file.parent.iterdir())])
    assert {process.communicate()[0].strip() for process in running} == {expected}
    with remembering(file.parents[2], environ):
        assert str([file_digest(path) for path in sorted(file.parent.iterdir())]) == expected


def test_what_is_gone_is_forgotten_and_the_latest_stay(
    file: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recollection, "MAX_FILES", 2)
    for name in ("a", "b", "c", "d"):
        path = file.with_name(name)
        path.write_bytes(LARGE)
        remembered(path, environ)
        if name == "c":
            path.unlink()
    names = [Path(path).name for path, *_ in json.loads(kept(environ).read_bytes().partition(b"\n")[2])["files"]]
    assert names == ["b", "d"]


def test_a_folder_has_the_digest_that_it_has_without_a_memory(file: Path, environ: dict[str, str]) -> None:
    files = {"w": file}
    with remembering(file.parents[2], environ):
        assert folder_digest(files) == folder_digest(files) == fingerprints.folder_digest(files)


# Through the front door


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose weights and data are large enough to be remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = projects.write(tmp_path / "desk", projects.data_resources())
    rows = "".join(f"my card number {n} is lost,card\n" for n in range(LEAST // 8))
    (root / "data/tickets.csv").write_text("text,queue\n" + rows)
    (root / "models/tiny/tokenizer.json").write_text(json.dumps({"model": {"vocab": ["word"] * LEAST}}))
    return root


def only_small(stream: RawIOBase, real: Callable[[RawIOBase], str] = fingerprints.stream_digest) -> str:
    assert os.fstat(stream.fileno()).st_size < LEAST
    return real(stream)


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_large_inputs_are_read_once_even_when_a_manifest_changes(
    command: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(root, command)
    monkeypatch.setattr(fingerprints, "stream_digest", only_small)
    monkeypatch.setattr("studio.load.datasets._csv", lambda *_: pytest.fail("rows were counted again"))
    with (root / "manifests/all.yaml").open("a") as stream:
        stream.write("\n# edited\n")
    assert ask(root, command) == first and first.code == 0


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_no_cache_reads_everything(command: str, root: Path, reads: list[int]) -> None:
    ask(root, command)
    before = len(reads)
    ask(root, command, "--no-cache")
    assert before and len(reads) == 2 * before


def test_what_is_applied_is_always_read(root: Path, reads: list[int]) -> None:
    ask(root, "plan")
    before = len(reads)
    ask(root, "apply", "--yes")
    assert before and len(reads) == 2 * before


def test_an_edit_of_data_shows_in_the_plan(root: Path) -> None:
    ask(root, "apply", "--yes")
    assert "up to date" in ask(root, "plan").out
    file = root / "data/tickets.csv"
    put_back_the_time(file, lambda file: file.write_text(file.read_text().replace("lost", "list")))
    assert "Dataset/tickets" in ask(root, "plan").out
