"""What the hub and the registry answered, kept for later commands: for how long, from whom, and never by a token."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.load import answers, cache, rest
from studio.load.answers import ABSENT_SECONDS, MAX_ANSWERS, MAX_LETTERS, THERE_SECONDS, Answers, anew
from studio.load.hub import Hub, HubFault, HubInfo, HubQuestion, _from_json
from studio.load.online import Online, online
from studio.load.registry import RegisteredModel, Registry, RegistryFault
from studio.load.registry import _from_json as registered_from_json
from studio.load.settings import ProjectSpec
from tests.fakes.cml_server import KEY, workspace
from tests.fakes.http import Answer, Request, serving
from tests.fakes.hub import COMMIT, FakeHub, Repo
from tests.fakes.hub import serving as hub_serving
from tests.fakes.workspace.registry import MODEL_ID, logged, registered_model

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["sha", "features", "runs"]), inner),
)
PLACES = {"HUGGINGFACE_ACCESS_TOKEN": "", "CDSW_DOMAIN": ""}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    kept = answers.kept

    def timed(*arguments: Any, **options: Any) -> Answers:
        found = kept(*arguments, **options)
        found.clock = made
        return found

    monkeypatch.setattr(answers, "kept", timed)
    return made


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name, value in PLACES.items():
        monkeypatch.setenv(name, value)
    card = {"dataset_info": {"features": [{"name": "text", "dtype": "string"}]}}
    repos = {("datasets", "acme/good"): Repo(card=card), ("models", "acme/gated"): Repo(gated=True)}
    with hub_serving({**repos, ("models", "acme/broken"): Repo(broken=True)}) as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


def asked(project: Path, *specs: tuple[str, dict[str, str]]) -> Online:
    """What a command asks that knows nothing but what others left."""
    import os

    found = online(ProjectSpec(), project, os.environ)
    found.ask(specs)
    return found


DATASET = ("Dataset", {"type": "huggingface", "huggingface_name": "acme/good", "revision": COMMIT})
MISSING = ("Model", {"type": "huggingface", "huggingface_model_name": "acme/missing"})
GATED = ("Model", {"type": "huggingface", "huggingface_model_name": "acme/gated"})
BROKEN = ("Model", {"type": "huggingface", "huggingface_model_name": "acme/broken"})


def test_what_is_there_is_believed_for_ten_minutes_and_what_is_not_for_half_of_one(
    tmp_path: Path, hub: FakeHub, clock: Clock
) -> None:
    for _ in range(2):
        found = asked(tmp_path, DATASET, MISSING)
        assert found.answer(*DATASET) == HubInfo(COMMIT, ("text",)) and found.answer(*MISSING) is HubFault.NOT_FOUND
    assert len(hub.requests) == 2
    clock.now += ABSENT_SECONDS + 1
    asked(tmp_path, DATASET, MISSING)
    assert len(hub.requests) == 3 and "missing" in hub.requests[-1]
    clock.now += THERE_SECONDS
    asked(tmp_path, DATASET)
    assert len(hub.requests) == 4


def test_faults_are_never_kept(tmp_path: Path, hub: FakeHub, clock: Clock) -> None:
    for times in (1, 2):
        found = asked(tmp_path, GATED, BROKEN)
        assert found.answer(*GATED) is HubFault.NEEDS_TOKEN and found.answer(*BROKEN) is HubFault.UNREACHABLE
        assert sum("gated" in line for line in hub.requests) == times


def test_an_answer_counts_for_the_same_server_project_revision_and_kind_of_caller_only(
    tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(tmp_path, DATASET)
    asked(tmp_path / "another", DATASET)
    asked(tmp_path, (DATASET[0], {**DATASET[1], "revision": "main"}))
    monkeypatch.setenv("HUGGINGFACE_ACCESS_TOKEN", "good-token")
    asked(tmp_path, DATASET)
    assert len(hub.requests) == 4
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert asked(tmp_path, DATASET).answer(*DATASET) is HubFault.UNREACHABLE


def test_who_asks_anew_gets_no_kept_answer_and_leaves_a_new_one(tmp_path: Path, hub: FakeHub) -> None:
    asked(tmp_path, DATASET)
    with anew():
        asked(tmp_path, DATASET)
    asked(tmp_path, DATASET)
    assert len(hub.requests) == 2


def test_no_token_and_no_key_is_in_any_kept_file(
    tmp_path: Path, hub: FakeHub, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HUGGINGFACE_ACCESS_TOKEN", "good-token")
    with workspace(None, registered_model(MODEL_ID, logged("7", "feed"))) as cml:
        for name, value in cml.environ().items():
            monkeypatch.setenv(name, value)
        registered = ("Model", {"type": "model_registry", "cml_registered_model_id": MODEL_ID})
        for _ in range(2):
            found = asked(tmp_path / "project", DATASET, GATED, registered)
            assert isinstance(found.answer(*registered), RegisteredModel)
        assert len(cml.calls) == 1
    files = [path.read_text() for path in (tmp_path / "cache").rglob("*.json")]
    assert len(files) == 2 and not any(secret in text for text in files for secret in (KEY, "good-token"))


def place(tmp_path: Path) -> cache.Place:
    found = cache.place("answers", tmp_path / "project", {"XDG_CACHE_HOME": str(tmp_path / "cache")}, 1)
    assert found
    return found


@pytest.mark.slow
@given(st.lists(st.tuples(st.text(), JSON, JSON, JSON)) | JSON)
def test_a_kept_file_that_holds_anything_is_no_fault(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    where = place(tmp_path_factory.mktemp("answers"))
    where.write({"answers": json.loads(json.dumps(content))})
    found = Answers(where).recall(("model", "a", "", ""))
    assert _from_json(found) is None or isinstance(_from_json(found), HubInfo | HubFault)


@given(JSON)
def test_a_kept_answer_is_taken_as_what_it_is_or_not_at_all(kept: Any) -> None:
    found, registered = _from_json(kept), registered_from_json(kept)
    assert found is None or isinstance(found, HubInfo | HubFault)
    assert registered is None or isinstance(registered, RegisteredModel | RegistryFault)


@pytest.mark.parametrize("at", [-1.0, 1.0, float("nan"), float("inf"), 1e308])
def test_an_answer_from_the_future_or_from_no_time_at_all_does_not_count(tmp_path: Path, at: float) -> None:
    asked_for = json.dumps(["a"])
    place(tmp_path).write({"answers": [[asked_for, time.time() + 3600 * at if abs(at) == 1 else at, True, "x"]]})
    assert Answers(place(tmp_path)).recall(("a",)) is None


def test_a_file_that_others_may_write_does_not_count(tmp_path: Path) -> None:
    mine = Answers(place(tmp_path))
    mine.keep(("a",), "x", there=True)
    mine.save()
    assert Answers(place(tmp_path)).recall(("a",)) == "x"
    place(tmp_path).file.chmod(0o666)
    assert Answers(place(tmp_path)).recall(("a",)) is None


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    mine = Answers(place(tmp_path))
    mine.keep(("long",), "x" * MAX_LETTERS, there=True)
    for number in range(MAX_ANSWERS + 10):
        mine.keep((str(number),), "x", there=True)
    mine.save()
    later = Answers(place(tmp_path))
    assert later.recall(("long",)) is None and later.recall(("0",)) is None
    assert later.recall((str(MAX_ANSWERS + 9),)) == "x" and len(later.known) == MAX_ANSWERS


def test_two_commands_at_once_lose_nothing(tmp_path: Path) -> None:
    one, two = Answers(place(tmp_path)), Answers(place(tmp_path))
    for mine, question in ((one, "a"), (two, "b")):
        assert mine.recall((question,)) is None
        mine.keep((question,), question, there=True)
    one.save()
    two.save()
    later = Answers(place(tmp_path))
    assert (later.recall(("a",)), later.recall(("b",))) == ("a", "b")


def test_fifty_names_are_asked_about_at_the_same_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every question waits until all have arrived: one after the other would wait for ever."""
    together = threading.Barrier(50, timeout=20)

    def answer(request: Request) -> Answer:
        together.wait()
        return Answer(404, {"X-Error-Code": "RepoNotFound"}, b"{}")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(rest, "AWAY_SECONDS", 20.0)  # importing the hub's client takes seconds
    with serving(answer) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        found = Online(Hub("HF_TOKEN"), Registry(url, KEY))
        names = [f"acme/m-{number}" for number in range(40)]
        on_hub = [("Model", {"type": "huggingface", "huggingface_model_name": name}) for name in names]
        ids = [("Model", {"type": "model_registry", "cml_registered_model_id": f"id-{n}"}) for n in range(10)]
        found.ask([*on_hub, *ids, *on_hub])
        assert {found.hub.answer(HubQuestion("model", name, "")) for name in names} == {HubFault.NOT_FOUND}
        assert {found.registry.model(f"id-{n}") for n in range(10)} == {RegistryFault.NOT_FOUND}
