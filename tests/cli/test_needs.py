"""What jobs need of the machine is known before any of them starts: in plans, in apply, in doctor."""

from __future__ import annotations

import ast
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from studio.core import harness_tasks
from studio.core.needs import ATTENDING, EVALUATION, EXPORT, TRAINING, is_of_bitsandbytes
from studio.jobs import needs, packages
from studio.plan.saved import content, demand_same
from studio.workflow import places, planning
from tests.fakes import axolotl_environment
from tests.fakes.backend import CountingBackend
from tests.projects import ROOT, SETTINGS, Document, manifest, pick, snapshot, support_desk, with_spec, write

from .front_door import ask

JUDGE = {"name": "helpfulness", "model": "judge-large", "definition": "It helps.", "endpoint": "house"}
OTHER = {**JUDGE, "name": "politeness", "sample": 5}
URL = "STUDIO_JUDGE_URL_HOUSE"
CML = "spec:\n  backend: {type: cml, url: https://ml.example.com, project_id: abcd-1234}\n"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with the libraries of jobs, and nothing else that a job could ask for."""
    for name in (URL, "STUDIO_JUDGE_KEY_HOUSE", "STUDIO_AXOLOTL_PYTHON", "STUDIO_GGUF_CONVERTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(harness_tasks, "PACKAGE", "lm_eval_that_is_not_installed")


def demanding() -> list[Document]:
    """A project whose jobs need one of each."""
    documents = with_spec(support_desk(), "EvaluationJob", judges=[JUDGE, OTHER], tasks=["hellaswag"])
    documents = with_spec(documents, "ModelExport", gguf="q8_0")
    sized = {name: pick(documents, "FineTuningJob")["spec"][name] for name in ("base_model", "dataset", "prompt")}
    asked = {"num_cpu": 2, "num_gpu": 1, "num_memory": 4, "framework_type": "axolotl", "adapter_name": "other"}
    config = {"datasets": [{"type": "alpaca"}], "micro_batch_size": 1, "num_epochs": 1}
    return [*documents, manifest("FineTuningJob", "elsewhere", {**sized, **asked, "axolotl_config": config})]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    return write(tmp_path / "desk", demanding())


def equip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the machine all of it."""
    script = folder / "convert_hf_to_gguf.py"
    script.write_text("raise SystemExit('never run')")
    monkeypatch.setenv("STUDIO_GGUF_CONVERTER", str(script))
    monkeypatch.setenv("STUDIO_AXOLOTL_PYTHON", str(axolotl_environment.build(folder / "axolotl")))
    monkeypatch.setenv(URL, "https://judges.example.com/v1")
    monkeypatch.setattr(harness_tasks, "PACKAGE", "numpy")


def planned(root: Path, *arguments: str) -> dict[str, Any]:
    answer = ask(root, "plan", "--json", *arguments)
    assert answer.code == 0, answer.out + answer.err
    found: dict[str, Any] = json.loads(answer.out)
    return found


WORDS = {
    "EvaluationJob/compare": (f"{URL} is not set where the job runs", "lm_eval, which is not installed"),
    "ModelExport/release": ("the variable STUDIO_GGUF_CONVERTER is not set",),
    "FineTuningJob/elsewhere": ("the variable STUDIO_AXOLOTL_PYTHON that should name it is not set",),
}


def test_apply_tells_all_that_is_missing_and_starts_nothing(desk: Path) -> None:
    before = snapshot(desk)
    answer = ask(desk, "apply", "--yes", "--offline")
    assert answer.code == 1 and snapshot(desk) == before
    assert answer.err == (
        "Nothing was applied: this machine lacks what jobs need, see above; mend that, or choose others with --target "
        "or --exclude.\n"
    )
    told = [line for line in answer.out.splitlines() if line.startswith("missing on this machine: ")]
    for job, words in WORDS.items():
        for each in words:
            assert sum(each in line and line.endswith(f"needed by: {job}") for line in told) == 1, each
    assert len(told) == 4 and all("(manifests/all.yaml:" in line for line in told)
    assert "set it to the address of an OpenAI-compatible service" in answer.out


