"""What holds for every project, replayed over examples, valid golden projects and generated ones."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.checking import Checked
from studio.core.errors import StudioError
from studio.core.references import Ref
from studio.plan.actions import to_json
from studio.state.base import Record
from studio.workflow import planning
from tests.cli.front_door import ask, environment
from tests.invariants.applying import OURS, counting
from tests.invariants.watch import CACHE, LOG
from tests.invariants.worlds import World, layouts, worlds
from tests.projects import ROOT, snapshot

EXAMPLES = sorted(str(path.parent.relative_to(ROOT)) for path in (ROOT / "examples").glob("*/studio.yaml"))
FEW, MANY = settings(max_examples=6), settings(max_examples=60)


def plan(root: Path) -> dict[str, Any]:
    """The plan's JSON form; the project must be without a fault."""
    planned = planning.plan(root, "default")
    assert not isinstance(planned, Checked), planned.errors
    return to_json(planned.plan)


def pending(content: dict[str, Any]) -> list[str]:
    return [f"{each['action']} {each['resource']}" for each in content["actions"] if each["action"] != "none"]


@contextmanager
def folder(world: World | None = None) -> Iterator[Path]:
    """A project's folder; hypothesis runs many cases in one test, so a fixture's would be shared."""
    with tempfile.TemporaryDirectory() as name:
        yield world.write(Path(name) / "project") if world else Path(name)


def check_empty_after_apply(root: Path) -> None:
    with counting(root) as backend:
        before = plan(root)
        done = ask(root, "apply", "--yes")
        assert done.code == 0, done.out + done.err
        assert pending(plan(root)) == []
        keys = [key for key, _ in backend.submissions]
        assert len(set(keys)) == len(keys)
        assert str(root) not in json.dumps(before) + json.dumps(plan(root)), "a plan is the same on every machine"
        again = ask(root, "apply", "--yes")
        assert (again.code, len(backend.submissions)) == (0, len(keys))


@cache
def valid_golden() -> tuple[Path, ...]:
    """The golden projects that can be planned."""
    found = []
    for file in sorted((ROOT / "tests" / "golden").glob("*/studio.yaml")):
        with suppress(StudioError):
            if isinstance(planning.plan(file.parent, "default"), planning.Planned):
                found.append(file.parent)
    assert len(found) > 10
    return tuple(found)


@pytest.mark.parametrize("name", EXAMPLES)
def test_after_apply_the_plan_of_an_example_is_empty(tmp_path: Path, name: str) -> None:
    check_empty_after_apply(Path(shutil.copytree(ROOT / name, tmp_path / "project", ignore=OURS)))


def test_after_apply_the_plan_of_a_golden_project_is_empty(tmp_path: Path) -> None:
    for source in valid_golden():
        check_empty_after_apply(Path(shutil.copytree(source, tmp_path / source.name, ignore=OURS, symlinks=True)))


@FEW
@given(world=worlds())
def test_after_apply_the_plan_of_any_project_is_empty(world: World) -> None:
    with folder(world) as root:
        check_empty_after_apply(root)


def check_taken_away_once(root: Path, *command: str) -> None:
    """Take all away, twice: the second time there is nothing to do. What is protected stays, with what it needs."""
    with counting(root) as backend:
        assert ask(root, "apply", "--yes").code == 0
        before = recorded(root)
        assert ask(root, *command).code == 0
        after, submitted = recorded(root), len(backend.submissions)
        guarded = {ref for ref, record in before.items() if record.metadata.get("protect")}
        assert guarded <= after.keys() <= before.keys() and bool(after) == bool(guarded)
        assert ask(root, *command).code == 0
        assert (recorded(root), len(backend.submissions)) == (after, submitted)


def recorded(root: Path) -> dict[Ref, Record]:
    planned = planning.plan(root, "default")
    assert not isinstance(planned, Checked)
    return dict(planned.state.records())


def check_destroy_and_prune(world: World) -> None:
    with folder(world) as root:
        check_taken_away_once(root, "destroy", "--yes")
        check_empty_after_apply(root)
        shutil.rmtree(root / ".studio")
        with counting(root):
            assert ask(root, "apply", "--yes").code == 0
        (root / "manifests" / "all.yaml").write_text("", "utf-8")
        check_taken_away_once(root, "apply", "--yes", "--prune", "--force")


@FEW
@given(world=worlds())
def test_destroying_and_pruning_twice_is_as_good_as_once(world: World) -> None:
    check_destroy_and_prune(world)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_destroyed_once(tmp_path: Path, name: str) -> None:
    check_taken_away_once(Path(shutil.copytree(ROOT / name, tmp_path / "project", ignore=OURS)), "destroy", "--yes")


def check_any_layout(world: World, draw: Any) -> None:
    with folder(world) as one, folder() as other:
        world.write(other, draw(layouts(world.documents)))
        first = plan(one)
        assert plan(other) == first
        with counting(one):
            assert ask(one, "apply", "--yes").code == 0
            (one / "manifests" / "all.yaml").unlink()
            world.write(one, draw(layouts(world.documents)))
            assert pending(plan(one)) == []
            assert plan(one)["manifest_digest"] == first["manifest_digest"]


@FEW
@given(world=worlds(), data=st.data())
def test_the_order_of_manifests_and_the_files_they_are_in_change_nothing(world: World, data: st.DataObject) -> None:
    check_any_layout(world, data.draw)


