"""Fine-tuning through studio beside the same run as a bare TRL script, in pairs of processes.

    python benchmarks/training.py [--pairs 5] [--rows 2000] [--epochs 1] [--folder DIR] [--json FILE]

A Llama of random weights (hidden 256, 4 layers) and rows of generated text are written to a temporary folder. Each pair
trains the same LoRA adapter twice, with equal settings, threads, logs and checkpoints: as a studio job with its MLflow
run, and as a script of a dozen lines. Who begins changes from pair to pair. Both must end with the same bytes of
weights and the same last loss, or there is nothing to compare.

What counts is the training itself, ``SFTTrainer.train`` with all that studio hangs into it, as the median of the pairs'
ratios, in processor time: a neighbour on the same cores changes wall clock much more. Below it stand the whole work
(reading, loading, training, saving, logging) without imports, and the loss on held-out rows, which the bare script
does not measure, by itself. About five minutes; needs torch, trl and mlflow.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring

BARE, STUDIO, PREPARE = "bare", "studio", "prepare"
GOAL = 1.03
"""Times the processor seconds of the bare script's training."""
ROWS, MODEL, TRACKING = "rows.csv", "model", "mlflow.db"
SEED, SHARE, LEARNING_RATE = 42, 0.8, 2e-3
STEP_ROWS = 250
"""Rows that make whole checkpoints, so that both log at the same steps and their last losses are of the same rows."""
TEMPLATE = ("### {text}\n>", " {answer}")
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
ARGUMENTS = {
    "per_device_train_batch_size": 8,
    "max_length": 256,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.03,
    "logging_steps": 5,
    "save_steps": 25,
    "save_total_limit": 2,
}
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",
}
Figures = dict[str, Any]


def main() -> int:
    asked = _arguments()
    if asked.way:
        WAYS[asked.way](Path(asked.root), asked.rows, asked.epochs)
        return 0
    os.environ.update(QUIET)
    with tempfile.TemporaryDirectory(prefix="studio-training-", dir=asked.folder) as folder:
        child(PREPARE, Path(folder), asked)
        return compare(Path(folder), asked)


def child(way: str, root: Path, asked: argparse.Namespace) -> Figures:
    """What a process measured of itself; ``process`` is all of it, imports and start included."""
    for name in ("out", "runs"):
        shutil.rmtree(root / name, ignore_errors=True)
    command = [sys.executable, __file__, "--way", way, "--root", root, "--rows", asked.rows, "--epochs", asked.epochs]
    cost = measuring.demand([str(word) for word in command], root, root)
    figures = json.loads(cost.printed.splitlines()[-1]) if way != PREPARE else {}
    return figures | {"process": [cost.cpu, cost.wall], "memory": cost.memory}


def compare(root: Path, asked: argparse.Namespace) -> int:
    pairs: list[dict[str, Figures]] = []
    for number in range(asked.pairs):
        order = (BARE, STUDIO) if number % 2 == 0 else (STUDIO, BARE)
        pairs.append({way: child(way, root, asked) | {"load": measuring.load_average()} for way in order})
        told = {way: pairs[-1][way]["result"] for way in order}
        if told[BARE] != told[STUDIO]:
            raise SystemExit(f"not the same training: {told}")
    print(f"{asked.rows} rows, {pairs[0][BARE]['result']}, {asked.pairs} pairs, load {measuring.load_average()}")
    print(f"{'':10}  processor: bare   studio  ratio     wall: bare   studio  ratio")
    ratios = {}
    for what in ("training", "work", "process"):
        columns = [_column(pairs, what, clock) for clock in (0, 1)]
        ratios[what] = {"cpu": columns[0][2], "wall": columns[1][2]}
        print(f"{what:10}" + "   ".join(f"{bare:15.2f} {ours:8.2f} {ratio:6.3f}" for bare, ours, ratio in columns))
    apart = statistics.median(pair[STUDIO]["held_out"][0] for pair in pairs)
    print(f"measuring the held-out loss: {apart:.2f} s more")
    measuring.save(asked.json, {"goal": GOAL, "ratios": ratios, "held_out": apart, "pairs": pairs})
    return 0 if ratios["training"]["cpu"] <= GOAL else 1


def _column(pairs: list[dict[str, Figures]], what: str, clock: int) -> tuple[float, float, float]:
    """Medians of both ways and of the pairs' ratios."""
    both = [(pair[BARE][what][clock], pair[STUDIO][what][clock]) for pair in pairs]
    bare, ours = (statistics.median(each) for each in zip(*both, strict=True))
    return bare, ours, statistics.median(mine / plain for plain, mine in both)


