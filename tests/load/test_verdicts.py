"""A kept verdict is given again only while everything that it rests on is as it was."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.checking import validate
from studio.core.findings import OFFLINE
from studio.load import cache as cache_folder
from studio.load import files, verdicts, witness
from studio.load.project import load_project
from studio.load.verdicts import Shelf, Verdict
from tests import projects
from tests.cli.front_door import ask

LONG_AGO = 1_000_000_000
Edit = Callable[[Path], object]


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test has just written counts as left alone; only the tests of that very rule wait for its time."""
    monkeypatch.setattr(witness, "SETTLED", -LONG_AGO * LONG_AGO)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path, cache: Path) -> Path:
    """A project that looks at every kind of input: files, folders, links, and places where nothing is."""
    documents = [
        *projects.support_desk(),
        projects.manifest("Adapter", "mine", {"type": "project", "model": "tiny", "location": "adapters/mine"}),
        projects.manifest("Dataset", "saved", {"type": "project", "location": "data/saved"}),
        projects.manifest("Dataset", "linked", {"type": "project_csv", "location": "data/link.csv"}),
        projects.manifest("Dataset", "absent", {"type": "project_csv", "location": "data/absent.csv"}),
    ]
    root = projects.write(tmp_path / "desk", documents)
    shutil.copytree(root / "models" / "tiny", root / "adapters" / "mine")
    (root / "adapters/mine/adapter_config.json").write_text('{"r": 8, "peft_type": "LORA"}')
    shutil.copy(root / "models/tiny/model.safetensors", root / "adapters/mine/adapter_model.safetensors")
    (root / "data/saved/part").mkdir(parents=True)
    (root / "data/saved/part/rows.jsonl").write_text('{"a": 1}\n')
    (root / "data/other.csv").write_text("a,b\n1,2\n")
    (root / "data/link.csv").symlink_to("other.csv")
    (root / "manifests/deep/er").mkdir(parents=True)
    (root / "manifests/deep/er/config.yml").write_text(
        projects.stream([projects.manifest("Config", "deep", {"type": "lora_config", "config": projects.LORA})])
    )
    return root


@pytest.fixture
def sound(tmp_path: Path, cache: Path) -> Path:
    """A project without errors that runs no job."""
    return projects.write(tmp_path / "data-only", projects.data_resources())


def fresh(root: Path, environment: str | None = None) -> Verdict:
    """What a run without a memory says."""
    checked = validate(root, environment, OFFLINE)
    resources = {ref: manifest.source.file for ref, manifest in checked.loaded.manifests.items()}
    return Verdict(checked.findings, resources, checked.loaded.files)


def shelf(root: Path, environment: str | None = None) -> Shelf:
    found = verdicts.shelf(root, environment, os.environ)
    assert found is not None
    return found


def keep(root: Path, environment: str | None = None) -> Verdict:
    with witness.watching() as watching:
        verdict = fresh(root, environment)
        shelf(root, environment).keep(verdict, watching)
    return verdict


def test_an_untouched_project_gets_its_verdict_back_whole(root: Path) -> None:
    kept = keep(root)
    assert kept.findings and shelf(root).recall() == kept == fresh(root)


def rewrite(name: str, text: str) -> Edit:
    return lambda root: (root / name).write_text(text)


