"""What ``studio serve`` serves, and what it says where it cannot; the server itself is tested in tests/jobs."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import StudioError, UsageError
from studio.core.references import Ref
from studio.core.servingspec import RegisteredVersion, ServingSpec
from studio.load.project import load_project
from studio.state.base import Record, RecordStatus, Run, RunStatus
from studio.workflow import places
from studio.workflow.serving import Shelf
from tests import projects

from . import states
from .front_door import ask

JOB, EXPORT, MODEL = Ref("FineTuningJob", "train"), Ref("ModelExport", "release"), Ref("Model", "tiny")
TRAINED = {"adapter": "adapters/router", "digest": "d" * 64, "kept": None}
EXPORTED = {"model_name": "router", "model_version": "7"}


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A project whose data, model, prompt and configs are applied, with an adapter's files."""
    root = projects.write(tmp_path / "desk", projects.data_resources())
    projects.write_adapter(root / "adapters" / "router")
    assert ask(root, "apply", "--yes").code == 0
    return root


def put(root: Path, ref: Ref, output: dict[str, Any] | None = None, **changes: Any) -> None:
    """Record a job as apply would."""
    specs = {Ref(each["kind"], each["metadata"]["name"]): each["spec"] for each in projects.support_desk()}
    with states.writing(root) as state:
        model = state.records()[MODEL]
        record = Record(
            ref, "uid", specs.get(ref, {}), {"name": ref.name}, "f", {str(MODEL): model.fingerprint},
            RecordStatus.READY, outcome={"output": output} if output else {},
        )  # fmt: skip
        state.save_record(replace(record, **changes))


def shelf(root: Path) -> Shelf:
    loaded = load_project(root)
    return Shelf(loaded, places.open_state(loaded))


def spec(root: Path, ref: Ref, **options: Any) -> ServingSpec:
    return shelf(root).spec(ref, 2, **options)


def test_a_base_model_is_served_as_it_is_recorded(desk: Path) -> None:
    found = spec(desk, MODEL)
    assert (found.name, found.title) == ("tiny", "Model/tiny") and found.adapter is None and found.version is None
    assert found.model is not None and found.model.location == "models/tiny" and found.model.digest
    assert found.project_dir == str(desk) and found.resources.cpu == 2


def test_a_job_is_served_as_its_adapter_on_its_base_under_three_names(desk: Path) -> None:
    put(desk, JOB, TRAINED)
    by_job, by_adapter = spec(desk, JOB), spec(desk, Ref("Adapter", "router"))
    assert by_job.adapter == by_adapter.adapter and by_job.model == by_adapter.model
    assert by_job.adapter is not None and by_job.adapter.location == "adapters/router"
    assert {str(ref) for ref in shelf(desk).names()} == {"Model/tiny", "FineTuningJob/train", "Adapter/router"}


def test_an_adapter_with_a_manifest_of_its_own_is_served_on_the_model_it_names(desk: Path) -> None:
    put(desk, Ref("Adapter", "own"), spec={"type": "project", "model": "tiny", "location": "adapters/router"})
    found = spec(desk, Ref("Adapter", "own"))
    assert found.adapter is not None and found.adapter.location == "adapters/router" and found.model is not None
    put(desk, JOB, TRAINED)
    put(desk, Ref("Adapter", "named"), spec={"type": "project", "model": "tiny", "fine_tuning_job": "train"})
    assert spec(desk, Ref("Adapter", "named")).adapter == spec(desk, JOB).adapter


def test_an_export_is_served_as_its_version_with_the_settings_it_was_registered_with(desk: Path) -> None:
    put(desk, EXPORT, EXPORTED)
    found = spec(desk, EXPORT)
    assert found.version == RegisteredVersion(model_name="router", model_version="7") and found.model is None
    assert found.generation is None and found.tracking.tracking_uri == "sqlite:///.studio/mlflow.db"


def test_generation_settings_are_the_projects_default_or_a_config_by_name(desk: Path) -> None:
    own = projects.manifest("Config", "short", {"type": "generation_config", "config": {"max_new_tokens": 3}})
    projects.write(desk, [*projects.data_resources(), own])
    put(desk, EXPORT, EXPORTED)
    assert spec(desk, MODEL).generation not in (None, {"max_new_tokens": 3})
    assert spec(desk, MODEL, generation="short").generation == {"max_new_tokens": 3}
    assert spec(desk, EXPORT, generation="short").generation == {"max_new_tokens": 3}
    for wrong, hint in (("shrt", "did you mean 'short'?"), ("lora", "")):
        with pytest.raises(UsageError, match="is not a Config of type generation_config") as caught:
            spec(desk, MODEL, generation=wrong)
        assert hint in caught.value.hint


def under_way(root: Path) -> None:
    with states.writing(root) as state:
        state.save_run(Run("key", 1, "default", JOB, "f", "local", RunStatus.SUBMITTED, submitted_at="2026-01-01"))