class Stopwatch:
    """Seconds of processor (all threads) and of wall clock, by what they were spent on."""

    def __init__(self) -> None:
        self.spent: Figures = {}

    def time(self, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.process_time(), time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent[what] = [time.process_time() - begun[0], time.perf_counter() - begun[1]]

        return timed


def bare(root: Path, rows: int, epochs: float) -> None:
    """What a careful user would write."""
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
    from trl import SFTConfig, SFTTrainer

    clock = Stopwatch()
    SFTTrainer.train = clock.time("training", SFTTrainer.train)

    def work() -> float:
        data = load_dataset("csv", data_files=str(root / ROWS), split="train")
        data = data.train_test_split(train_size=SHARE, seed=SEED)["train"]
        data = data.map(
            lambda row: {"prompt": TEMPLATE[0].format(**row), "completion": TEMPLATE[1].format(**row)},
            remove_columns=data.column_names,
        )
        arguments = SFTConfig(
            output_dir=str(root / "out"),
            num_train_epochs=epochs,
            learning_rate=LEARNING_RATE,
            seed=SEED,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            report_to="none",
            **ARGUMENTS,
        )
        set_seed(SEED)
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(str(root / MODEL)),
            args=arguments,
            train_dataset=data,
            processing_class=AutoTokenizer.from_pretrained(str(root / MODEL)),
            peft_config=LoraConfig(**LORA),
        )
        trainer.train()
        trainer.save_model(str(root / "out" / "adapter"))
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-1]

    loss = clock.time("work", work)()
    print(json.dumps(clock.spent | {"result": _result(root / "out" / "adapter", loss)}))


def studio(root: Path, rows: int, epochs: float) -> None:
    """The same as a job, from its spec to its result."""
    from studio.core.jobspec import EVENTS_FILE, JobSpec
    from studio.jobs import performing
    from studio.jobs.events import EventLog
    from studio.jobs.model import scoring
    from studio.jobs.training import sft

    clock = Stopwatch()
    sft.SFTTrainer.train = clock.time("training", sft.SFTTrainer.train)
    scoring.mean_loss = clock.time("held_out", scoring.mean_loss)
    spec = JobSpec.model_validate(_spec(root, epochs))
    spec.folder.mkdir(parents=True)

    def work() -> Any:
        with EventLog(spec.folder / EVENTS_FILE) as events:
            return performing.perform(spec, events)

    made = clock.time("work", work)().output
    clock.spent["work"] = [all - apart for all, apart in zip(clock.spent["work"], clock.spent["held_out"], strict=True)]
    print(json.dumps(clock.spent | {"result": _result(root / made.adapter, made.metrics["final_loss"])}))


def _result(adapter: Path, loss: float) -> str:
    weights = hashlib.sha256((adapter / "adapter_model.safetensors").read_bytes()).hexdigest()
    return f"final loss {loss:.6f}, weights {weights[:16]}"


def _spec(root: Path, epochs: float) -> Figures:
    work = {
        "task": "training",
        "model": {"name": "model", "type": "project", "location": MODEL},
        "dataset": {"name": "rows", "type": "project_csv", "location": ROWS},
        "templates": {"prompt": "".join(TEMPLATE), "input": TEMPLATE[0], "completion": TEMPLATE[1]},
        "adapter_name": "adapter",
        "split": {"fraction": 1.0, "train": SHARE, "seed": SEED},
        "epochs": epochs,
        "learning_rate": LEARNING_RATE,
        "training_arguments": ARGUMENTS,
        "lora": LORA,
    }
    return {
        "key": "benchmark",
        "kind": "FineTuningJob",
        "name": "benchmark",
        "fingerprint": "f" * 64,
        "environment": "default",
        "project_dir": str(root),
        "run_dir": "runs/benchmark",
        "work": work,
        "resources": {"cpu": os.cpu_count() or 1},
        "tracking": {"tracking_uri": f"sqlite:///{TRACKING}", "experiment": "benchmark", "artifact_location": "mlruns"},
    }


def prepare(root: Path, rows: int, epochs: float) -> None:
    """Model, rows, and an MLflow database as every project has one after its first job."""
    import csv

    import torch
    from mlflow.tracking import MlflowClient
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    draw = random.Random(SEED)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 8))) for _ in range(1500)]
    texts = [" ".join(draw.choices(words, k=draw.randint(10, 40))) for _ in range(rows)]
    with (root / ROWS).open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "answer"), *((text, " ".join(text.split()[:8])) for text in texts)])
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    specials = ["<unk>", "<s>", "</s>", "<pad>"]
    backend.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=4000, special_tokens=specials))
    roles = dict(zip(("unk_token", "bos_token", "eos_token", "pad_token"), specials, strict=True))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **roles)
    shape = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 8}
    torch.manual_seed(0)
    config = LlamaConfig(**shape, vocab_size=4096, bos_token_id=1, eos_token_id=2, pad_token_id=3)
    LlamaForCausalLM(config).save_pretrained(str(root / MODEL))
    tokenizer.save_pretrained(str(root / MODEL))
    MlflowClient(f"sqlite:///{root / TRACKING}").create_experiment("benchmark", (root / "mlruns").as_uri())


WAYS: dict[str, Callable[[Path, int, float], None]] = {PREPARE: prepare, BARE: bare, STUDIO: studio}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=2000, help=f"a multiple of {STEP_ROWS}")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--root", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.rows % STEP_ROWS or asked.rows < STEP_ROWS or asked.pairs < 1:
        parser.error(f"--rows is a multiple of {STEP_ROWS}, --pairs at least 1")
    return asked


if __name__ == "__main__":
    raise SystemExit(main())
