"""The model registry of a workspace, asked over HTTP: every answer, and every way of not answering."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from studio.load import rest
from studio.load.registry import RegisteredModel, Registry, RegistryFault, registry
from studio.load.rest import Client
from studio.load.settings import Backend, SecretName
from tests.fakes.cml_server import KEY, Workspace, workspace
from tests.fakes.http import Answer, as_json, serving
from tests.fakes.workspace.refusal import refuse
from tests.fakes.workspace.registry import MODEL_ID, logged, registered_model


@pytest.fixture
def cml() -> Iterator[Workspace]:
    with workspace(None, registered_model(MODEL_ID, logged("7", "feed"), logged("8", "beef"))) as running:
        yield running


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are noted, not waited for."""
    waited: list[float] = []
    made = Client.__init__

    def init(self: Client, url: str, key: str) -> None:
        made(self, url, key, pause=waited.append, jitter=lambda: 1.0)

    monkeypatch.setattr(Client, "__init__", init)
    return waited


def test_a_registered_model_comes_with_the_mlflow_ids_of_its_first_version(cml: Workspace) -> None:
    found = Registry(cml.url, KEY).model(MODEL_ID)
    assert found == RegisteredModel("support-llama", 2, "7", "feed", ("feed", "beef"))
    assert cml.requests == [f"GET /api/v2/registry/models/{MODEL_ID}"]


def test_each_question_is_asked_once(cml: Workspace) -> None:
    asked = Registry(cml.url, KEY)
    assert asked.model(MODEL_ID) is asked.model(MODEL_ID)
    assert len(cml.requests) == 1


@pytest.mark.parametrize("id", ["other", "../projects", "a/b?c#d", "é", "a\nb"])
def test_an_id_stays_one_step_of_the_path(cml: Workspace, id: str) -> None:
    assert Registry(cml.url, KEY).model(id) is RegistryFault.NOT_FOUND
    (request,) = cml.requests
    assert request.count("/") == 5 and request.isascii()


@pytest.mark.parametrize("key", ["", "revoked", "two\nlines"])
def test_without_a_good_key_there_is_no_answer(cml: Workspace, key: str) -> None:
    found = Registry(cml.url, key).model(MODEL_ID)
    assert found is (RegistryFault.UNREACHABLE if "\n" in key else RegistryFault.NEEDS_KEY)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_refusals_are_final(cml: Workspace, status: int, patient: list[float]) -> None:
    cml.first.append(refuse(status, 3, "no"))
    assert Registry(cml.url, KEY).model(MODEL_ID) is RegistryFault.NOT_FOUND
    assert len(cml.requests) == 1 and patient == []


def test_a_busy_or_broken_workspace_is_asked_again_after_growing_pauses(cml: Workspace, patient: list[float]) -> None:
    cml.first.extend([refuse(503, 14, "away"), Answer(429), Answer(500), Answer(0, lost=True)])
    assert isinstance(Registry(cml.url, KEY).model(MODEL_ID), RegisteredModel)
    assert len(cml.requests) == 5 and patient == [0.5, 1.0, 2.0, 4.0]


def test_a_wait_that_the_workspace_asks_for_is_kept(cml: Workspace, patient: list[float]) -> None:
    cml.first.extend([as_json({}, 429, **{"Retry-After": "3"}), as_json({}, 503, **{"Retry-After": "soon"})])
    assert isinstance(Registry(cml.url, KEY).model(MODEL_ID), RegisteredModel)
    assert patient == [3.0, 1.0]


def test_a_wait_beyond_the_deadline_is_not_begun(cml: Workspace, patient: list[float]) -> None:
    cml.first.append(as_json({}, 429, **{"Retry-After": "3600"}))
    assert Registry(cml.url, KEY).model(MODEL_ID) is RegistryFault.UNREACHABLE
    assert patient == [] and len(cml.requests) == 1


def test_a_workspace_that_never_recovers_is_given_up() -> None:
    with serving(lambda request: Answer(500)) as url:
        now = [0.0]
        client = Client(url, KEY)
        object.__setattr__(client, "clock", lambda: now[0])
        object.__setattr__(client, "pause", lambda seconds: now.__setitem__(0, now[0] + seconds))
        assert client.get("/") == rest.Answer(500)
        assert 10 < now[0] < rest.DEADLINE_SECONDS


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {}, b"<html>sign in</html>"),
        Answer(200, {}, b"[" * 100_000),
        as_json([]),
        as_json({"error": "?"}),
        Answer(302, {"Location": "http://127.0.0.1:9/"}),
        Answer(418),
    ],
)
def test_what_is_no_answer_of_the_api_counts_as_none(cml: Workspace, answer: Answer) -> None:
    cml.first.append(answer)
    assert Registry(cml.url, KEY).model(MODEL_ID) is RegistryFault.UNREACHABLE
    assert len(cml.requests) == 1


