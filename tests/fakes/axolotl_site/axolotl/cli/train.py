"""``python -m axolotl.cli.train CONFIG``: checks the configuration against the real schema, strictly, asks its plugins
as Axolotl does, trains nothing, and writes what Axolotl 0.19 writes.

``FAKE_AXOLOTL`` makes it ``die`` after the first checkpoint, ``hang``, ``fail``, or ``diverge``.
"""

import importlib
import json
import math
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import yaml

RANK, WORLD = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
TABLE = Path(os.environ["FAKE_AXOLOTL_TABLE"])


def main(path):
    cfg = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    check(cfg)
    for name in ("AXOLOTL_DO_NOT_TRACK", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        assert os.environ[name] == "1", name
    assert not {"HF_TOKEN", "HUGGINGFACE_ACCESS_TOKEN", "MLFLOW_TRACKING_URI"} & set(os.environ)
    trouble = os.environ.get("FAKE_AXOLOTL", "")
    if trouble == "fail":
        raise ValueError("this configuration cannot be trained")
    plugins = [plugin(name) for name in cfg["plugins"]]
    place(cfg, plugins)
    trainer = build(cfg)
    callbacks = [each for one in plugins for each in one.add_callbacks_post_trainer(cfg, trainer)]
    train(cfg, trainer, callbacks, trouble)
    if RANK:
        return
    trainer.model.save_pretrained(cfg["output_dir"])
    trainer.tokenizer.save_pretrained(cfg["output_dir"])
    print("Training completed! Saving trained model", flush=True)


def check(cfg):
    """The committed table as JSON Schema; Axolotl itself takes unknown keys, this does not."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    schema = {**table, "additionalProperties": False, "$schema": "https://json-schema.org/draft/2020-12/schema"}
    jsonschema.Draft202012Validator(schema).validate(cfg)
    assert cfg["val_set_size"] == 0 and cfg["adapter"] in ("lora", "qlora")


def place(cfg, plugins):
    """Where the model goes: of several processes each to the GPU of its number, unless a plugin says otherwise."""
    normalised = SimpleNamespace(**cfg, device_map={"": RANK} if WORLD > 1 else "auto")
    for each in plugins:
        assert each.load_datasets(normalised, preprocess=False) is None
    if WORLD > 1 and normalised.device_map != "cpu":
        raise RuntimeError("Cannot access accelerator device when none is available.")


def plugin(name):
    module, _, cls = name.rpartition(".")
    return getattr(importlib.import_module(module), cls)()


def build(cfg):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(cfg["base_model"])
    tokenizer.add_special_tokens(cfg["special_tokens"])
    targets = "all-linear" if cfg.get("lora_target_linear") else cfg["lora_target_modules"]
    lora = LoraConfig(r=cfg["lora_r"], lora_alpha=cfg["lora_alpha"], target_modules=targets, task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(cfg["base_model"]), lora)
    held_out = cfg.get("test_datasets")
    return SimpleNamespace(
        model=model, tokenizer=tokenizer, train_dataset=rows(cfg["datasets"][0], tokenizer),
        eval_dataset=rows(held_out[0], tokenizer) if held_out else None,
        is_fsdp_enabled=False, is_deepspeed_enabled=False, args=SimpleNamespace(logging_nan_inf_filter=True),
    )  # fmt: skip


def rows(dataset, tokenizer):
    lines = Path(dataset["path"]).read_text(encoding="utf-8").splitlines()
    return [row(json.loads(line), dataset["type"], tokenizer) for line in lines]


def row(content, type, tokenizer):
    if type == "input_output":
        pieces = [(each["text"], each["label"]) for each in content["segments"]]
    else:
        assert type == "alpaca", type
        pieces = [(content["instruction"], False), (content["output"] + tokenizer.eos_token, True)]
    made = {"input_ids": [], "labels": []}
    for text, counts in pieces:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        made["input_ids"] += ids
        made["labels"] += ids if counts else [-100] * len(ids)
    return made


def train(cfg, trainer, callbacks, trouble):
    each_epoch = math.ceil(len(trainer.train_dataset) / (cfg["micro_batch_size"] * WORLD))
    total = math.ceil(each_epoch * cfg["num_epochs"])
    first, history = resumed(cfg)
    state = SimpleNamespace(
        global_step=first,
        max_steps=total,
        epoch=first / each_epoch,
        log_history=history,
        is_world_process_zero=RANK == 0,
    )
    args = SimpleNamespace(world_size=WORLD, save_strategy=SimpleNamespace(value="steps"), output_dir=cfg["output_dir"])
    control = SimpleNamespace(should_log=False, should_save=False)
    tell(callbacks, "on_train_begin", args, state, control)
    every = max(1, math.ceil(total * cfg["save_steps"]))
    for step in range(first + 1, total + 1):
        state.global_step, state.epoch = step, step / each_epoch
        tell(callbacks, "on_step_end", args, state, control)
        logs = {"loss": 3.0 / step, "learning_rate": cfg["learning_rate"]}
        print(f"\r {step}%|####| {step}/{total}\r{logs}", flush=True)
        state.log_history.append({**logs, "epoch": state.epoch, "step": step})
        tell(callbacks, "on_log", args, state, control, logs=logs)
        if trouble == "diverge":
            next(weight for weight in trainer.model.parameters() if weight.requires_grad).data.fill_(float("nan"))
        if step % every == 0 or step == total:
            save(cfg, trainer, state)
            tell(callbacks, "on_save", args, state, control)
            if trouble == "die":
                (Path(cfg["output_dir"]) / f"checkpoint-{step + 1}").mkdir()  # as far as it came
                os.kill(os.getpid(), signal.SIGKILL)
        while trouble == "hang":
            time.sleep(0.1)
    tell(callbacks, "on_train_end", args, state, control)


def tell(callbacks, what, *values, **named):
    for callback in callbacks:
        getattr(callback, what)(*values, **named)


def save(cfg, trainer, state):
    if RANK:
        return
    folder = Path(cfg["output_dir"]) / f"checkpoint-{state.global_step}"
    trainer.model.save_pretrained(folder)
    content = {"global_step": state.global_step, "log_history": state.log_history}
    (folder / "trainer_state.json").write_text(json.dumps(content), encoding="utf-8")
    for name in ("optimizer.pt", "scheduler.pt", "training_args.bin"):
        (folder / name).write_bytes(b"\x80\x04N.")


def resumed(cfg):
    folder = cfg.get("resume_from_checkpoint")
    if not folder:
        return 0, []
    found = json.loads((Path(folder) / "trainer_state.json").read_text(encoding="utf-8"))
    return found["global_step"], found["log_history"]


if __name__ == "__main__":
    main(sys.argv[1])
