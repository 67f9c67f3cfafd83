"""A job's arguments: the guide's *Argument List Schema* and its table for evaluations, as one line that a shell would
split again.

They say what a job does to whoever looks at it in the workspace, and by them a run is known again. The job itself
reads its spec. Names of resources stand where the guide has ids, the name of a variable where it has a token.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from studio.core import parts
from studio.core.errors import RefusedError
from studio.core.fingerprints import digest
from studio.core.jobspec import (
    EvaluationWork,
    ExportWork,
    JobSpec,
    RemovalWork,
    TrainingWork,
)

Pairs = Iterator[tuple[str, object]]
MAX_BYTES = 96 << 10
"""As the spec's: they arrive in a variable, too."""
KEY, ATTEMPT, PART, PARTS = "job_key", "attempt", "part", "parts"


@dataclass(frozen=True, slots=True)
class Told:
    """What a run's arguments tell of it. ``part`` is 0 and ``parts`` 1 for a job that does all of its work."""

    key: str
    attempt: int
    part: int
    parts: int


def line(spec: JobSpec) -> str:
    """The arguments of one attempt. Raises RefusedError for what cannot be written so."""
    written = " ".join(f"--{key} {shlex.quote(str(value))}" for key, value in _pairs(spec) if value is not None)
    if "\0" in written:
        raise RefusedError(f"the job {spec.key} cannot be sent: a name in it holds a NUL character", "rename it")
    size = len(written.encode(errors="surrogatepass"))
    if size > MAX_BYTES:
        message = f"the job {spec.key} cannot be sent: its arguments are {-(-size // 1024)} KiB"
        raise RefusedError(message, f"at most {MAX_BYTES >> 10} KiB fit; shorten names and lists of columns")
    return written


def told(arguments: str) -> Told | None:
    """What the arguments of a run tell; None for a run that studio did not start."""
    found = parsed(arguments)
    try:
        told = Told(found[KEY], int(found[ATTEMPT]), int(found.get(PART, "0")), int(found.get(PARTS, "1")))
    except (KeyError, ValueError):
        return None
    return told if told.attempt > 0 and 0 <= told.part <= told.parts else None


def parsed(arguments: str) -> dict[str, str]:
    """Keys and values; empty for what is no such line."""
    try:
        words = shlex.split(arguments)
    except ValueError:
        return {}
    pairs = zip(words[::2], words[1::2], strict=False)
    return {key.removeprefix("--"): value for key, value in pairs if key.startswith("--")}


def _pairs(spec: JobSpec) -> Pairs:
    work = spec.work
    if isinstance(work, TrainingWork):
        yield from _training(spec, work)
    elif isinstance(work, EvaluationWork):
        yield from _evaluation(spec, work)
    elif isinstance(work, ExportWork):
        yield "base_model_id", work.model.name
        yield "adapter_id", work.adapter.name if work.adapter else ""
        yield "model_name", work.model_name
    elif isinstance(work, RemovalWork):
        yield "model_name", work.model_name
        yield "model_version", work.model_version
    yield "task", work.task
    yield KEY, spec.key
    yield ATTEMPT, spec.attempt
    if spec.part:
        yield PART, spec.part
        yield PARTS, parts.count(spec)


def _training(spec: JobSpec, work: TrainingWork) -> Pairs:
    names = spec.names
    yield "base_model_id", work.model.name
    yield "dataset_id", work.dataset.name
    yield "experimentid", spec.key
    yield "out_dir", work.copy_to
    yield "train_out_dir", spec.run_dir
    yield "adapter_name", work.adapter_name
    yield "framework_type", work.framework
    yield "prompt_id", names.get("prompt")
    yield "bnb_config", _config(names, "model_bnb_config", work.model_quantization)
    yield "adapter_bnb_config", _config(names, "adapter_bnb_config", work.adapter_quantization)
    yield "lora_config", _config(names, "lora_config", work.lora)
    yield "training_arguments_config", _config(names, "training_arguments_config", work.training_arguments)
    yield "hf_token", spec.secrets.get("hf_token")
    yield "axolotl_config_id", _config(names, "axolotl_config", work.axolotl)
    yield "gpu_label_id", spec.resources.gpu_label
    if work.framework == "legacy" and spec.resources.workers > 1:
        yield "dist_num", spec.resources.workers
        yield "dist_cpu", spec.resources.dist_cpu
        yield "dist_mem", spec.resources.dist_memory
        yield "dist_gpu", spec.resources.dist_gpu


def _evaluation(spec: JobSpec, work: EvaluationWork) -> Pairs:
    number = max(spec.part, 1)
    each = work.combinations[number - 1]
    first = next((one.adapter.name for one in work.combinations if one.adapter), "")
    yield "base_model_id", each.model.name
    yield "adapter_id", each.adapter.name if each.adapter else ""
    yield "dataset_id", work.dataset.name
    yield "prompt_id", spec.names.get("prompt")
    yield "result_dir", f"{spec.run_dir}/part-{spec.part}" if spec.part else spec.run_dir
    yield "configs", _json(_evaluated(spec, work))
    yield "selected_features", _json(work.selected_features)
    yield "eval_dataset_fraction", work.fraction
    yield "comparison_adapter_id", first
    yield "job_id", f"{spec.key}.part-{spec.part}" if spec.part else spec.key
    yield "parent_job_id", spec.key
    yield "run_number", number
    yield "hf_token", spec.secrets.get("hf_token")
    yield "gpu_label_id", spec.resources.gpu_label


def _evaluated(spec: JobSpec, work: EvaluationWork) -> dict[str, Any]:
    """What the guide calls the evaluation's configuration: its metrics, and by name how answers are generated."""
    held = {
        "generation_config": work.generation,
        "model_bnb_config": work.model_quantization,
        "adapter_bnb_config": work.adapter_quantization,
    }
    names = {key: _config(spec.names, key, content) for key, content in held.items()}
    return {"metrics": work.metrics, **{key: name for key, name in names.items() if name}}


def _config(names: Mapping[str, str], name: str, content: dict[str, Any] | None) -> str | None:
    """The name of the Config in force; for one that is written into the manifest the beginning of its hash."""
    if not content:
        return None
    return names.get(name) or f"sha256:{digest(content)[:16]}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