@pytest.mark.parametrize(
    "metadata",
    [None, [], "x", {}, {"mlflow_metadata": None}, {"mlflow_metadata": []}, {"mlflow_metadata": {"run_id": None}}],
)
def test_odd_metadata_is_no_metadata(cml: Workspace, metadata: object) -> None:
    cml.registered["odd"] = registered_model("odd", {"model_version_metadata": metadata})
    assert Registry(cml.url, KEY).model("odd") == RegisteredModel("support-llama", 1, runs=("",))


def test_an_answer_without_end_is_cut_off(cml: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MAX_BYTES", 100)
    assert Registry(cml.url, KEY).model(MODEL_ID) is RegistryFault.UNREACHABLE


def test_nobody_listening_is_unreachable_and_a_key_never_goes_out_in_clear(patient: list[float]) -> None:
    assert Registry("http://127.0.0.1:9", KEY).model(MODEL_ID) is RegistryFault.UNREACHABLE
    assert 2 <= len(patient) <= 4  # a few seconds, not half a minute
    patient.clear()
    found = registry(Backend(), {"CDSW_DOMAIN": "http://workspace.example", "CDSW_APIV2_KEY": KEY})
    assert found.model(MODEL_ID) is RegistryFault.NOT_ALLOWED and found.key == "" and patient == []


def test_a_workspace_that_is_away_is_waited_for_once(cml: Workspace, patient: list[float]) -> None:
    cml.first.extend([Answer(500)] * 20)
    asked = Registry(cml.url, KEY)
    assert asked.model(MODEL_ID) is RegistryFault.UNREACHABLE
    requests = len(cml.requests)
    assert asked.model("another") is RegistryFault.UNREACHABLE and len(cml.requests) == requests


def test_a_key_is_not_in_what_python_prints_of_a_client() -> None:
    assert KEY not in repr(Registry("https://a", KEY)) and KEY not in repr(Client("https://a", KEY))


Case = tuple[Backend, dict[str, str], str]
CASES: dict[str, Case] = {
    "studio.yaml, confirmed": (
        Backend(url="https://ml.example/"),
        {"STUDIO_CML_URL": "ml.example", "CDSW_DOMAIN": "other"},
        "https://ml.example",
    ),
    "confirmed by the workspace around": (
        Backend(url="ml.example:8443"),
        {"CDSW_API_URL": "https://ML.example:8443/api/v1"},
        "https://ml.example:8443",
    ),
    "only the environment": (Backend(), {"STUDIO_CML_URL": "https://ml.example:443"}, "https://ml.example"),
    "the URL of the first version": (Backend(), {"CDSW_API_URL": "https://ml.example/api/v1"}, "https://ml.example"),
    "the domain": (Backend(), {"CDSW_DOMAIN": "ml.example"}, "https://ml.example"),
    "nothing": (Backend(), {}, ""),
    "no address": (Backend(url="file:///etc/passwd"), {}, ""),
    "no URL": (Backend(url="http://[oops"), {}, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_the_workspace_is_the_one_that_is_named_or_the_one_around(case: str) -> None:
    backend, environ, url = CASES[case]
    found = registry(backend, {**environ, "CDSW_APIV2_KEY": KEY})
    assert (found.url, found.key, found.refusal) == (url, KEY, "")
    assert url or found.model(MODEL_ID) is RegistryFault.NOT_CONFIGURED


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example", "http://ml.example", "https://ml.example:8443", "https://ml.example@evil.example",
        "https://ml.example.evil.example", "https://evil.example/https://ml.example", "https://ml.example\\@evil.example",
    ],
)  # fmt: skip
def test_a_key_goes_to_no_address_that_only_looks_like_the_trusted_one(url: str) -> None:
    found = registry(Backend(url=url), {"STUDIO_CML_URL": "https://ml.example", "CDSW_APIV2_KEY": KEY})
    assert found.key == "" and found.model(MODEL_ID) in (RegistryFault.NOT_ALLOWED, RegistryFault.NOT_CONFIGURED)


@pytest.mark.parametrize(
    ("variable", "known"),
    [
        ("CDSW_APIV2_KEY", True), ("CML_API_KEY", True), ("STUDIO_CML_KEY", True), ("STUDIO_CML_KEY_PROD", True),
        ("MY_KEY", False), ("AWS_SECRET_ACCESS_KEY", False), ("STUDIO_STATE_URL", False), ("HF_TOKEN", False),
        ("STUDIO_CML_KEYS", False), ("CML_API_KEY\n", False),
    ],
)  # fmt: skip
def test_the_key_is_in_a_variable_whose_name_says_so(variable: str, known: bool) -> None:
    backend = Backend(url="https://a", api_key=SecretName(env=variable))
    environ = {variable: "mine", "STUDIO_CML_URL": "https://a"}
    found = registry(backend, environ)
    assert (found.key, found.key_variable) == ("mine" if known else "", variable)
    assert known or found.model(MODEL_ID) is RegistryFault.NOT_ALLOWED