@pytest.mark.parametrize(
    ("output", "changes", "words", "hint"),
    [
        (None, {}, "FineTuningJob/train has not run yet", "'studio apply' runs it"),
        (None, {"status": RecordStatus.FAILED, "error": "no memory"}, "train failed: no memory", "retries"),
        ({**TRAINED, "adapter": "gone"}, {}, "is not on this machine: gone is not there", "where it was trained"),
        ({**TRAINED, "adapter": "gone", "place": "cml:w/1"}, {}, "trained on cml:w/1", "serve it there"),
        (TRAINED, {"inputs": {"Model/tiny": "other"}}, "Model/tiny has changed since FineTuningJob/train", "again"),
        (TRAINED, {"spec": {"base_model": "lost", "adapter_name": "router"}}, "Model/lost is not recorded", "apply"),
    ],
)  # fmt: skip
def test_a_job_that_cannot_be_served_says_why_and_what_to_do(
    desk: Path, output: dict[str, Any] | None, changes: dict[str, Any], words: str, hint: str
) -> None:
    put(desk, JOB, output, **changes)
    answer = ask(desk, "serve", "train")
    assert answer.code == 1 and answer.out == ""
    assert words in answer.err.splitlines()[0] and hint in answer.err.splitlines()[1]


def test_a_job_under_way_has_nothing_to_serve_yet(desk: Path) -> None:
    under_way(desk)
    answer = ask(desk, "serve", "FineTuningJob/train")
    assert answer.code == 1
    assert "FineTuningJob/train is still under way: there is nothing to serve yet" in answer.err


def test_an_endpoint_of_a_workspace_is_not_served_here(desk: Path) -> None:
    put(desk, EXPORT, {"endpoint": "https://w.example/model"})
    answer = ask(desk, "serve", "release")
    assert answer.code == 1
    assert "an endpoint that its workspace serves\n  here: 'studio serve Adapter/router'" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tinny"], "nothing recorded is called 'tinny'\n  known: Model/tiny\n"),
        (["Dataset/tickets"], "Dataset/tickets answers no prompts\n  name one of these kinds: Model, Adapter"),
        (["route"], "Prompt/route answers no prompts"),
        (["tiny", "--host", "0.0.0.0"], "lets others in, and there is no token to tell them apart by\n  say --token"),
        (["tiny", "--host", "127.evil.example"], "lets others in"),
        (["tiny", "--token-env", "NO_SUCH_VARIABLE"], "the variable 'NO_SUCH_VARIABLE' is not set"),
        (["tiny", "--token-env", ""], "the variable '' is not set"),
        (["tiny", "--token-env", "SHORT"], "the token in SHORT is shorter than 16 characters"),
        (["tiny", "--token-env", "SPACED"], "the token in SPACED holds a character that no header can carry"),
        (["tiny", "--port", "65536"], "--port"),
        (["tiny", "--port", "http"], "--port"),
        (["tiny", "--max-queue", "-1"], "--max-queue"),
        (["tiny", "--timeout", "0"], "--timeout"),
        (["tiny", "--env", "prod"], "prod"),
        ([], "Missing argument"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_a_usage_error(
    desk: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.setenv("SHORT", "abc")
    monkeypatch.setenv("SPACED", "a token with spaces in it")
    answer = ask(desk, "serve", *arguments)
    assert answer.code == 64 and words in answer.err, answer.err
    assert "abc" not in answer.err.replace("SHORT", "") and "a token with" not in answer.err


def test_what_was_never_applied_is_not_served(tmp_path: Path) -> None:
    root = projects.write(tmp_path / "new", projects.support_desk())
    answer = ask(root, "serve", "Model/tiny")
    assert answer.code == 64
    assert "Model/tiny is declared but was never applied\n  'studio plan' shows what would happen" in answer.err


def test_a_port_in_use_is_found_before_anything_is_loaded(desk: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = ask(desk, "serve", "tiny", "--port", str(port))
    assert answer.code == 1 and answer.out == ""
    assert answer.err.startswith(f"error: port {port} of 127.0.0.1 is in use\n  stop what listens there")


def test_missing_libraries_are_named_with_the_command_that_installs_them(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from studio.cli import serve

    monkeypatch.setattr(serve, "NEEDED", ("torch", "no_such_library"))
    answer = ask(desk, "serve", "tiny")
    assert answer.code == 1
    assert answer.err == "error: no_such_library not installed here\n  pip install 'fine-tuning-studio[serve]'\n"


def test_a_record_of_another_kind_is_never_taken_for_a_model(desk: Path) -> None:
    with pytest.raises(AssertionError, match="Dataset is not served"):
        spec(desk, Ref("Dataset", "tickets"))
    with pytest.raises(StudioError, match="Model/none is not recorded"):
        spec(desk, Ref("Model", "none"))