@pytest.mark.slow
@MANY
@given(world=worlds(), data=st.data())
def test_sixty_projects_are_applied_moved_about_and_taken_away(world: World, data: st.DataObject) -> None:
    with folder(world) as root:
        check_empty_after_apply(root)
    check_any_layout(world, data.draw)
    check_destroy_and_prune(world)


@dataclass(frozen=True, slots=True)
class Watched:
    """What commands printed, and what they did outside."""

    out: str
    deeds: list[str]


def watched(roots: list[Path], command: list[str], home: Path, **variables: str) -> Watched:
    """The command on each project, in one process; the first project is there to import what is needed."""
    log, cache = home / "deeds", home / "cache"
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.invariants.watched", *map(str, [roots[0], *roots]), "--", *command],
        env=environment(**{CACHE: str(cache), LOG: str(log)}, **variables),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Watched(done.stdout, log.read_text("utf-8").splitlines())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Shipped and generated projects, each as it is and once more after it was applied."""
    base = tmp_path_factory.mktemp("corpus")
    made = base / "made"

    @settings(max_examples=6, database=None, derandomize=True)
    @given(world=worlds())
    def generate(world: World) -> None:
        world.write(made / str(len(list(made.iterdir()))))

    made.mkdir()
    generate()
    sources = [*(ROOT / name for name in EXAMPLES), *valid_golden(), *sorted(made.iterdir())]
    found = []
    for number, source in enumerate(sources):
        for state in ("fresh", "applied"):
            root = base / f"{number}-{state}"
            shutil.copytree(source, root, ignore=OURS, symlinks=True)
            found.append(root)
            if state == "applied":
                with counting(root):
                    assert ask(root, "apply", "--yes").code == 0
    gc.collect()  # what still holds a database open would write to it when it is collected
    return found


TOKEN_COUNTS = f"subprocess.Popen ['{sys.executable}', '-m', 'studio.load.token_worker'"
"""Counting tokens may run out of memory, so a child does it; it is watched as well."""


@pytest.mark.slow
def test_planning_writes_nothing_sends_nothing_and_starts_nothing(corpus: list[Path], tmp_path: Path) -> None:
    before = [snapshot(root) for root in corpus]
    for number, command in enumerate(
        (["plan"], ["plan", "--json"], ["plan", "--markdown"], ["validate", "--env", "default"])
    ):
        seen = watched(corpus, command, tmp_path / str(number))
        assert [deed for deed in seen.deeds if not deed.startswith(TOKEN_COUNTS)] == []
        assert seen.out.count(" 0>>") == len(corpus) + 1
    assert [snapshot(root) for root in corpus] == before


def test_the_watch_sees_what_an_apply_does(data_only: Path, tmp_path: Path) -> None:
    other = data_only.with_name("other")
    shutil.copytree(data_only, other)
    deeds = watched([data_only, other], ["apply", "--yes"], tmp_path / "home").deeds
    assert f"os.mkdir {other}/.studio" in deeds
    assert [deed for deed in deeds if str(data_only) in deed and "git" not in deed] == []  # it was applied unwatched


def test_children_of_a_watched_process_are_watched(tmp_path: Path) -> None:
    site = ROOT / "tests" / "invariants" / "site"
    child = "import pathlib, socket; pathlib.Path('x').write_text('x'); socket.socket()"
    variables = {CACHE: str(tmp_path / "cache"), LOG: str(tmp_path / "deeds"), "PYTHONPATH": f"{site}:{ROOT}"}
    subprocess.run([sys.executable, "-B", "-c", child], cwd=tmp_path, env={**environment(), **variables}, check=True)
    deeds = (tmp_path / "deeds").read_text("utf-8").splitlines()
    assert [deed.split()[0] for deed in deeds] == ["open", "socket.__new__"]


@pytest.mark.slow
def test_every_process_prints_the_same_plan_wherever_it_starts(corpus: list[Path], tmp_path: Path) -> None:
    twins = []
    for seed in ("1", "2"):
        home = tmp_path / f"of-seed-{seed}"
        roots = [Path(shutil.copytree(root, home / root.name, symlinks=True)) for root in corpus]
        out = watched(roots, ["plan", "--json"], home / "watch", PYTHONHASHSEED=seed).out
        assert str(home) not in "".join(line for line in out.splitlines() if not line.startswith("<<"))
        twins.append(out.replace(str(home), "{home}"))
    assert twins[0] == twins[1]
    assert twins[0].count(" 0>>") == len(corpus) + 1


SECRETS = {
    "HUGGINGFACE_ACCESS_TOKEN": "hf" + "_" + "abcdefghijklmnopqrstuvwxyz12345678",
    "AWS_SECRET_ACCESS_KEY": "correct-horse-battery-staple",
}


@settings(max_examples=4)
@given(world=worlds())
def test_apply_prints_and_keeps_no_secret_of_the_environment(world: World) -> None:
    with folder(world) as root, counting(root), pytest.MonkeyPatch.context() as patched:
        for name, value in SECRETS.items():
            patched.setenv(name, value)
        outs = [ask(root, "plan"), ask(root, "plan", "--json"), ask(root, "apply", "--yes"), ask(root, "status")]
        assert {out.code for out in outs} == {0}
        kept = b"".join(content for _, content in snapshot(root).values())
        told = "".join(out.out + out.err for out in outs)
        for secret in SECRETS.values():
            assert secret not in told and secret.encode() not in kept