def test_a_plan_warns_of_the_same_in_every_form_and_does_not_fail(desk: Path) -> None:
    text, markdown, told = ask(desk, "plan"), ask(desk, "plan", "--markdown"), planned(desk)["lacking"]
    assert text.code == markdown.code == 0 and len(told) == 4
    for each in told:
        [job], words = each["resources"], each["message"]
        assert any(known in words for known in WORDS[job]) and each["hint"]
        assert words in text.out and each["hint"] in text.out and words in markdown.out and each["hint"] in markdown.out
        line = int(each["position"].split(":")[1])
        written = (desk / "manifests" / "all.yaml").read_text().splitlines()[line - 1]
        assert any(field in written for field in ('"name": "helpfulness"', "{", "[", "gguf", "axolotl")), written


def test_only_jobs_that_were_chosen_and_would_start_are_looked_at(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert planned(desk, "--target", "FineTuningJob/train")["lacking"] == []
    assert planned(desk, "--exclude", "EvaluationJob/compare", "--exclude", "FineTuningJob/elsewhere")["lacking"] == []
    chosen = planned(desk, "--target", "ModelExport/release")["lacking"]
    assert {each["resources"][0] for each in chosen} == {"EvaluationJob/compare", "ModelExport/release"}
    backend = CountingBackend(desk)
    monkeypatch.setattr(places, "backend", lambda *_: backend)
    assert ask(desk, "apply", "--yes", "--offline", "--target", "FineTuningJob/train").code == 0
    assert [key.partition("-train-")[0] for key, _ in backend.submissions] == ["finetuningjob"]


def test_jobs_of_another_backend_are_not_judged_by_this_machine(desk: Path) -> None:
    (desk / "studio.yaml").write_text(SETTINGS + CML)
    told = planned(desk)
    assert told["lacking"] == [] and "missing on this machine" not in ask(desk, "plan").out


def test_a_plan_of_a_machine_without_is_applied_as_it_is_on_one_that_has_all(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "plan.json"
    assert ask(desk, "plan", "--out", str(file)).code == 0
    saved = json.loads(file.read_text())
    refused = ask(desk, "apply", str(file), "--offline")
    assert refused.code == 1 and "this machine lacks" in refused.err
    equip(tmp_path, monkeypatch)
    again = planning.plan(desk, "default")
    assert isinstance(again, planning.Planned) and again.plan.lacking == ()
    demand_same(saved, again.plan)
    assert content(again.plan)["digest"] == saved["digest"] and len(saved["lacking"]) == 4


def test_what_is_there_and_does_not_suit_is_told_too(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    equip(tmp_path, monkeypatch)
    monkeypatch.setenv(URL, "judges.example.com")
    monkeypatch.setenv("STUDIO_GGUF_CONVERTER", "convert.py")
    monkeypatch.setenv("STUDIO_AXOLOTL_PYTHON", str(axolotl_environment.build(tmp_path / "old", "0.12.0")))
    told = " ".join(each["message"] for each in planned(desk)["lacking"])
    assert f"{URL} is not the address of a service" in told and "no absolute path" in told
    assert "axolotl 0.12.0; configurations are written for 0.19" in told
    [judge] = [each for each in planned(desk)["lacking"] if URL in each["message"]]
    assert judge["message"].count("example.com") == 0, "where a service is, is nobody's business"


def test_libraries_that_only_some_jobs_import_are_missed_by_these_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, absent = metadata.version, {"trl", "bitsandbytes", "rouge_score"}

    def version(name: str) -> str:
        if name in absent:
            raise metadata.PackageNotFoundError(name)
        return found(name)

    declared = [
        f"{name}; extra == 'train'" for name in ("trl>=1", "bitsandbytes>=0.46", "rouge_score>=0.1", "torch>=2.6")
    ]
    monkeypatch.setattr(packages.metadata, "requires", lambda _: declared)
    monkeypatch.setattr(packages.metadata, "version", version)
    documents = with_spec(support_desk(), "EvaluationJob", model_bnb_config={"load_in_8bit": True})
    told = {each["message"]: each["resources"] for each in planned(write(tmp_path, documents))["lacking"]}
    assert told == {
        "trl is not installed": ["FineTuningJob/train"],
        "rouge_score is not installed": ["EvaluationJob/compare"],
        "bitsandbytes is not installed": ["EvaluationJob/compare"],
    }
    paged = with_spec(support_desk(), "FineTuningJob", training_arguments_config={"optim": "paged_adamw_8bit"})
    absent.remove("trl")
    told = {each["message"]: each["resources"] for each in planned(write(tmp_path, paged))["lacking"]}
    assert told == {
        "bitsandbytes is not installed": ["FineTuningJob/train"],
        "rouge_score is not installed": ["EvaluationJob/compare"],
    }


def test_doctor_says_what_apply_says(desk: Path) -> None:
    checks = {each["name"]: each for each in json.loads(ask(desk, "doctor", "--json").out)["checks"]}
    told = {each["message"]: each["hint"] for each in planned(desk)["lacking"]}
    for name in ("Axolotl", "lm_eval", "GGUF", "judges"):
        assert checks[name]["verdict"] == "missing" and told[checks[name]["found"]] == checks[name]["cure"]


def test_a_plan_says_which_rows_which_judges_will_see_and_never_where(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, "https://judges.example.com/v1")
    monkeypatch.setenv("STUDIO_JUDGE_KEY_HOUSE", "a-key-of-tests")
    told = {each["resource"]: each["judges"] for each in planned(desk)["actions"]}
    shared = {"model": "judge-large", "variable": URL, "combinations": 2}
    assert told.pop("EvaluationJob/compare") == [
        {"judge": "helpfulness", "rows": 8, **shared}, {"judge": "politeness", "rows": 5, **shared},
    ]  # fmt: skip
    assert not any(told.values())
    text, markdown = ask(desk, "plan").out, ask(desk, "plan", "--markdown").out
    words = (
        "up to 8 rows, with the answers of 2 combinations, go to the judge helpfulness (judge-large) at the address in "
        f"{URL}"
    )
    assert words in text and words in markdown
    assert "example.com" not in text + markdown and "a-key" not in text + markdown
    (desk / "studio.yaml").write_text(SETTINGS + CML)
    assert words in ask(desk, "plan").out, "they leave a workspace, too"


def test_rows_of_a_folder_are_of_unknown_number(tmp_path: Path) -> None:
    documents = with_spec(support_desk(), "EvaluationJob", judges=[JUDGE])
    documents = with_spec(documents, "Dataset", type="project", location="data", features=["text", "queue"])
    told = planned(write(tmp_path, documents))["actions"]
    [judges] = [each["judges"] for each in told if each["judges"]]
    assert judges[0]["rows"] is None
    assert "rows of an unknown number, with the answers" in ask(tmp_path, "plan").out


@pytest.mark.parametrize(
    ("work", "modules"),
    [
        (TRAINING, ["training/*.py", "model/*.py", "inputs/*.py", "*.py"]),
        (ATTENDING, ["training/axolotl/*.py", "training/user_script.py", "inputs/*.py", "*.py"]),
        (EVALUATION, ["evaluation/*.py", "model/*.py", "inputs/*.py", "*.py"]),
        (EXPORT, ["export/*.py", "model/*.py", "inputs/*.py", "*.py"]),
    ],
)
def test_no_work_imports_what_it_is_said_to_do_without(work: str, modules: list[str]) -> None:
    files = [file for pattern in modules for file in (ROOT / "studio" / "jobs").glob(pattern)]
    trees = [ast.parse(file.read_text("utf-8")) for file in files]
    anywhere = {name for tree in trees for node in ast.walk(tree) for name in top_names(node)}
    at_once = {name for tree in trees for node in tree.body for name in top_names(node)}
    assert "mlflow" in anywhere and not anywhere & {name.replace("-", "_") for name in needs.SPARED[work]}
    assert needs.QUANTISING not in at_once, "what is quantised needs it, and asks for it within a function"


def top_names(node: ast.AST) -> set[str]:
    """What a node imports."""
    if isinstance(node, ast.Import):
        return {each.name.partition(".")[0] for each in node.names}
    return {node.module.partition(".")[0]} if isinstance(node, ast.ImportFrom) and node.module else set()


def test_optimizers_of_bitsandbytes_are_those_that_transformers_takes_from_it() -> None:
    """Its names tell, but for a few."""
    names = ["adamw_torch_8bit", "galore_adamw_8bit", "adamw_torch", "sgd", "rmsprop", "", None]
    assert not any(map(is_of_bitsandbytes, names))
    assert all(map(is_of_bitsandbytes, ["paged_lion_8bit", "adamw_8bit", "rmsprop_bnb", "ademamix"]))
