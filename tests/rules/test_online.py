"""The rules that ask the hub, against one that speaks its protocol over a real socket."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from studio.core.findings import Phase, Severity
from studio.load import hub as hub_client
from studio.load import rest
from studio.load.answers import anew
from studio.load.hub import Hub, HubFault, HubInfo, HubQuestion, is_commit
from tests.fakes.cml_server import Workspace, workspace
from tests.fakes.http import Answer, Request, serving
from tests.fakes.hub import COMMIT, FakeHub
from tests.fakes.workspace.registry import MODEL_ID, logged, registered_model
from tests.rules.conftest import Check

TOKEN = "HUGGINGFACE_ACCESS_TOKEN"


def dataset(name: str, **spec: str) -> str:
    lines = [f"  {key}: {value}" for key, value in {"revision": COMMIT, **spec}.items()]
    return "\n".join(["kind: Dataset", "spec:", "  type: huggingface", f"  huggingface_name: {name}", *lines])


def model(name: str, revision: str = COMMIT) -> str:
    spec = f"  type: huggingface\n  huggingface_model_name: {name}\n  revision: {revision}"
    return f"kind: Model\nspec:\n{spec}"


def adapter(name: str, model: str = "tiny-llama") -> str:
    spec = f"  type: huggingface\n  huggingface_name: {name}\n  revision: {COMMIT}\n  model: {model}\n  location: ''"
    return f"kind: Adapter\nspec:\n{spec}"


@pytest.mark.parametrize(
    ("example", "id", "words"),
    [
        (dataset("acme/nothing"), "DS-002", "the hub has no data set 'acme/nothing', or it is private"),
        (dataset("acme/secret"), "DS-002", "or it is private"),
        (dataset("not a name"), "DS-002", "the hub has no data set"),
        (dataset("acme/gated"), "DS-002", "is gated: the hub wants a token"),
        (dataset("acme/replies", revision="v9"), "DS-002", "has no revision 'v9'"),
        (dataset("acme/flaky"), "DS-014", "could not be reached"),
        (dataset("acme/replies", features="[text, quue]"), "DS-015", "has no column 'quue'"),
        (dataset("acme/replies", features="[text]"), "DS-015", "has the columns text, queue"),
        (model("acme/nothing"), "MD-002", "the hub has no model 'acme/nothing', or it is private"),
        (model("acme/gated"), "MD-002", "is gated: the hub wants a token"),
        (model("acme/small-llama", "0" * 40), "MD-002", "has no revision"),
        (model("acme/flaky"), "MD-013", "could not be reached"),
        (adapter("acme/nothing"), "AD-016", "the hub has no adapter 'acme/nothing', or it is private"),
        (adapter("acme/gated"), "AD-016", "is gated: the hub wants a token"),
        (adapter("acme/flaky"), "AD-020", "could not be reached"),
        (adapter("acme/small-llama"), "AD-017", "lacks adapter_config.json and adapter_model.safetensors on the hub"),
        (adapter("acme/pickled-adapter"), "AD-017", "lacks adapter_model.safetensors on the hub"),
        (adapter("acme/of-another-model"), "AD-018", "trained on 'acme/other-llama', not on Model/tiny-llama"),
    ],
)
def test_each_answer_of_the_hub_has_its_own_words(
    example: str, id: str, words: str, checked: Check, online: FakeHub
) -> None:
    found = [finding for finding in checked(example, Phase.ONLINE).findings if finding.rule == id]
    assert len(found) == 1
    assert words in found[0].message
    assert [f.rule for f in checked(example, Phase.ONLINE).findings] == [id]


def registered(id: str, kind: str = "Model") -> str:
    place = "\n  location: ''" if kind == "Adapter" else ""
    return f"kind: {kind}\nspec:\n  type: model_registry\n  cml_registered_model_id: {id}{place}"


HUB_CURES = ("correct the name", "accept its terms on the hub", "check the network and HF_ENDPOINT")
REGISTRY_CURES = ("copy the id", "set the variable CDSW_APIV2_KEY", "check the network; apply --offline")


@pytest.mark.parametrize(
    ("ids", "examples", "cures"),
    [
        (
            ("DS-002", "DS-002", "DS-014"),
            [dataset(f"acme/{name}") for name in ("nothing", "gated", "flaky")],
            HUB_CURES,
        ),
        (("MD-002", "MD-002", "MD-013"), [model(f"acme/{name}") for name in ("nothing", "gated", "flaky")], HUB_CURES),
        (
            ("AD-016", "AD-016", "AD-020"),
            [adapter(f"acme/{name}") for name in ("nothing", "gated", "flaky")],
            HUB_CURES,
        ),
        (("MD-003", "MD-003", "MD-013"), [registered("nothing")] * 3, REGISTRY_CURES),
        (("AD-019", "AD-019", "AD-020"), [registered("nothing", "Adapter")] * 3, REGISTRY_CURES),
    ],
)
def test_what_is_not_there_what_needs_a_token_and_who_does_not_answer_are_three_things(
    ids: tuple[str, ...], examples: list[str], cures: tuple[str, ...], checked: Check, online: FakeHub, cml: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(rest, "AWAY_SECONDS", 0.3)
    circumstances = ({}, {"CDSW_APIV2_KEY": "revoked"}, {"CDSW_API_URL": "http://127.0.0.1:9"})
    told = []
    for id, example, variables, cure in zip(ids, examples, circumstances, cures, strict=True):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with anew():
            (found,) = checked(example, Phase.ONLINE).findings
        assert found.rule == id and cure in found.hint
        told.append((found.message, found.hint))
    assert len({message for message, _ in told}) == len({hint for _, hint in told}) == 3


@pytest.mark.parametrize("name", ["acme/ticket-router", "acme/nameless-adapter"])
def test_an_adapter_of_the_hub_that_names_its_base_or_nothing_is_clean(
    name: str, checked: Check, online: FakeHub
) -> None:
    assert checked(adapter(name), Phase.ONLINE).findings == []


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("nothing", "has no model 'nothing'"),
        ("no-version", "the registered model 'no-version' has no version"),
        ("not-logged", "the first version of 'not-logged' names no MLflow experiment and no run"),
        ("no-run", "the first version of 'no-run' names no MLflow run"),
    ],
)
def test_each_answer_of_the_registry_has_its_own_words(id: str, words: str, checked: Check, online: FakeHub) -> None:
    (found,) = checked(registered(id), Phase.ONLINE).findings
    assert found.rule == "MD-003" and words in found.message


@pytest.mark.parametrize(
    ("variables", "message", "hint"),
    [
        ({"CDSW_APIV2_KEY": ""}, "wants a key", "set the variable CDSW_APIV2_KEY"),
        ({"CDSW_APIV2_KEY": "revoked"}, "wants a key", "set the variable CDSW_APIV2_KEY"),
        ({"CDSW_API_URL": ""}, "no workspace is known", "set the variable STUDIO_CML_URL"),
        ({"CDSW_API_URL": "http://far.example"}, "is not https, so the key could be read", "--offline"),
    ],
)
def test_a_registry_that_cannot_be_asked_says_what_it_lacks(
    variables: dict[str, str], message: str, hint: str, checked: Check, online: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CDSW_DOMAIN", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (found,) = checked(registered("abcd-1234-efgh-5678"), Phase.ONLINE).findings
    assert found.rule == "MD-003" and message in found.message and hint in found.hint


def test_a_token_shows_what_is_gated_or_private(
    checked: Check, online: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "good-token")
    assert checked(dataset("acme/gated"), Phase.ONLINE).findings == []
    assert checked(model("acme/secret"), Phase.ONLINE).findings == []


def test_a_token_that_is_refused_is_reported_as_such(online: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "revoked")
    assert Hub(TOKEN).model("acme/small-llama", "") is HubFault.NEEDS_TOKEN


def test_a_hub_that_is_not_there_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert Hub(TOKEN).model("acme/small-llama", "") is HubFault.UNREACHABLE


def test_a_hub_that_cannot_be_reached_is_one_warning_and_each_question_is_asked_at_most_once(
    checked: Check, online: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    real = Hub._ask

    def ask(self: Hub, api: HfApi, question: HubQuestion) -> HubInfo | HubFault:
        asked.append(question)
        return real(self, api, question)

    monkeypatch.setattr(Hub, "_ask", ask)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (found,) = checked(model("acme/small-llama"), Phase.ONLINE).findings
    assert (found.rule, found.severity) == ("DS-014", Severity.WARNING) and len(asked) == len(set(asked)) <= 3
    assert "the hub at http://127.0.0.1:9 could not be reached: 'acme/" in found.message
    assert found.message.endswith("more were not checked")


def test_a_hub_that_never_answers_costs_a_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(_: Request) -> Answer:
        released.wait(30)
        return Answer(500)

    monkeypatch.setattr(hub_client, "ANSWER_SECONDS", 0.5)
    with serving(hang) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        began, hub = time.monotonic(), Hub(TOKEN)
        answers = [hub.model(f"acme/m-{n}", "") for n in range(50)]
        spent = time.monotonic() - began
        released.set()
    assert set(answers) == {HubFault.UNREACHABLE} and spent < 10


def test_an_unreachable_registry_is_a_warning(checked: Check, online: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDSW_API_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(rest, "AWAY_SECONDS", 0.5)
    (found,) = checked(registered("abcd-1234-efgh-5678"), Phase.ONLINE).findings
    assert (found.rule, found.severity) == ("MD-013", Severity.WARNING)
    assert (
        "the model registry at http://127.0.0.1:9 could not be reached: 'abcd-1234-efgh-5678' was not" in found.message
    )


def test_the_value_of_a_variable_that_holds_something_else_is_sent_nowhere(
    online: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "good-token")
    monkeypatch.setenv("STUDIO_HF_TOKEN_DESK", "good-token")
    assert Hub("AWS_SECRET_ACCESS_KEY").model("acme/secret", "") is HubFault.NOT_FOUND
    assert isinstance(Hub("STUDIO_HF_TOKEN_DESK").model("acme/secret", ""), HubInfo)


def test_a_key_goes_to_no_address_that_only_studio_yaml_names(
    checked: Check, online: FakeHub, cml: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workspace(None, registered_model(MODEL_ID, logged())) as hostile:
        settings = f"kind: Project\nspec:\n  backend: {{url: '{hostile.url}'}}\n---\n"
        (found,) = checked(settings + registered(MODEL_ID), Phase.ONLINE).findings
        assert found.rule == "MD-003" and f"set STUDIO_CML_URL={hostile.url}" in found.message
        assert hostile.requests == []
        monkeypatch.setenv("STUDIO_CML_URL", f"{hostile.url}/")
        assert checked(settings + registered(MODEL_ID), Phase.ONLINE).findings == []
        assert len(hostile.requests) == 1


def test_the_static_phase_opens_no_socket(checked: Check, online: FakeHub) -> None:
    checked(dataset("acme/nothing"))
    assert online.requests == []


def test_the_hub_is_asked_once_for_each_repository(checked: Check, online: FakeHub) -> None:
    checked(dataset("acme/replies"), Phase.ONLINE)
    assert len(online.requests) == len(set(online.requests)) == 3


def test_columns_come_from_the_card_of_the_right_subset(online: FakeHub) -> None:
    assert Hub(TOKEN).dataset("acme/replies", COMMIT) == HubInfo(COMMIT, ("text", "queue"))
    assert Hub(TOKEN).dataset("acme/replies", COMMIT, "french") == HubInfo(COMMIT, ())


def test_only_40_hexadecimal_digits_are_a_commit() -> None:
    assert is_commit(COMMIT)
    assert not any(map(is_commit, ("main", "", COMMIT[:39], COMMIT + "0", COMMIT + "\n", COMMIT.upper())))


def test_the_fake_hub_serves_files_to_the_real_client(online: FakeHub, tmp_path: Path) -> None:
    api = HfApi(endpoint=online.url, token=False)
    assert [file.path for file in api.list_repo_tree("acme/replies", repo_type="dataset")] == ["README.md"]
    path = api.hf_hub_download("acme/replies", "README.md", repo_type="dataset", cache_dir=str(tmp_path))
    assert Path(path).read_bytes() == b"# Replies\n"
