"""The Axolotl configuration that is run: what the user's says, what the job's own fields say, what jobs decide.

In this order, later ones winning: defaults, the Axolotl Config, fields of the job, decisions of this system. Nothing is
replaced silently: each replacement of something that was said becomes a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.core.errors import JobError
from studio.core.findings import format_path
from studio.core.jobspec import SEED, TrainingWork
from studio.jobs.training.axolotl.rows import SEGMENTS, Files
from studio.libraries import axolotl_code
from studio.libraries import axolotl_settings as words
from studio.libraries.decided import IGNORED, REFUSED, SAVE_SHARE, applying
from studio.libraries.fitting import Fault, misfits
from studio.libraries.tables import table
from studio.libraries.words import expected, written

TYPE = "axolotl"
PLUGIN = "studio_report.Report"
"""Module and class of ``plugin.py``, as Axolotl imports it from the run's folder."""
EVALUATING = ("eval_strategy", "eval_steps", "evals_per_epoch", "evaluation_strategy", "load_best_model_at_end")
"""Need held-out rows."""
SAVING = ("save_steps", "saves_per_epoch", "save_strategy")
TARGETS = ("lora_target_modules", "lora_target_linear", "lora_target_parameters")
OFF_ON_CPU = ("bf16", "fp16", "tf32", "lora_qkv_kernel", "lora_mlp_kernel", "lora_o_kernel", "lora_embedding_kernel")
"""Axolotl would switch some of them on by itself."""
GONE_ON_CPU = ("bfloat16", "float16", "flash_attention", "xformers_attention", "sage_attention")
ATTENTION = "attn_implementation"
ON_CPU = ("eager", "sdpa")
OF_THE_FILE = (
    *("path", "data_files", "ds_type", "name", "split", "revision"),
    *("shards", "shards_idx", "preprocess_shards", "trust_remote_code", "skip"),
)
"""Keys of a data set that say where its rows are; the job's rows are in its own files."""
KEPT_CHECKPOINTS = 2
MANY_ROWS = 10_000
"""From here on several processes tokenise sooner than one: each takes seconds to start."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is where, on this machine, and what there is to compute with. ``checkpoint`` is where an earlier attempt got
    to."""

    model: Path
    work: Path
    files: Files
    pad: str
    on_gpu: bool
    processes: int = 1
    checkpoint: Path | None = None

    @property
    def output(self) -> Path:
        """Axolotl's output folder."""
        return self.work / "out"


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration, and what was decided on the user's behalf, in words."""

    values: dict[str, Any]
    notes: tuple[str, ...]


def resolve(work: TrainingWork, at: Place) -> Settings:
    """Raises JobError for what is refused, and for what Axolotl's schema does not take."""
    given = dict(work.axolotl or {})
    for key, why in applying(REFUSED, TYPE, given).items():
        raise JobError(f"axolotl_config: {key!r} is refused: {why}", f"remove {key}")
    for code in axolotl_code.named(given):
        raise JobError(f"axolotl_config: {code.message}", code.hint)
    ignored = applying(IGNORED, TYPE, given)
    notes = [f"{key} of the Axolotl configuration is ignored: {why}" for key, why in ignored.items()]
    values = {key: value for key, value in given.items() if key not in ignored and value is not None}
    said = _said(work)
    notes += _replaced(values, said)
    values = _defaults(values, said, at) | values | said
    found, more = _fitted(work, values, at)
    values |= found | _decided(work, values, at)
    values = {key: value for key, value in values.items() if value is not None}
    _check(values)
    return Settings(values, (*notes, *more))


def _said(work: TrainingWork) -> dict[str, Any]:
    """What fields of the job say, in Axolotl's words; ``None`` takes a setting away."""
    for key in words.without_place(work.lora):
        raise JobError(
            f"lora_config: Axolotl has no setting for {key!r}", f"remove {key}, or use framework_type: legacy"
        )
    found = {"num_epochs": work.epochs, "learning_rate": work.learning_rate, **words.lora(work.lora)}
    if work.loss == "full":
        found["train_on_inputs"] = True
    return found | words.quantization(work.model_quantization or work.adapter_quantization or {})


