"""A folder that cannot be listed is an error everywhere: what is in it is not known, so nothing counts as absent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.core.references import Ref
from tests import projects
from tests.projects import manifest

from .front_door import Answer, ask, environment
from .states import reading

MEEK = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
"""Root may list every folder, unless it has given that up."""
pytestmark = pytest.mark.skipif(bool(MEEK) and not shutil.which("setpriv"), reason="root may list every folder")


def meekly(root: Path, *arguments: str) -> Answer:
    done = subprocess.run(
        [*MEEK, sys.executable, "-m", "studio", *arguments],
        cwd=root, env=environment(XDG_CACHE_HOME=str(root.parent / "cache")), capture_output=True, text=True,
        timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An applied project with a manifest two folders down."""
    folder = tmp_path / "desk"
    projects.write(folder, projects.data_resources())
    (folder / "manifests" / "team" / "own").mkdir(parents=True)
    extra = manifest("Config", "extra", {"type": "custom", "config": {"a": 1}})
    (folder / "manifests" / "team" / "own" / "extra.yaml").write_text(projects.stream([extra]))
    assert ask(folder, "apply").code == 0
    return folder


@pytest.fixture(params=["manifests", "manifests/team", "manifests/team/own"])
def closed(root: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    name: str = request.param
    (root / name).chmod(0)
    yield name
    (root / name).chmod(0o755)


@pytest.mark.slow
def test_a_closed_folder_is_an_error_and_nothing_in_it_is_pruned(root: Path, closed: str) -> None:
    words = f"the manifest folder {closed!r} cannot be read: Permission denied"
    for command in (("validate",), ("validate",), ("plan", "--prune"), ("apply", "--prune"), ("fmt", "--check")):
        answer = meekly(root, *command)
        assert answer.code == 1 and words in answer.out + answer.err, command
    (root / closed).chmod(0o755)
    with reading(root) as state:
        assert Ref("Config", "extra") in state.records()
    assert meekly(root, "validate").code == 0


def test_a_folder_behind_a_closed_one_is_not_called_missing(root: Path) -> None:
    (root / "studio.yaml").write_text(projects.SETTINGS + "spec: {manifests: [manifests/team/own]}\n")
    (root / "manifests").chmod(0)
    answer = meekly(root, "validate")
    (root / "manifests").chmod(0o755)
    assert answer.code == 1 and "'manifests/team/own' cannot be read: Permission denied" in answer.out


def test_a_model_with_a_closed_folder_cannot_be_read(root: Path) -> None:
    (root / "models" / "tiny" / "more").mkdir()
    (root / "models" / "tiny" / "more").chmod(0)
    answer = meekly(root, "validate")
    (root / "models" / "tiny" / "more").chmod(0o755)
    assert answer.code == 1 and "'models/tiny' cannot be read: Permission denied" in answer.out


RIGHTS = """
from pathlib import Path
from studio.load.cache import place
print(place("verdicts", Path("/project"), {"HOME": "/home/somebody"}).question)
"""


@pytest.mark.skipif(not MEEK, reason="whoever is not root has no rights to give up")
def test_a_verdict_of_root_is_not_given_to_root_without_its_rights() -> None:
    """What root may read is closed to the same user without capabilities."""
    asked = [
        subprocess.run([*before, sys.executable, "-c", RIGHTS], capture_output=True, text=True, check=True).stdout
        for before in ([], [], MEEK)
    ]
    assert asked[0] == asked[1] != asked[2]
