"""What becomes of an Axolotl configuration before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import JobError
from studio.core.jobspec import TrainingWork
from studio.jobs.training.axolotl.rows import Files
from studio.jobs.training.axolotl.settings import PLUGIN, Place, resolve
from studio.load.documents import parse
from tests.projects import ROOT

from ...workbench import training

MINE = Path("/project/run/axolotl")
HERE = Place(
    Path("/models/tiny"), MINE, Files(MINE / "train.jsonl", MINE / "held_out.jsonl", 20, 5), pad="<pad>", on_gpu=False
)
WITHOUT = Place(Path("/models/tiny"), MINE, Files(MINE / "train.jsonl", None, 20, 0), pad="<pad>", on_gpu=True)


def work(axolotl: dict[str, Any], **changes: Any) -> TrainingWork:
    fields = {"framework": "axolotl", "training_arguments": {}, "lora": {}, "axolotl": axolotl, **changes}
    return TrainingWork.model_validate(training(**fields))


def resolved(axolotl: dict[str, Any], at: Place = HERE, **changes: Any) -> dict[str, Any]:
    return resolve(work(axolotl, **changes), at).values


def notes(axolotl: dict[str, Any], at: Place = HERE, **changes: Any) -> str:
    return "\n".join(resolve(work(axolotl, **changes), at).notes)


def test_fields_of_the_job_win_over_the_configuration_and_it_wins_over_defaults() -> None:
    values = resolved({"num_epochs": 9, "lora_r": 4, "seed": 7}, lora={"lora_alpha": 3, "target_modules": ["q_proj"]})
    assert (values["num_epochs"], values["learning_rate"], values["lora_r"], values["seed"]) == (1.0, 1e-2, 4, 7)
    assert values["lora_alpha"] == 3 and values["lora_target_modules"] == ["q_proj"]
    assert "lora_target_linear" not in values and values["save_steps"] == 0.2


def test_all_linear_is_said_in_axolotls_words() -> None:
    values = resolved({"lora_target_modules": ["q_proj"]}, lora={"target_modules": "all-linear"})
    assert values["lora_target_linear"] is True and "lora_target_modules" not in values


def test_rows_base_model_and_output_are_the_jobs_own() -> None:
    said = {"base_model": "o/n", "output_dir": "/tmp/x", "datasets": [{"path": "o/d", "type": "alpaca", "split": "x"}]}
    values = resolved(said, auto_prompt=True)
    mine = {"type": "alpaca", "ds_type": "json", "split": "train"}
    assert values["datasets"] == [{**mine, "path": str(HERE.files.train)}]
    assert values["test_datasets"] == [{**mine, "path": str(HERE.files.held_out)}]
    assert (values["base_model"], values["output_dir"]) == ("/models/tiny", str(MINE / "out"))
    assert values["trust_remote_code"] is False and values["plugins"] == [PLUGIN]
    assert resolved(said)["datasets"][0]["type"] == "input_output"


@pytest.mark.parametrize("said", [{"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"}, {"load_in_8bit": True}])
def test_quantisation_of_the_job_replaces_another_width(said: dict[str, Any]) -> None:
    values = resolved({"load_in_8bit": True, "adapter": "lora"}, WITHOUT, model_quantization=said)
    four = bool(said.get("load_in_4bit"))
    assert (values.get("load_in_4bit"), values.get("load_in_8bit")) == ((True, None) if four else (None, True))
    assert values["adapter"] == ("qlora" if four else "lora")
    assert values.get("bnb_config_kwargs") == ({"bnb_4bit_quant_type": "fp4"} if four else None)


def test_on_a_cpu_what_needs_a_gpu_is_off_and_told() -> None:
    said = {"bf16": True, "flash_attention": True, "attn_implementation": "flash_attention_2", "lora_mlp_kernel": True}
    values, told = resolved(said), notes(said)
    assert (values["bf16"], values["attn_implementation"], values["lora_mlp_kernel"]) == (False, "sdpa", False)
    assert "flash_attention" not in values and "bf16 needs a GPU: it is off" in told
    assert "attn_implementation flash_attention_2 needs a GPU: sdpa is used" in told
    assert resolved({"bf16": "auto"}, WITHOUT)["bf16"] == "auto" and "bf16" not in notes({"bf16": "auto"})


def test_without_held_out_rows_nothing_is_evaluated() -> None:
    values = resolved({"evals_per_epoch": 2}, WITHOUT)
    assert not {"evals_per_epoch", "test_datasets"} & set(values) and values["val_set_size"] == 0
    assert "evals_per_epoch is ignored: no rows are held out" in notes({"evals_per_epoch": 2}, WITHOUT)


def test_a_pad_token_of_the_user_stays() -> None:
    assert resolved({"special_tokens": {"pad_token": "<unk>"}})["special_tokens"] == {"pad_token": "<unk>"}
    assert resolved({"special_tokens": {"eos_token": "</s>"}})["special_tokens"] == {
        "eos_token": "</s>",
        "pad_token": "<pad>",
    }


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"rl": "dpo"}, "'rl' is refused"),
        ({"adapter": "llama-adapter"}, "'adapter' is refused: jobs train LoRA adapters"),
        ({"hub_model_id": "o/n"}, "a job publishes nothing"),
        ({"plugins": ["team_tricks.Plugin"]}, "is none of Axolotl's own"),
        ({"trainer_cls": "team_tricks.Trainer"}, "imports team_tricks.Trainer"),
        ({"datasets": [{"type": "team_tricks.rows"}]}, "is a module of your own"),
        ({"attn_implementation": "desk/fast"}, "is a kernel on the hub"),
        ({"lora_rr": 4}, "lora_rr is not a setting of Axolotl"),
        ({"micro_batch_size": "many"}, "micro_batch_size is 'many'; it must be"),
        ({"datasets": [{"type": "alpaca", "fieldd": "x"}]}, "is not a setting of Axolotl"),
    ],
)
def test_what_axolotl_would_not_take_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(JobError, match=words):
        resolve(work(said, auto_prompt=True), HERE)


def test_a_lora_key_without_a_word_for_it_is_refused() -> None:
    with pytest.raises(JobError, match="no setting for 'bias'"):
        resolve(work({}, lora={"r": 4, "bias": "all"}), HERE)
    assert resolved({}, lora={"r": 4, "bias": "none", "task_type": "CAUSAL_LM"})["lora_r"] == 4


@pytest.mark.parametrize("at", [HERE, WITHOUT], ids=["cpu", "gpu"])
def test_the_shipped_template_fits_the_schema(at: Place) -> None:
    documents = parse((ROOT / "manifests" / "axolotl.yaml").read_text())
    template = next(each["spec"]["config"] for each in documents if each["metadata"]["name"] == "axolotl-template")
    values = resolved(template, at, auto_prompt=True)
    assert values["load_in_8bit"] is True and values["datasets"][0]["type"] == "alpaca"