def _replaced(values: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    for key, value in said.items():
        if key in values and values[key] != value:
            by = f"{key}: {value!r}" if value is not None else "none"
            yield f"{key}: {values[key]!r} of the Axolotl configuration is replaced by what the job says, {by}"


def _defaults(values: Mapping[str, Any], said: Mapping[str, Any], at: Place) -> dict[str, Any]:
    """What the user may override; what Axolotl would need to be told, and this system's ways."""
    found: dict[str, Any] = {
        "adapter": "lora",
        "lora_r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
        "seed": SEED,
        "micro_batch_size": 1,
        "save_total_limit": KEPT_CHECKPOINTS,
        "gradient_checkpointing": at.on_gpu,
        "dataset_num_proc": at.processes if at.files.train_rows >= MANY_ROWS else 1,
    }
    if "batch_size" not in values:
        found["gradient_accumulation_steps"] = 1
    if not any({**values, **said}.get(key) for key in TARGETS):
        found["lora_target_linear"] = True
    if not any(key in values for key in SAVING):
        found["save_steps"] = SAVE_SHARE
    if "optimizer" not in values and not at.on_gpu:
        found["optimizer"] = "adamw_torch"
    return found


def _fitted(work: TrainingWork, values: Mapping[str, Any], at: Place) -> tuple[dict[str, Any], list[str]]:
    """What cannot be had here: GPU settings on a CPU, evaluation without held-out rows."""
    found: dict[str, Any] = {}
    notes: list[str] = []
    if not at.on_gpu:
        found = dict.fromkeys(OFF_ON_CPU, False) | dict.fromkeys(GONE_ON_CPU)
        notes += [f"{key} needs a GPU: it is off" for key in found if values.get(key) not in (None, False, "auto")]
        if values.get(ATTENTION, ON_CPU[0]) not in ON_CPU:
            found[ATTENTION] = ON_CPU[-1]
            notes.append(f"{ATTENTION} {values[ATTENTION]} needs a GPU: {ON_CPU[-1]} is used")
    if at.files.held_out is None:
        idle = [key for key in EVALUATING if values.get(key)]
        notes += [f"{key} is ignored: no rows are held out" for key in idle]
        found |= dict.fromkeys(idle)
    dataset = _first(values)
    if not work.auto_prompt and dataset.get("type"):
        notes.append(f"the prompt makes the texts: the data set type {dataset['type']!r} is not used")
    return found, notes


def _decided(work: TrainingWork, values: Mapping[str, Any], at: Place) -> dict[str, Any]:
    dataset = {key: value for key, value in _first(values).items() if key not in OF_THE_FILE}
    read = dataset if work.auto_prompt else {"type": SEGMENTS}
    files = {"datasets": at.files.train, "test_datasets": at.files.held_out}
    special = values.get("special_tokens") or {}
    return {
        "base_model": str(at.model),
        "trust_remote_code": work.model.trust_remote_code,
        "output_dir": str(at.output),
        "dataset_prepared_path": str(at.work / "prepared"),
        "val_set_size": 0,
        **{
            key: [{**read, "path": str(path), "ds_type": "json", "split": "train"}]
            for key, path in files.items()
            if path
        },
        "special_tokens": {**special, "pad_token": special.get("pad_token") or at.pad},
        "resume_from_checkpoint": str(at.checkpoint) if at.checkpoint else None,
        "save_only_model": False,
        "plugins": [*(values.get("plugins") or ()), PLUGIN],
        "use_wandb": False,
        "use_comet": False,
        "strict": False,
    }


def _first(values: Mapping[str, Any]) -> dict[str, Any]:
    """The data set that the configuration describes; it says how the job's rows are read."""
    datasets = values.get("datasets")
    first = datasets[0] if isinstance(datasets, list) and datasets else None
    return dict(first) if isinstance(first, dict) else {}


def _check(values: Mapping[str, Any]) -> None:
    """Against the committed schema, strictly: Axolotl itself takes unknown keys in silence."""
    accepted = table(TYPE)
    if accepted is None:
        raise AssertionError("Axolotl has a table")
    plugged = {*accepted.facts["plugin_keys"]} if len(values["plugins"]) > 1 else set()
    for misfit in misfits(dict(values), accepted.root, accepted.lenient):
        if misfit.fault is Fault.UNKNOWN_KEY and len(misfit.path) == 1 and misfit.path[0] in plugged:
            continue
        where = f"axolotl_config: {format_path(misfit.path)}"
        if misfit.fault is Fault.UNKNOWN_KEY:
            raise JobError(f"{where} is not a setting of Axolotl", "remove it")
        raise JobError(f"{where} is {written(misfit.value)}; it must be {expected(misfit.type)}", "correct it")
