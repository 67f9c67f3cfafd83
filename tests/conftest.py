"""What every test may use: projects on disk, and the flag that rewrites the golden files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import postgresql, projects

settings.register_profile("studio", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("studio")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="Write what is printed now into the golden files.")
    parser.addoption("--axolotl", default="", help="Folder of the unpacked wheel that the Axolotl table is made from.")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test finds what another run kept, and none leaves anything in the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder


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