def same_size_and_time(root: Path) -> None:
    """As a careful forger would: content changed, size and time of change put back."""
    file = root / "data/tickets.csv"
    before = file.stat()
    content = file.read_bytes()
    file.write_bytes(content.replace(b"text,queue", b"text,queux"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_a_link(root: Path) -> None:
    file = root / "data/tickets.csv"
    file.rename(root / "data/moved.csv")
    file.symlink_to("moved.csv")


def moved_out_behind_a_link(root: Path) -> None:
    """Every file keeps its identity; only the way to it now leaves the project."""
    (root / "data").rename(root.parent / "outside")
    (root / "data").symlink_to("../outside")


EDITS: dict[str, Edit] = {
    "settings edited": rewrite("studio.yaml", projects.SETTINGS.replace("desk", "disk")),
    "settings gone": lambda root: (root / "studio.yaml").unlink(),
    "manifest edited": rewrite("manifests/deep/er/config.yml", "a: 1\n"),
    "manifest added": rewrite("manifests/deep/new.yaml", "a: 1\n"),
    "manifest added in a new folder": lambda root: shutil.copytree(root / "manifests/deep", root / "manifests/deeper"),
    "manifest removed": lambda root: (root / "manifests/deep/er/config.yml").unlink(),
    "manifest renamed": lambda root: (root / "manifests/deep/er/config.yml").rename(root / "manifests/deep/x.yml"),
    "manifest folder removed": lambda root: shutil.rmtree(root / "manifests/deep"),
    "manifest without rights": lambda root: (root / "manifests/deep/er/config.yml").chmod(0),
    "manifest replaced by a link": lambda root: (
        (root / "manifests/deep/er/config.yml").rename(root / "manifests/deep/kept"),
        (root / "manifests/deep/er/config.yml").symlink_to("../kept"),
    ),
    "data edited": rewrite("data/tickets.csv", "text,queue\nhello,card\n"),
    "data forged": same_size_and_time,
    "data gone": lambda root: (root / "data/tickets.csv").unlink(),
    "data replaced by a link": replaced_by_a_link,
    "data moved out behind a link": moved_out_behind_a_link,
    "absent data now there": rewrite("data/absent.csv", "a,b\n1,2\n"),
    "target of a link edited": rewrite("data/other.csv", "a,c\n1,2\n"),
    "link led elsewhere": lambda root: (
        (root / "data/link.csv").unlink(),
        (root / "data/link.csv").symlink_to("tickets.csv"),
    ),
    "saved data edited": rewrite("data/saved/part/rows.jsonl", '{"b": 1}\n'),
    "saved data added": rewrite("data/saved/part/more.jsonl", '{"b": 1}\n'),
    "saved data removed": lambda root: (root / "data/saved/part/rows.jsonl").unlink(),
    "weights cut off": lambda root: os.truncate(root / "models/tiny/model.safetensors", 9),
    "model's config edited": rewrite("models/tiny/config.json", "{}"),
    "model's tokenizer gone": lambda root: (root / "models/tiny/tokenizer.json").unlink(),
    "model folder emptied": lambda root: shutil.rmtree(root / "models/tiny"),
    "adapter's rank changed": rewrite("adapters/mine/adapter_config.json", '{"r": 4, "peft_type": "LORA"}'),
    "adapter's weights gone": lambda root: (root / "adapters/mine/adapter_model.safetensors").unlink(),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_after_an_edit_the_kept_verdict_is_not_given(edit: Edit, root: Path) -> None:
    keep(root)
    assert shelf(root).recall() is not None
    edit(root)
    assert shelf(root).recall() is None


def test_what_nobody_looked_at_may_change(root: Path) -> None:
    keep(root)
    (root / ".studio").mkdir()
    (root / "README.md").write_text("unrelated")
    (root / "notes").mkdir()
    (root / "notes/unrelated.csv").write_text("x")
    assert shelf(root).recall() is not None


def test_a_file_beside_one_that_is_missing_changes_its_hint(root: Path) -> None:
    keep(root)
    (root / "data/absen.csv").write_text("x")
    assert shelf(root).recall() is None


def test_what_has_just_changed_is_not_trusted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "SETTLED", 2_000_000_000)
    keep(root)
    assert shelf(root).recall() is None


def test_a_file_that_changes_under_the_run_spoils_its_testimony(root: Path) -> None:
    with witness.watching() as watching:
        verdict = fresh(root)
        (root / "data/tickets.csv").write_text("text,queue\nhello,card\n")
        fresh(root)
        shelf(root).keep(verdict, watching)
    assert watching.doubt and shelf(root).recall() is None


def test_each_environment_and_each_project_has_its_own_verdict(root: Path, tmp_path: Path) -> None:
    keep(root)
    other = tmp_path / "copy"
    shutil.copytree(root, other, symlinks=True)
    assert shelf(root, "default").recall() is None and shelf(other).recall() is None
    keep(root, "default")
    assert shelf(root).recall() and shelf(root, "default").recall()


# The kept file itself


def damaged(content: bytes) -> Iterator[bytes]:
    head, _, body = content.partition(b"\n")
    yield b""
    yield content[: len(content) // 2]
    yield content.replace(b'"findings":[', b'"findings":[[],', 1)
    yield b"[" * 100_000
    for forged in (
        b"[]",
        b"{}",
        b"null",
        body.replace(b'"looks":[', b'"looks":[7,', 1),
        b'{"question":' + b"[" * 50_000,
    ):
        yield cache_folder._checksum(forged) + b"\n" + forged
    yield head + b"\n" + body.replace(b"error", b"warni")


def test_a_damaged_or_forged_file_is_no_verdict(root: Path) -> None:
    keep(root)
    file = shelf(root).place.file
    for content in damaged(file.read_bytes()):
        file.write_bytes(content)
        assert shelf(root).recall() is None


def test_a_file_that_others_may_write_is_no_verdict(root: Path) -> None:
    keep(root)
    shelf(root).place.file.chmod(0o666)
    assert shelf(root).recall() is None


def test_only_the_user_may_read_what_is_kept(root: Path, cache: Path) -> None:
    keep(root)
    assert stat.S_IMODE(shelf(root).place.file.stat().st_mode) == 0o600
    assert [path.name for path in shelf(root).place.file.parent.iterdir()] == [shelf(root).place.file.name]


@pytest.mark.parametrize("base", ["", "relative", "{root}/.cache", "{root}/link"])
def test_no_folder_of_the_project_is_a_cache(base: str, root: Path) -> None:
    (root / "link").symlink_to(root / ".cache")
    environ = {"XDG_CACHE_HOME": base.format(root=root)} if base else {}
    assert verdicts.shelf(root, None, environ) is None


def test_where_nothing_can_be_written_nothing_is_kept_and_nothing_is_said(root: Path, cache: Path) -> None:
    cache.write_text("a file in the way")
    keep(root)
    assert shelf(root).recall() is None
    assert ask(root, "validate").code == 1


def test_another_version_of_studio_or_python_asks_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(root)
    with monkeypatch.context() as other:
        other.setattr("studio.__version__", "9.9")
        assert shelf(root).recall() is None
    with monkeypatch.context() as other:
        other.setattr(sys, "version", "4.0")
        assert shelf(root).recall() is None


def test_changed_code_asks_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr("studio.__file__", str(package / "__init__.py"))
    keep(root)
    assert shelf(root).recall() is not None
    (package / "new_rule.py").write_text("")
    assert shelf(root).recall() is None


def test_the_oldest_and_the_old_are_removed(root: Path) -> None:
    folder = shelf(root).place.file.parent
    folder.mkdir(parents=True)
    for number in range(cache_folder.MAX_KEPT + 5):
        old = folder / f"{number}.json"
        old.write_text("")
        os.utime(old, (time.time() - 1000 + number, time.time() - 1000 + number))
    ancient = folder / "ancient.json"
    ancient.write_text("")
    os.utime(ancient, (0, 0))
    keep(root)
    left = {path.name for path in folder.iterdir()}
    assert len(left) == cache_folder.MAX_KEPT and shelf(root).place.file.name in left
    assert not left & {"ancient.json", "0.json"}


# Through the front door


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github", "junit"])
def test_a_kept_verdict_prints_the_same_bytes_in_every_format(form: str, root: Path) -> None:
    again = ask(root, "validate", "--format", form, "--no-cache")
    assert not shelf(root).place.file.exists()
    first, second = (ask(root, "validate", "--format", form) for _ in range(2))
    assert shelf(root).recall() is not None
    assert first == second == again and first.code == 1


@pytest.mark.parametrize("form", [(), ("--json",), ("--markdown",)])
def test_a_plan_with_a_kept_verdict_prints_the_same_bytes(form: tuple[str, ...], sound: Path) -> None:
    again = ask(sound, "plan", *form, "--no-cache")
    assert not shelf(sound, "default").place.file.exists()
    first, second = (ask(sound, "plan", *form) for _ in range(2))
    assert shelf(sound, "default").recall() is not None
    assert first == second == again and first.code == 0


def test_plan_and_validate_of_one_environment_share_a_verdict(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(sound, "validate", "--env", "default")
    monkeypatch.setattr("studio.checking.check", lambda *_: pytest.fail("the rules ran"))
    assert ask(sound, "plan").code == 0


def test_what_is_applied_is_always_checked_in_full(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(sound, "plan")
    monkeypatch.setattr("studio.load.verdicts.Shelf.recall", lambda *_: pytest.fail("a kept verdict was asked for"))
    assert ask(sound, "apply", "--yes").code == 0


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_after_an_edit_plan_says_what_it_says_without_a_memory(edit: Edit, root: Path) -> None:
    for _ in range(2):  # the first keeps the verdict, the second what the files say
        ask(root, "plan")
    edit(root)
    assert ask(root, "plan") == ask(root, "plan") == ask(root, "plan", "--no-cache")


def test_a_verdict_on_what_came_after_this_runs_look_does_not_count(sound: Path) -> None:
    with witness.watching() as watching:
        load_project(sound, "default")
    (sound / "manifests/all.yaml").write_text("a: 1\n")
    keep(sound, "default")
    assert shelf(sound, "default").recall() is not None
    assert shelf(sound, "default").recall(watching) is None


def test_a_run_that_saw_something_change_takes_no_verdict(sound: Path) -> None:
    keep(sound, "default")
    with witness.watching() as watching:
        witness.doubt("somebody wrote meanwhile")
    assert shelf(sound, "default").recall() is not None
    assert shelf(sound, "default").recall(watching) is None


names = st.sampled_from(
    ["studio.yaml", "manifests/all.yaml", "manifests/new/x.yaml", "data/tickets.csv", "data/absent.csv"]
)
texts = st.sampled_from(["a: 1\n", "a,b\n1,2\n", projects.SETTINGS, "kind: Nothing\n", "", "\x00"])
edits = st.lists(st.tuples(names, st.one_of(st.none(), texts)), max_size=4)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits)
def test_whatever_is_edited_the_answer_is_that_of_a_run_without_memory(
    root: Path, edits: list[tuple[str, str | None]]
) -> None:
    for name, text in edits:
        file = root / name
        if text is None:
            file.unlink(missing_ok=True)
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        (root / "studio.yaml").touch()
        known = shelf(root).recall()
        assert known is None or known == fresh(root)
        assert keep(root) == shelf(root).recall()


# Completeness


AUDITED = ("open", "os.listdir", "os.scandir")


EXAMPLES = sorted(path.parent for path in projects.ROOT.glob("examples/*/studio.yaml"))
PROJECTS = ["desk", *(path.relative_to(projects.ROOT).as_posix() for path in EXAMPLES)]


@pytest.mark.parametrize("name", [*PROJECTS, "tests/rules/sample"])
def test_every_file_and_folder_that_a_run_opens_is_in_its_witness(name: str, root: Path, tmp_path: Path) -> None:
    if name != "desk":
        root = tmp_path / "example"
        shutil.copytree(projects.ROOT / name, root, ignore=shutil.ignore_patterns(".studio"))
    with audited() as opened, witness.watching() as watching:
        fresh(root)
    inside = {path for path in opened if path.startswith(str(root))}
    noted = {os.path.realpath(path) for path in watching.looks}
    assert len(inside) > 5 and inside <= noted, inside - noted


@contextmanager
def audited() -> Iterator[list[str]]:
    """Real paths of all files and folders that Python opens meanwhile. A hook cannot be taken back, only made deaf."""
    opened: list[str] = []
    listening = [True]

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event in AUDITED and isinstance(arguments[0], str | os.PathLike):
            opened.append(os.path.realpath(os.fspath(arguments[0])))

    sys.addaudithook(hear)
    try:
        yield opened
    finally:
        listening.clear()


def test_a_look_at_a_place_where_nothing_is_yet_is_in_the_witness(root: Path) -> None:
    with witness.watching() as watching:
        assert files.look(root, "out/put") is files.Place.MISSING
    seen = watching.testimony(watching.looks, watching.ways)
    assert witness.Witness().testimony(watching.looks, watching.ways) == seen
    (root / "out/put").mkdir(parents=True)
    assert witness.Witness().testimony(watching.looks, watching.ways) != seen
