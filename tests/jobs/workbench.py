"""What the tests of the jobs work with: a tiny model, small jobs, and two ways to run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.core.event import Event
from studio.core.jobresult import JobResult
from studio.core.jobspec import EVENTS_FILE, RESULT_FILE, SPEC_FILE, JobSpec

ROOT = Path(__file__).parents[2]
QUEUES = ("card", "loan", "login", "fees", "other")
TEXTS = ("lost my", "question about", "please help with", "cannot use", "thanks for")
MODEL: dict[str, Any] = {"name": "tiny", "type": "project", "location": "models/tiny"}
DATASET: dict[str, Any] = {"name": "tickets", "type": "project_csv", "location": "data/tickets.csv"}
TEMPLATES: dict[str, Any] = {"prompt": "### {text}\n> {queue}", "input": "### {text}\n>", "completion": " {queue}"}
LORA: dict[str, Any] = {"r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"], "lora_dropout": 0.0}

MakeSpec = Callable[..., JobSpec]


def training(**changes: Any) -> dict[str, Any]:
    """The work of a small training job."""
    return {
        "task": "training",
        "model": MODEL,
        "dataset": DATASET,
        "templates": TEMPLATES,
        "adapter_name": "router",
        "split": {"fraction": 1.0, "train": 0.8},
        "epochs": 1,
        "learning_rate": 1e-2,
        "lora": LORA,
        "training_arguments": {"per_device_train_batch_size": 4, "logging_steps": 1},
        **changes,
    }


def evaluation(*adapters: str, **changes: Any) -> dict[str, Any]:
    """The work of an evaluation of the base model and of adapters, by location."""
    combinations: list[dict[str, Any]] = [{"model": MODEL}]
    combinations += [{"model": MODEL, "adapter": adapter(location)} for location in adapters]
    return {
        "task": "evaluation",
        "combinations": combinations,
        "dataset": DATASET,
        "templates": TEMPLATES,
        "metrics": ["exact_match", "rougeL", "latency", "perplexity"],
        "generation": {"max_new_tokens": 8},
        **changes,
    }


def export(location: str | None, **changes: Any) -> dict[str, Any]:
    """The work of an export, with the adapter at ``location`` if there is one."""
    return {
        "task": "export",
        "model": MODEL,
        "adapter": adapter(location) if location else None,
        "model_name": "ticket-router",
        "description": "Routes tickets",
        "generation": {"max_new_tokens": 8},
        "input_example": "### thanks for card\n>",
        "provenance": {"commit": "abc123"},
        **changes,
    }


def adapter(location: str) -> dict[str, Any]:
    return {"name": "router", "type": "project", "location": location}


def environment() -> dict[str, str]:
    """Offline, and gentle to the neighbours on shared cores."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def start(spec: JobSpec, *launcher: str, **variables: str) -> subprocess.Popen[str]:
    """Start the job as a backend does: a process of its own, both streams in the log."""
    spec.folder.mkdir(parents=True, exist_ok=True)
    path = spec.folder / SPEC_FILE
    path.write_text(spec.model_dump_json())
    with (spec.folder / "log.txt").open("a") as log:
        return subprocess.Popen(
            [*(launcher or (sys.executable,)), "-m", "studio.jobs", str(path)],
            env={**environment(), **variables},
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            text=True,
        )


def in_process_of_its_own(spec: JobSpec, *launcher: str, **variables: str) -> tuple[int, JobResult]:
    """Run the job through the front door: exit code and result."""
    code = start(spec, *launcher, **variables).wait(timeout=300)
    assert (spec.folder / RESULT_FILE).exists(), f"exit code {code}:\n{log(spec)}"
    return code, JobResult.model_validate_json((spec.folder / RESULT_FILE).read_bytes())


def perform(spec: JobSpec) -> JobResult:
    """Run the job in this process, which spares the seconds that importing the libraries takes."""
    from studio.jobs import performing
    from studio.jobs.events import EventLog

    spec.folder.mkdir(parents=True, exist_ok=True)
    with EventLog(spec.folder / EVENTS_FILE) as events:
        return performing.perform(spec, events)


def failure(spec: JobSpec) -> str:
    """Run a job that a user can mend: its message and hint."""
    result = perform(spec)
    assert result.failure is not None and result.output is None
    assert not result.failure.bug, result.failure.message
    return f"{result.failure.message}\n{result.failure.hint}"


def events(spec: JobSpec) -> list[Event]:
    from studio.jobs.events import read

    return read(spec.folder / EVENTS_FILE)


def messages(spec: JobSpec) -> str:
    return "\n".join(event.message for event in events(spec))


def log(spec: JobSpec) -> str:
    return (spec.folder / "log.txt").read_text()


def build_model(folder: Path, vocabulary: int = 300, **config: Any) -> Path:
    """A random Llama (hidden 64, 2 layers) with a byte-level tokenizer; the same weights every time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = build_tokenizer(vocabulary)
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 3,
        "tie_word_embeddings": False,
        "initializer_range": 0.2,  # large enough for LoRA alone to learn rows by heart
    }
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**settings | config)).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def build_tokenizer(vocabulary: int = 300, specials: tuple[str, ...] = ("<unk>", "<s>", "</s>", "<pad>")) -> Any:
    """Byte-level BPE over the words of the rows; begin and end tokens are always there."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([f"### {text} {queue}" for text in TEXTS for queue in QUEUES], trainer)
    roles = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    given = {role: token for role, token in roles.items() if token in specials}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **given)
