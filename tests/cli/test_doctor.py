"""``studio doctor``: what it finds on a good machine, on a bad one, and that nothing stops or delays it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import StudioError
from studio.doctor import CHECKS, machine
from studio.doctor.checkup import Checkup, Surroundings, Verdict, run
from studio.load import rest
from studio.state.lease import held
from studio.state.sql import open_engine
from tests.backends.workspace.places import add_template
from tests.fakes.cml_server import KEY, Workspace, workspace
from tests.fakes.http import Answer, serving
from tests.fakes.hub import serving as hub_serving
from tests.fakes.workspace import faults
from tests.fakes.workspace.traffic import asked_again_after_a_refusal
from tests.projects import ROOT, SETTINGS, manifest, snapshot, support_desk, with_spec, write

from . import front_door
from .front_door import ask

STATE = "sqlite:///.studio/state.db"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without a GPU, a workspace or a token; torch is asked in one test only, because it is slow."""
    for name in list(os.environ):
        if name.startswith(("CDSW_", "HF_", "MLFLOW_", "HUGGINGFACE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(machine, "TORCH", "raise SystemExit(1)")
    yield


def diagnosis(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Name of the check to what it found."""
    answer = ask(folder, "doctor", "--json", *arguments)
    assert answer.code == code, answer.out + answer.err
    content = json.loads(answer.out)
    assert content["version"] == 1
    return {each["name"]: each for each in content["checks"]}


def settings(root: Path, **spec: Any) -> None:
    (root / "studio.yaml").write_text(SETTINGS + f"spec: {json.dumps(spec)}\n")


def program(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a shell script in front of everything on PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_good_machine_has_everything_and_nothing_is_written(desk: Path) -> None:
    before = snapshot(desk)
    answer = ask(desk, "doctor")
    assert answer.code == 0 and answer.err == ""
    assert "Everything that the project needs is here" in answer.out
    found = diagnosis(desk)
    assert list(found) == [
        name for name in CHECKS if not name.startswith(("CML", "Axolotl", "GGUF", "judges", "lm_eval"))
    ]
    assert found["state"]["found"].endswith("none yet, the first apply creates it")
    assert "transformers 5." in found["train libraries"]["found"]
    assert snapshot(desk) == before


def test_a_project_that_asks_for_gguf_needs_the_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STUDIO_GGUF_CONVERTER", raising=False)
    root = write(tmp_path / "desk", with_spec(support_desk(), "ModelExport", gguf="q8_0"))
    found = diagnosis(root, code=1)["GGUF"]
    assert found["verdict"] == "missing" and "STUDIO_GGUF_CONVERTER is not set" in found["found"]
    assert "absolute path of llama.cpp's convert_hf_to_gguf.py" in found["cure"]
    script = tmp_path / "convert_hf_to_gguf.py"
    script.write_text("raise SystemExit('never run')")
    monkeypatch.setenv("STUDIO_GGUF_CONVERTER", str(script))
    assert (diagnosis(root)["GGUF"]["verdict"], diagnosis(root)["GGUF"]["found"]) == ("ok", str(script))


def test_outside_a_project_the_machine_is_checked_all_the_same(tmp_path: Path) -> None:
    found = diagnosis(tmp_path)
    assert found["project"]["verdict"] == "warning" and "studio init" in found["project"]["cure"]
    assert found["python"]["verdict"] == "ok" and "state" not in found


@pytest.mark.slow
def test_studio_itself_never_imports_torch_to_ask_about_gpus(desk: Path) -> None:
    code = (
        "import sys; from studio.cli.main import studio\n"
        "studio.main(['doctor'], standalone_mode=False)\n"
        "print('loaded:', sorted({'torch', 'mlflow', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=desk, env=front_door.environment(), capture_output=True, text=True
    )
    assert "loaded: []" in done.stdout and "GPU             torch " in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'NVIDIA H100 80GB HBM3, 81559'; echo 'NVIDIA A10, with a comma, 24564'",
         "nvidia-smi sees NVIDIA H100 80GB HBM3, 80 GiB; NVIDIA A10, with a comma, 24 GiB"),
        ("echo garbage; printf '\\377\\000,x'", "no GPU"),
        ("echo 'Unable to determine the device handle'; exit 9", "no GPU"),
        ("echo 'No devices were found'", "no GPU"),
    ],
)  # fmt: skip
def test_gpus_are_those_that_nvidia_smi_names(
    tmp_path: Path, script: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "nvidia-smi", script, monkeypatch)
    assert diagnosis(tmp_path)["GPU"]["found"] == words


def test_a_file_of_the_project_is_not_taken_for_a_library(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk / "json.py").write_text("open('imported', 'w')")
    monkeypatch.chdir(desk)
    monkeypatch.setattr(machine, "TORCH", "import json; print(json.dumps(['9.9', []]))")
    assert machine._by_torch() == ("torch 9.9 sees no GPU", [])
    assert not (desk / "imported").exists()


def test_a_program_that_hangs_is_given_up(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert machine._output("sleep", "30", seconds=0.2) == ""
    assert time.monotonic() - begun < 5


def test_a_job_that_asks_for_more_gpus_than_there_are_is_missing_them(desk: Path) -> None:
    job = next((desk / "manifests").glob("*.yaml"))
    job.write_text(job.read_text().replace('"num_gpu": 0', '"num_gpu": 2').replace("num_gpu: 0", "num_gpu: 2"))
    found = diagnosis(desk, code=1)["GPU"]
    assert found["verdict"] == "missing" and found["found"] == "no GPU; a job asks for 2"


@pytest.mark.slow
def test_libraries_that_do_not_suit_are_named_with_the_reason_and_the_command(desk: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name, version in (("transformers", "5.23.0"), ("click", "7.0")):
        (site / f"{name}-{version}.dist-info").mkdir(parents=True)
        (site / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    answer = front_door.run(desk, "doctor", "--json", PYTHONPATH=f"{site}{os.pathsep}{ROOT}")
    found = {each["name"]: each for each in json.loads(answer.out)["checks"]}
    assert answer.code == 1
    assert found["train libraries"]["found"].startswith("transformers 5.23.0 does not suit")
    assert "mlflow 3.17 cannot log" in found["train libraries"]["found"]
    assert found["train libraries"]["cure"] == "pip install 'transformers<5.23,>=5'"
    assert found["core libraries"]["cure"] == "pip install 'click>=8.1'"


def test_libraries_that_are_not_there_matter_only_where_jobs_run(
    desk: Path, data_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import metadata

    version = metadata.version

    def absent(name: str) -> str:
        if name in ("trl", "peft"):
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", absent)
    found = diagnosis(desk, code=1)["train libraries"]
    assert (found["verdict"], found["cure"]) == ("missing", "pip install 'peft>=0.18' 'trl>=1.0'")
    assert "peft is not installed; trl is not installed" in found["found"]
    assert diagnosis(data_only)["train libraries"]["verdict"] == "warning"


@pytest.mark.parametrize("text", ["spec: [", "kind: Prject", "spec: {state: 3}"])
def test_settings_that_are_broken_do_not_stop_the_rest(desk: Path, text: str) -> None:
    (desk / "studio.yaml").write_text(text)
    found = diagnosis(desk, code=1)
    assert found["project"]["verdict"] == "missing" and "studio validate" in found["project"]["cure"]
    assert found["python"]["verdict"] == "ok"


def test_a_state_says_its_schema_and_who_holds_its_lock(desk: Path) -> None:
    engine = open_engine(STATE, desk)
    assert diagnosis(desk)["state"]["found"].endswith("schema 0002, not locked")
    with held(engine, "default", "studio apply"):
        found = diagnosis(desk)["state"]
    engine.dispose()
    assert found["verdict"] == "warning" and f"locked by 'studio apply', process {os.getpid()}" in found["found"]


def test_files_that_are_no_databases_are_missing_ones(desk: Path) -> None:
    (desk / ".studio").mkdir()
    for name in ("state.db", "mlflow.db"):
        (desk / ".studio" / name).write_bytes(b"not a database, but long enough to look at" * 100)
    found = diagnosis(desk, code=1)
    assert found["state"]["verdict"] == found["MLflow"]["verdict"] == "missing"
    assert all("file is not a database" in found[part]["found"] for part in ("state", "MLflow"))


def test_variables_that_hold_secrets_are_named_and_never_shown(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(desk, state={"env": "MY_STATE"}, mlflow={"tracking_uri": {"env": "STUDIO_MLFLOW_TEST"}})
    found = diagnosis(desk, code=1)
    assert "MY_STATE is not set" in found["state"]["found"]
    assert "STUDIO_MLFLOW_TEST is not set" in found["MLflow"]["found"]
    monkeypatch.setenv("MY_STATE", "postgresql+psycopg://user:hunter2@127.0.0.1:9/db?connect_timeout=2")
    monkeypatch.setenv("STUDIO_MLFLOW_TEST", "https://user:hunter2@mlflow.example:port")
    monkeypatch.setenv("HUGGINGFACE_ACCESS_TOKEN", "hunter2")
    answer = ask(desk, "doctor", "--online")
    assert answer.code == 1 and "hunter2" not in answer.out + answer.err
    assert "HUGGINGFACE_ACCESS_TOKEN is set" in answer.out


@pytest.mark.parametrize(
    ("uri", "verdict", "words"),
    [
        ("mlruns", "missing", "a file store, which MLflow 3 refuses"),
        ("databricks://profile", "ok", "databricks://profile"),
        ("http://127.0.0.1:9", "ok", "not asked; --online asks"),
        ("sqlite:///other.db", "missing", "a database of something else"),
    ],
)
def test_each_kind_of_tracking_store_is_judged(desk: Path, uri: str, verdict: str, words: str) -> None:
    with sqlite3.connect(desk / "other.db") as other:
        other.execute("CREATE TABLE birds (name)")
    settings(desk, mlflow={"tracking_uri": uri})
    found = diagnosis(desk, code=verdict == "missing")["MLflow"]
    assert found["verdict"] == verdict and words in found["found"]


def test_a_project_that_was_moved_is_told_from_one_that_was_not(desk: Path) -> None:
    database = desk / ".studio" / "mlflow.db"
    database.parent.mkdir(exist_ok=True)
    for place, verdict in ((desk, "ok"), (desk.parent / "before", "warning")):
        with sqlite3.connect(database) as opened:
            opened.execute("CREATE TABLE IF NOT EXISTS experiments (artifact_location)")
            opened.execute("INSERT INTO experiments VALUES (?)", ((place / ".studio" / "mlartifacts").as_uri(),))
        found = diagnosis(desk)["MLflow"]
        assert found["verdict"] == verdict, found
    assert "the project was moved" in found["found"] and "the next job corrects it" in found["cure"]


def test_online_asks_the_hub_and_the_tracking_server(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_serving({}) as hub, serving(lambda request: Answer(200, {}, b"OK")) as mlflow:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        settings(desk, mlflow={"tracking_uri": mlflow})
        assert diagnosis(desk)["hub"]["found"].endswith("--online asks") and hub.requests == []
        found = diagnosis(desk, "--online")
    assert found["hub"]["found"] == f"{hub.url} answers" and found["MLflow"]["found"] == f"{mlflow} answers"
    found = diagnosis(desk, "--online", code=1)  # both are gone now
    assert found["MLflow"]["verdict"] == "missing" and "does not answer" in found["MLflow"]["found"]
    assert found["hub"]["verdict"] == "warning"  # nothing in this project is on the hub
    with serving(lambda request: Answer(503)) as mlflow:
        settings(desk, mlflow={"tracking_uri": mlflow})
        assert "answers with HTTP 503" in diagnosis(desk, "--online", code=1)["MLflow"]["found"]


def test_a_workspace_needs_its_client_and_a_key(
    data_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "DEADLINE_SECONDS", 0.5)
    with workspace() as cml:
        monkeypatch.setenv("CDSW_API_URL", f"{cml.url}/api/v1")
        monkeypatch.setitem(sys.modules, "cmlapi", None)  # not there, whether it is installed or not
        found = diagnosis(data_only)["CML"]
        assert (found["verdict"], found["cure"]) == ("warning", f"pip install {cml.url}/api/v2/python.tar.gz")
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "cmlapi.py").write_text("raise SystemExit('imported')")
        monkeypatch.syspath_prepend(tmp_path / "site")
        monkeypatch.delitem(sys.modules, "cmlapi")
        assert "CDSW_APIV2_KEY is not set" in diagnosis(data_only)["CML"]["found"]
        monkeypatch.setenv("CDSW_APIV2_KEY", KEY)
        assert diagnosis(data_only)["CML"]["verdict"] == "ok" and cml.requests == []
        assert diagnosis(data_only, "--online")["CML"]["found"].endswith("it accepts the key")
        monkeypatch.setenv("CDSW_APIV2_KEY", "revoked")
        assert diagnosis(data_only, "--online")["CML"]["found"].endswith("it refuses the key")
    assert diagnosis(data_only, "--online")["CML"]["found"].endswith("it does not answer")


def test_models_need_room(desk: Path) -> None:
    big = manifest("Model", "big", {"type": "huggingface", "huggingface_model_name": "acme/llama-9000000B"})
    write(desk, [big])
    found = diagnosis(desk)["disk"]
    assert found["verdict"] == "warning" and "hub cache" in found["cure"]


@pytest.mark.parametrize(
    ("name", "size"),
    [("acme/llama-3.1-8B-it", 16e9), ("acme/tiny-135m", 27e7), ("a/b7x", 5 * 2**30), ("a/8bit", 5 * 2**30)],
)
def test_the_size_of_a_model_is_in_its_name(name: str, size: float) -> None:
    assert machine._size(name) == size


def test_a_check_that_hangs_or_breaks_stops_no_other(tmp_path: Path) -> None:
    def hang(around: Surroundings) -> Checkup:
        time.sleep(30)
        return Checkup(Verdict.OK, "too late")

    def crash(around: Surroundings) -> Checkup:
        raise RuntimeError("boom")

    def refuse(around: Surroundings) -> Checkup:
        raise StudioError("no", "do this")

    around = Surroundings(tmp_path, None, {}, str)
    table = {"a": hang, "b": crash, "c": refuse, "d": hang, "e": lambda _: None}
    begun = time.monotonic()
    found = dict(run(table, around, limit=0.3))
    assert time.monotonic() - begun < 5 and list(found) == ["a", "b", "c", "d"]
    assert found["a"].found == found["d"].found == "gave no answer within 0.3 s"
    assert found["b"] == Checkup(Verdict.WARNING, "could not be checked: RuntimeError: boom", found["b"].cure)
    assert found["c"] == Checkup(Verdict.MISSING, "no", "do this")


TEMPLATES = ("Accel_Finetuning_Base_Job", "Mlflow_Evaluation_Base_Job", "Finetuning_Base_Job")


@pytest.fixture
def there(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace that the project's jobs go to, with all that they need; studio runs outside."""
    with workspace(desk, limit=0) as cml:
        settings(desk, environments={"cml": {"backend": {"type": "cml", "url": cml.url, "project_id": cml.project_id}}})
        (desk / "cml").mkdir()
        (desk / "cml" / "run_job.py").touch()
        for name in TEMPLATES:
            add_template(cml, name)
        monkeypatch.setenv("STUDIO_CML_URL", cml.url)
        monkeypatch.setenv("CDSW_APIV2_KEY", cml.key)
        cml.calls.clear()
        yield cml


def of_workspace(desk: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    found = diagnosis(desk, "--env", "cml", *arguments, code=code)
    return {name: each for name, each in found.items() if name.startswith("CML")}


def test_all_that_jobs_need_in_a_workspace_is_asked_for_online_only(desk: Path, there: Workspace) -> None:
    assert set(of_workspace(desk)) == {"CML", "CML project"} and there.calls == []
    found = of_workspace(desk, "--online")
    assert set(found) == {"CML", "CML project", "CML templates", "CML labels", "CML registry"}
    assert {each["verdict"] for each in found.values()} == {"ok"}, found
    assert "ml-runtime-cuda:1" in found["CML templates"]["found"]
    assert there.count("create_job") == 0 and KEY not in json.dumps(found)


def test_a_template_that_is_missing_or_has_no_script_is_named(desk: Path, there: Workspace) -> None:
    (job,) = [each for each in there.client.list_jobs(there.project_id).jobs if each.name == TEMPLATES[1]]
    there.client.delete_job(there.project_id, job.id)
    (desk / "cml" / "run_job.py").unlink()
    found = of_workspace(desk, "--online", code=1)["CML templates"]
    assert (
        f"no job named {TEMPLATES[1]}" in found["found"] and "cml/run_job.py, is not in the project" in found["found"]
    )
    assert "studio init --cml" in found["cure"]


def test_a_label_that_the_workspace_does_not_have_is_missing(desk: Path, there: Workspace) -> None:
    labelled = manifest("FineTuningJob", "labelled", {"num_gpu": 1, "gpu_label_id": 4711})
    (desk / "manifests" / "labelled.yaml").write_text(json.dumps(labelled))
    found = of_workspace(desk, "--online", code=1)["CML labels"]
    assert "no label 4711" in found["found"] and found["cure"] == "correct gpu_label_id"


def test_a_key_that_is_refused_is_told_and_not_shown(
    desk: Path, there: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDSW_APIV2_KEY", "a-key-that-was-revoked")
    found = of_workspace(desk, "--online", code=1)
    assert found["CML project"]["verdict"] == "missing" and "a-key-that-was-revoked" not in json.dumps(found)
    assert asked_again_after_a_refusal(there.calls) == []
    assert set(found) == {"CML", "CML project"}, "of the rest nothing is known"


@pytest.mark.parametrize("key", ["pasted\nkey", "a key", "schlüssel"], ids=["line break", "blank", "letter"])
def test_a_key_that_cannot_be_sent_is_told_and_not_shown(
    desk: Path, there: Workspace, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("CDSW_APIV2_KEY", key)
    found = of_workspace(desk, "--online", code=1)
    assert set(found) == {"CML"} and "CDSW_APIV2_KEY holds what no key has" in found["CML"]["found"]
    assert "alone" in found["CML"]["cure"] and key not in found["CML"]["found"] and there.calls == []


def test_a_project_that_is_not_there_is_told_once(desk: Path, there: Workspace) -> None:
    there.faults.always("get_project", faults.NOT_FOUND)
    there.faults.always("list_jobs", faults.NOT_FOUND)
    found = of_workspace(desk, "--online", code=1)
    assert "CML templates" not in found and "correct project_id" in found["CML project"]["cure"]


def test_a_workspace_that_is_down_keeps_nobody_waiting_for_a_minute(desk: Path, there: Workspace) -> None:
    there.faults.always(faults.ANY, faults.UNAVAILABLE)
    begun = time.monotonic()
    found = of_workspace(desk, "--online", code=1)
    assert time.monotonic() - begun < 30 and "did not answer" in found["CML project"]["found"]


def test_the_general_template_is_not_needed_where_there_is_one_for_training(desk: Path, there: Workspace) -> None:
    (job,) = [each for each in there.client.list_jobs(there.project_id).jobs if each.name == TEMPLATES[2]]
    there.client.delete_job(there.project_id, job.id)
    found = of_workspace(desk, "--online")["CML templates"]
    assert found["verdict"] == "ok" and found["found"].count(TEMPLATES[0]) == 1


def test_an_engine_of_another_project_is_told(desk: Path, there: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CDSW_ENGINE_ID", "CDSW_PROJECT_ID", "CDSW_DOMAIN"):
        monkeypatch.setenv(name, "other")
    found = of_workspace(desk)
    assert f"jobs go to the project {there.project_id}" in found["CML project"]["found"]
    assert "project_id: other" in found["CML project"]["cure"]


def test_an_engine_says_what_it_lacks(data_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDSW_PROJECT_ID", "p")
    found = diagnosis(data_only)["CML engine"]
    assert found["verdict"] == "warning" and "CDSW_ENGINE_ID" in found["found"] and found["cure"]
    for name in ("CDSW_ENGINE_ID", "CDSW_DOMAIN", "CDSW_APIV2_KEY"):
        monkeypatch.setenv(name, "x")
    with monkeypatch.context() as patched:
        patched.setattr("studio.doctor.workspace.PACKAGE", "no-such-package-of-anybody")
        assert "install.py" in diagnosis(data_only, code=1)["CML engine"]["cure"]
        patched.setattr("studio.doctor.workspace._is_writable", lambda _: False)
        assert "cannot be written to" in diagnosis(data_only, code=1)["CML engine"]["found"]
