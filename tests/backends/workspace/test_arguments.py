"""A job's arguments: every key of the guide, and values that a shell splits back into what they were."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.backends.workspace.arguments import Told, line, parsed, told
from studio.core import parts
from studio.core.errors import RefusedError
from studio.core.jobspec import (
    AdapterInput,
    Combination,
    DatasetInput,
    EvaluationWork,
    ExportWork,
    JobSpec,
    ModelInput,
    RemovalWork,
    Resources,
    RevisionWork,
    Templates,
    Tracking,
    TrainingWork,
    Work,
)

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
NASTY = [
    "two words",
    "it's",
    'a "quote"',
    "line\nbreak",
    "$HOME `id` ; rm -rf /",
    "日本語 🙂",
    "--attempt 9",
    "",
    "\\",
    "#no",
]
MODEL = ModelInput(name="llama", type="project", location="models/llama")
ROWS = DatasetInput(name="tickets", type="project_csv", location="data/tickets.csv")


def spec(work: Work, **more: Any) -> JobSpec:
    key = more.pop("key", "finetuningjob-router-0123456789abcdef")
    return JobSpec(
        key=key, kind="FineTuningJob", name="router", fingerprint="f" * 64, environment="default", project_dir="/p",
        run_dir=f".studio/runs/{key}", work=work, tracking=Tracking(tracking_uri="sqlite:///x.db", experiment="x"),
        secrets={"hf_token": "HUGGINGFACE_ACCESS_TOKEN"}, **more,
    )  # fmt: skip


def training(**more: Any) -> TrainingWork:
    fields: dict[str, Any] = {"adapter_name": "router", "epochs": 1, "learning_rate": 0.001, "lora": {"r": 8}, **more}
    return TrainingWork(model=MODEL, dataset=ROWS, templates=Templates(prompt="{a}"), **fields)


def evaluation(**more: Any) -> EvaluationWork:
    adapter = AdapterInput(name="router", type="project", location="a")
    both = (Combination(model=MODEL), Combination(model=MODEL, adapter=adapter))
    return EvaluationWork(
        combinations=both, dataset=ROWS, templates=Templates(prompt="{a}"), metrics=("exact_match",), **more
    )


NAMES = {"prompt": "route", "lora_config": "lora-small", "model_bnb_config": "four-bit", "axolotl_config": "ax",
         "training_arguments_config": "short", "adapter_bnb_config": "eight-bit"}  # fmt: skip
FULL = training(
    copy_to="out dir", training_arguments={"bf16": True}, model_quantization={"load_in_4bit": True},
    adapter_quantization={"load_in_8bit": True}, axolotl={"sequence_len": 1},
)  # fmt: skip


def test_training_has_every_key_of_the_guide() -> None:
    asked = Resources(gpu=1, workers=2, gpu_label=3, dist_cpu=4, dist_gpu=1, dist_memory=16)
    given = parsed(line(spec(FULL, names=NAMES, resources=asked, attempt=2)))
    assert given == {
        "base_model_id": "llama", "dataset_id": "tickets", "experimentid": "finetuningjob-router-0123456789abcdef",
        "out_dir": "out dir", "train_out_dir": ".studio/runs/finetuningjob-router-0123456789abcdef",
        "adapter_name": "router", "framework_type": "legacy", "prompt_id": "route", "bnb_config": "four-bit",
        "adapter_bnb_config": "eight-bit", "lora_config": "lora-small", "training_arguments_config": "short",
        "hf_token": "HUGGINGFACE_ACCESS_TOKEN", "axolotl_config_id": "ax", "gpu_label_id": "3",
        "dist_num": "2", "dist_cpu": "4", "dist_mem": "16", "dist_gpu": "1", "task": "training", "attempt": "2",
        "job_key": "finetuningjob-router-0123456789abcdef",
    }  # fmt: skip


def test_what_a_training_does_not_have_is_not_written() -> None:
    given = parsed(line(spec(training(lora={}))))
    optional = {"prompt_id", "bnb_config", "lora_config", "training_arguments_config", "axolotl_config_id"}
    assert not given.keys() & (optional | {"gpu_label_id", "dist_num", "dist_cpu", "dist_mem", "dist_gpu"})


def test_axolotl_distributes_by_its_own_configuration() -> None:
    given = parsed(line(spec(training(framework="axolotl"), resources=Resources(workers=4))))
    assert given["framework_type"] == "axolotl" and "dist_num" not in given


def test_a_config_that_is_written_into_the_job_is_known_by_its_content() -> None:
    one, other = (parsed(line(spec(training(lora={"r": r}))))["lora_config"] for r in (8, 9))
    assert re.fullmatch("sha256:[0-9a-f]{16}", one) and one != other


def test_each_part_of_an_evaluation_has_every_key_of_the_guide() -> None:
    key = "evaluationjob-versus-0123456789abcdef"
    work = evaluation(fraction=0.5, selected_features=("a,b", "c d"), generation={"max_new_tokens": 9})
    whole = spec(work, key=key, names={"prompt": "route", "generation_config": "greedy"})
    first, second = (parsed(line(each)) for each in parts.parts(whole))
    assert second == {
        "base_model_id": "llama", "adapter_id": "router", "dataset_id": "tickets", "prompt_id": "route",
        "result_dir": f".studio/runs/{key}/part-2",
        "configs": '{"metrics":["exact_match"],"generation_config":"greedy"}',
        "selected_features": '["a,b","c d"]', "eval_dataset_fraction": "0.5", "comparison_adapter_id": "router",
        "job_id": f"{key}.part-2", "run_number": "2", "hf_token": "HUGGINGFACE_ACCESS_TOKEN", "task": "evaluation",
        "attempt": "1", "part": "2", "parts": "2", "parent_job_id": key, "job_key": key,
    }  # fmt: skip
    assert (first["adapter_id"], first["run_number"], first["part"]) == ("", "1", "1")
    assert json.loads(first["selected_features"]) == ["a,b", "c d"]


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (ExportWork(model=MODEL, model_name="Support router"), {"base_model_id": "llama", "adapter_id": "",
                                                                "model_name": "Support router"}),
        (RemovalWork(model_name="x", model_version="3"), {"model_name": "x", "model_version": "3"}),
        (RevisionWork(), {}),
    ],
)  # fmt: skip
def test_other_work_says_what_it_is_about(work: Work, expected: dict[str, str]) -> None:
    given = parsed(line(spec(work)))
    assert given == {**expected, "task": work.task, "attempt": "1", "job_key": spec(work).key}


@pytest.mark.parametrize("text", NASTY)
def test_a_shell_gives_back_what_was_written(text: str) -> None:
    written = line(spec(ExportWork(model=MODEL, model_name=text)))
    words = shlex.split(written)
    assert words[words.index("--model_name") + 1] == text
    assert told(written) == Told(spec(RevisionWork()).key, 1, 0, 1)


@given(TEXT, TEXT, st.integers(1, 10**6))
def test_every_text_survives(name: str, folder: str, attempt: int) -> None:
    written = line(spec(training(adapter_name=name, copy_to=folder), attempt=attempt))
    given = parsed(written)
    assert (given["adapter_name"], given["out_dir"]) == (name, folder)
    assert told(written) == Told(spec(FULL).key, attempt, 0, 1)


@given(st.text(max_size=200))
def test_what_somebody_wrote_by_hand_is_read_without_complaint(text: str) -> None:
    found = told(text)
    assert found is None or found.attempt > 0


@pytest.mark.parametrize(
    "text",
    ["", "--attempt 1", "--job_key k", "--attempt x --job_key k", "--attempt 0 --job_key k",
     "--attempt 1 --job_key k --part 3 --parts 2", "--attempt '1 --job_key k", "attempt 1 job_key k"],
)  # fmt: skip
def test_a_run_that_studio_did_not_start_is_no_attempt(text: str) -> None:
    assert told(text) is None


def test_a_character_that_no_variable_holds_is_refused() -> None:
    with pytest.raises(RefusedError, match="NUL"):
        line(spec(ExportWork(model=MODEL, model_name="a\0b")))


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RefusedError, match=r"arguments are 98 KiB"):
        line(spec(ExportWork(model=MODEL, model_name="x" * 100_000)))
