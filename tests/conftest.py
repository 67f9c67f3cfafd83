"""What every test may use: projects on disk, and the flag that rewrites the golden files."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Generator, Iterator
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import postgresql, projects

settings.register_profile("studio", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("studio")

COUNTING = {  # makes a child of this process count the lines that it runs
    "COVERAGE_PROCESS_START": str(projects.ROOT / "pyproject.toml"),
    "COVERAGE_FILE": os.environ.get("COVERAGE_FILE", str(projects.ROOT / ".coverage")),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="Write what is printed now into the golden files.")
    parser.addoption("--axolotl", default="", help="Folder of the unpacked wheel that the Axolotl table is made from.")


@pytest.hookimpl(trylast=True)  # after those that leave tests out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = dealt(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """As many tests for each worker, the slow ones first, so that none is left with a long one at the end. A file's
    slow tests stay together and share what they prepare; whole trainings, which are the last files, come first."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    fast = iter([item for item in items if not item.get_closest_marker("slow")])
    hands: list[list[pytest.Item]] = [[] for _ in range(workers)]
    files = [list(group) for _, group in groupby(slow, key=lambda item: item.path)]
    for file in reversed(files):
        min(hands, key=len).extend(file)
    for hand in hands:
        hand += [item for _, item in zip(range(len(items) // workers - len(hand)), fast, strict=False)]
    return [item for hand in hands for item in hand] + list(fast)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Where lines are counted, they are counted in a test's children too; but not in a slow test's, which import torch
    and MLflow and would take half as long again: other tests run the same code in this process or in small ones."""
    counted = item.config.pluginmanager.hasplugin("_cov") and not item.get_closest_marker("slow")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in COUNTING.items() if counted else ():
            patched.setenv(name, value)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Counting lines more than doubles the time of a property, and its hundred examples run what one example runs.
    (The mark ``no_cover`` would stop only one of the two counters that pytest-cov starts in a worker.)"""
    if not (item.config.pluginmanager.hasplugin("_cov") and item.get_closest_marker("hypothesis")):
        return (yield)
    counter = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(counter)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test finds what another run kept, and none leaves anything in the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def empty_tracking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs, made once for all workers: creating one takes longer than a tiny training."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made, unfinished = shared / "empty-mlflow.db", shared / "unfinished-mlflow.db"
    with (shared / "empty-mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            from mlflow.tracking import MlflowClient

            MlflowClient(f"sqlite:///{unfinished}").search_experiments()
            unfinished.rename(made)
    return made


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The folder of a complete small project: data, model, prompt, configs and the three jobs."""
    return projects.write(tmp_path / "desk", projects.support_desk())


@pytest.fixture
def data_only(tmp_path: Path) -> Path:
    """The folder of a project that runs no job, so that apply is a matter of milliseconds."""
    return projects.write(tmp_path / "data-only", projects.data_resources())


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server, started by the first test that asks for it."""
    with postgresql.running() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest) -> str:
    """Where a state may be kept, empty: in a file of the project, and in a database of a server."""
    if request.param == "sqlite":
        return "sqlite:///.studio/state.db"
    found: postgresql.Server = request.getfixturevalue("server")
    return found.database()
