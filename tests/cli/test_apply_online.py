"""Apply and the network: what it asks first, what it does without one, and what it never says to whom."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import projects
from tests.fakes.cml_server import KEY, workspace
from tests.fakes.hub import COMMIT, FakeHub, Repo, serving
from tests.fakes.workspace.registry import MODEL_ID, logged, registered_model

from .front_door import ask, run


def hub_data(name: str, repository: str) -> projects.Document:
    spec = {"type": "huggingface", "huggingface_name": repository, "revision": COMMIT, "features": ["text"]}
    return projects.manifest("Dataset", name, spec)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    card = {"dataset_info": {"features": [{"name": "text", "dtype": "string"}]}}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HUGGINGFACE_ACCESS_TOKEN", raising=False)
    with serving({("datasets", "acme/good"): Repo(card=card), ("datasets", "acme/gated"): Repo(gated=True)}) as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


@pytest.mark.parametrize(
    ("repository", "words"), [("acme/nothing", "the hub has no data set"), ("acme/gated", "wants a token")]
)
def test_a_definite_answer_stops_apply_before_its_first_action(
    tmp_path: Path, hub: FakeHub, repository: str, words: str
) -> None:
    root = projects.write(tmp_path, [hub_data("a", "acme/good"), hub_data("b", repository)])
    answer = ask(root, "apply", "--yes")
    assert answer.code == 1 and words in answer.out and "Nothing was applied" in answer.err
    assert not (root / ".studio").exists()


def test_what_the_hub_knows_is_applied_and_offline_asks_nobody(tmp_path: Path, hub: FakeHub) -> None:
    root = projects.write(tmp_path, [hub_data("a", "acme/good"), hub_data("b", "acme/nothing")])
    offline = ask(root, "apply", "--yes", "--offline")
    assert offline.code == 0 and hub.requests == []
    (root / "manifests" / "all.yaml").write_text(projects.stream([hub_data("a", "acme/good")]))
    assert ask(root, "apply", "--yes").code == 0 and len(hub.requests) == 1


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://name-that-nobody-has.invalid"])
def test_without_a_network_apply_warns_once_and_goes_on(tmp_path: Path, endpoint: str) -> None:
    root = projects.write(tmp_path, [hub_data(f"d{n:02}", f"acme/d{n}") for n in range(40)])
    began = time.monotonic()
    answer = run(root, "apply", "--yes", HF_ENDPOINT=endpoint, NO_PROXY="*")
    assert answer.code == 0 and "Applied: 40 done." in answer.out
    assert answer.out.count("warning") == 1
    assert f"the hub at {endpoint} could not be reached: 'acme/d0' and 39 more were not checked" in answer.out
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_a_hostile_project_gets_no_secret_sent_anywhere(tmp_path: Path, hub: FakeHub) -> None:
    with workspace(None, registered_model(MODEL_ID, logged())) as evil:
        settings = {
            "kind": "Project", "metadata": {"name": "desk"},
            "spec": {"backend": {"url": evil.url, "api_key": {"env": "AWS_SECRET_ACCESS_KEY"}},
                     "hf_token": {"env": "AWS_SECRET_ACCESS_KEY"}},
        }  # fmt: skip
        registered = {"type": "model_registry", "cml_registered_model_id": MODEL_ID}
        documents = [hub_data("a", "acme/good"), projects.manifest("Model", "m", registered)]
        root = projects.write(tmp_path, documents, json.dumps(settings))
        for command in (["apply", "--yes"], ["validate", "--online"], ["plan", "--online"], ["doctor", "--online"]):
            answer = run(
                root, *command, AWS_SECRET_ACCESS_KEY=KEY, CDSW_APIV2_KEY=KEY, HF_ENDPOINT=hub.url, NO_PROXY="*"
            )
            assert KEY not in answer.out + answer.err
            if command[0] != "doctor":
                assert answer.code == 1 and answer.out.count("SEC-007") == 2 and "is not sent to" in answer.out
        assert evil.requests == []
