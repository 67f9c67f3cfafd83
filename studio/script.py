"""For training scripts of a team's own (``user_script``): what the job is, and a way to tell how it goes.

A script need not import this. The path of a JSON file is its first argument, with a key for each field of ``Job``, and
what it tells are lines of JSON, appended to the file ``events``. Only the standard library is imported here::

    from studio import script

    job = script.job()
    ...
    job.log(step=10, total=200, loss=1.7)
    model.save_pretrained(job.adapter)
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

VERSION = 1
VARIABLE = "STUDIO_JOB"
"""Environment variable that holds the path of the JSON file too, for launchers that eat arguments."""


@dataclass(frozen=True, slots=True)
class Job:
    """One training job. Paths are absolute; docs/training.md says more."""

    name: str
    adapter_name: str
    attempt: int
    """Counts from 1. In a later attempt ``checkpoints`` holds what the earlier ones left there."""
    project: Path
    model: Path
    """Folder of the base model: config, tokenizer, safetensors."""
    train: Path
    """JSON lines, a row each: its ``prompt`` and ``completion``, or ``prediction``, the whole text; EOS ends it."""
    held_out: Path | None
    """The same of rows that must not be trained on; None when none are held out."""
    adapter: Path
    """Folder to leave the adapter in, as ``save_pretrained`` of a PEFT model does."""
    checkpoints: Path
    """Folder that lasts from attempt to attempt."""
    metrics: Path
    """JSON file to leave numbers in, by name; optional."""
    events: Path
    """File to which JSON lines are appended while it trains; optional."""
    config: dict[str, Any]
    """The job's ``user_config``."""
    settings: dict[str, Any]
    """What the manifest's other fields say: epochs, learning_rate, loss, seed, training_arguments, lora,
    quantization."""
    resources: dict[str, Any]
    """CPU, GPU, memory in GB, workers."""
    version: int = field(default=VERSION)

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes; with several workers each runs the script."""
        return os.environ.get("RANK", "0") == "0"

    def log(self, message: str = "", **numbers: float) -> None:
        """Tell how it goes: ``step``, ``total``, ``loss``, ``learning_rate``, ``eval_loss`` or any number of your own.
        Each is logged to MLflow by step; a loss that is no number stops the job."""
        if self.is_main:
            line = json.dumps({"time": time.time(), "message": message, **numbers}, default=float)
            with self.events.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")

    def write_metrics(self, values: Mapping[str, float]) -> None:
        """Leave the numbers that the job is to be judged by; they replace those left before."""
        if self.is_main:
            self.metrics.write_text(json.dumps(dict(values), default=float), encoding="utf-8")

    def to_json(self) -> str:
        """The content of the JSON file."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return json.dumps(values, indent=2, sort_keys=True, default=str)


def job(path: str | Path = "") -> Job:
    """The job of this process: of the file named here, by the first argument, or by STUDIO_JOB.

    Raises SystemExit with a word of explanation when the script was started without a job.
    """
    found = str(path) or os.environ.get(VARIABLE, "") or (sys.argv[1] if len(sys.argv) > 1 else "")
    if not found:
        raise SystemExit("this script is run by 'studio apply'; by hand, give it the path of a job.json")
    held = json.loads(Path(found).read_text(encoding="utf-8"))
    if held["version"] != VERSION:
        raise SystemExit(f"{found} is of version {held['version']}, and this studio knows version {VERSION}")
    paths = {name: Path(held[name]) for name in PATHS if held[name] is not None}
    return Job(**{each.name: held[each.name] for each in fields(Job)} | paths)


PATHS = ("project", "model", "train", "held_out", "adapter", "checkpoints", "metrics", "events")
