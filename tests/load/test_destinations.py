"""Where exports go: one identity for every spelling of a registry's address, and no secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.load import destinations
from studio.load.settings import SecretName, Tracking

HOME = Path("/home/team/desk")


def identity(uri: str, root: Path = HOME) -> str:
    found = destinations.registry(Tracking(tracking_uri=uri), root, {})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://ml.example.org", "https://ML.example.org:443/"),
        ("https://ml.example.org/team", "http://ml.example.org/team/"),
        ("https://someone:word@ml.example.org", "https://ml.example.org"),
        ("postgresql://a:b@db/mlflow", "postgresql+psycopg2://c:d@db:5432/mlflow"),
        ("sqlite:///shared.db", "sqlite:////home/team/desk/shared.db"),
        ("sqlite:///.studio/mlflow.db", "sqlite:///.studio/../.studio/mlflow.db"),
        ("sqlite:////srv/mlflow.db", "sqlite:///../../../srv/mlflow.db"),
        ("./mlruns", "file:mlruns"),
        ("mlruns", "file:///home/team/desk/mlruns"),
    ],
)
def test_spellings_of_one_registry_have_one_identity(one: str, other: str) -> None:
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://ml.example.org", "https://ml.example.org:8443"),
        ("https://ml.example.org/a", "https://ml.example.org/b"),
        ("https://ml.example.org", "https://ml2.example.org"),
        ("postgresql://db/mlflow", "postgresql://db/other"),
        ("postgresql://db/mlflow", "mysql://db/mlflow"),
        ("sqlite:///a.db", "sqlite:///b.db"),
        ("sqlite:///mlruns", "mlruns"),
        ("databricks", "databricks-uc"),
        ("databricks://one", "databricks://two"),
        ("https://[broken", "https://[broken2"),
        ("https://host:port", "https://host"),
    ],
)
def test_two_registries_have_two_identities(one: str, other: str) -> None:
    assert identity(one) != identity(other)


def test_the_projects_own_registry_has_none_so_that_its_fingerprints_are_those_without_a_registry() -> None:
    assert identity("sqlite:///.studio/mlflow.db") == ""
    assert identity("sqlite:////home/team/desk/.studio/mlflow.db") == ""
    assert identity("sqlite:////home/other/desk/.studio/mlflow.db") != ""


def test_a_project_that_is_moved_keeps_its_registry() -> None:
    assert identity("sqlite:///shared/ml.db") == identity("sqlite:///shared/ml.db", Path("/elsewhere"))


def test_a_secret_address_is_the_same_registry_as_one_that_is_written_out() -> None:
    secret = Tracking(tracking_uri=SecretName(env="STUDIO_MLFLOW_TEST"))
    found = destinations.registry(secret, HOME, {"STUDIO_MLFLOW_TEST": "https://ci:password@ml.example.org/"})
    assert found == identity("https://ml.example.org")
    assert destinations.registry(secret, HOME, {}) is None
    assert destinations.registry(secret, HOME, {"STUDIO_MLFLOW_TEST": ""}) is None


@given(st.text(), st.from_regex(r"[a-z0-9]{6,12}", fullmatch=True))
def test_no_address_breaks_it_and_no_password_stays_in_it(text: str, password: str) -> None:
    assert isinstance(identity(text), str)
    assert f":{password}@" not in identity(f"https://user:{password}@host/{text}")
