"""The rules that ask the hub, against one that speaks its protocol over a real socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import HfApi

from studio.core.findings import Phase
from studio.load.hub import Hub, HubFault, HubInfo, is_commit
from tests.fakes.hub import COMMIT, FakeHub
from tests.rules.conftest import Check

TOKEN = "HUGGINGFACE_ACCESS_TOKEN"


def dataset(name: str, **spec: str) -> str:
    lines = [f"  {key}: {value}" for key, value in {"revision": COMMIT, **spec}.items()]
    return "\n".join(["kind: Dataset", "spec:", "  type: huggingface", f"  huggingface_name: {name}", *lines])


def model(name: str, revision: str = COMMIT) -> str:
    spec = f"  type: huggingface\n  huggingface_model_name: {name}\n  revision: {revision}"
    return f"kind: Model\nspec:\n{spec}"


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
    ],
)
def test_each_answer_of_the_hub_has_its_own_words(
    example: str, id: str, words: str, checked: Check, online: FakeHub
) -> None:
    found = [finding for finding in checked(example, Phase.ONLINE).findings if finding.rule == id]
    assert len(found) == 1
    assert words in found[0].message
    assert [f.rule for f in checked(example, Phase.ONLINE).findings] == [id]


def registered(id: str) -> str:
    return f"kind: Model\nspec:\n  type: model_registry\n  cml_registered_model_id: {id}"


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
        ({"CDSW_API_URL": ""}, "no workspace is known", "set spec.backend.url in studio.yaml"),
        ({"CDSW_API_URL": "http://far.example"}, "could not be asked", "(https)"),
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
