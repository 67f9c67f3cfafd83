"""The whole loop on real customers' questions: banking77 (77 intents), through the same commands a user types.

    python benchmarks/banking77.py path/to/train.csv [--rows 10003] [--epochs 3]

Prints exact match of the base and of the adapter on held-out rows, and the loss curve; writes the figures as JSON.
The data set is not part of this project (Casanueva et al., 2020, CC-BY-4.0): a CSV with the columns text and category.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from studio.report.sparkline import sparkline

ROOT = Path(__file__).resolve().parents[1]
BASE_MODEL = ROOT / "examples" / "quickstart" / "models" / "tiny-llama"

SETTINGS = """\
apiVersion: studio/v1
kind: Project
metadata: {name: banking77}
"""
MANIFESTS = """\
apiVersion: studio/v1
kind: Dataset
metadata: {{name: banking77}}
spec: {{type: project_csv, location: data/train.csv}}
---
apiVersion: studio/v1
kind: Model
metadata: {{name: tiny-llama}}
spec: {{type: project, location: models/tiny-llama}}
---
apiVersion: studio/v1
kind: Prompt
metadata: {{name: intent}}
spec:
  dataset: banking77
  prompt_template: "### CUSTOMER: {{text}}\\n### INTENT: {{category}}"
  input_template: "### CUSTOMER: {{text}}\\n### INTENT:"
  completion_template: " {{category}}"
---
apiVersion: studio/v1
kind: FineTuningJob
metadata: {{name: intents}}
spec:
  base_model: tiny-llama
  dataset: banking77
  prompt: intent
  adapter_name: intents
  lora_config:
    r: 16
    lora_alpha: 32
    lora_dropout: 0
    task_type: CAUSAL_LM
    target_modules: [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]
  training_arguments_config:
    per_device_train_batch_size: 16
    train_sampling_strategy: group_by_length
    gradient_checkpointing: false
    lr_scheduler_type: cosine
    warmup_steps: 0.03
    logging_steps: 25
  num_epochs: {epochs}
  learning_rate: {learning_rate}
  train_test_split: 0.9
  num_cpu: 2
  num_memory: 4
---
apiVersion: studio/v1
kind: EvaluationJob
metadata: {{name: intents-vs-base}}
spec:
  dataset: banking77
  prompt: intent
  generation_config: {{do_sample: false, max_new_tokens: 24}}
  model_adapter_combinations:
    - {{base_model: tiny-llama}}
    - {{base_model: tiny-llama, adapter: intents}}
  metrics: [exact_match, rouge1, latency]
  num_cpu: 2
  num_gpu: 0
  num_memory: 4
---
apiVersion: studio/v1
kind: ModelExport
metadata: {{name: intents-release}}
spec: {{type: model_registry, base_model: tiny-llama, adapter: intents, model_name: banking77-intents}}
"""


def main() -> int:
    asked = _arguments()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="banking77-"))
    rows = _project(folder, asked)
    started = time.monotonic()
    for command in ("validate", "plan", "apply"):
        code = subprocess.run([sys.executable, "-m", "studio", command, "-C", str(folder)]).returncode
        if code:
            return code
    figures = _figures(folder, rows, time.monotonic() - started)
    _print(figures)
    asked.json.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    print(f"\nfigures in {asked.json}, project in {folder}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="CSV with the columns text and category")
    parser.add_argument("--rows", type=int, default=0, help="only the first N rows (default: all)")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--folder", type=Path, help="where to put the project (default: a new temporary folder)")
    parser.add_argument("--json", type=Path, default=Path("banking77.json"), help="where to write the figures")
    asked = parser.parse_args()
    if not asked.data.is_file():
        parser.error(f"{asked.data} does not exist; pass the path of banking77's train.csv")
    return asked


def _project(folder: Path, asked: argparse.Namespace) -> int:
    """Write a project around the data; returns its number of rows."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "manifests").mkdir(exist_ok=True)
    shutil.copytree(BASE_MODEL, folder / "models" / "tiny-llama", dirs_exist_ok=True)
    with asked.data.open(encoding="utf-8-sig", newline="") as source:
        rows = list(csv.DictReader(source))[: asked.rows or None]
    with (folder / "data" / "train.csv").open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, ["text", "category"])
        writer.writeheader()
        writer.writerows({"text": row["text"], "category": row["category"].replace("_", " ")} for row in rows)
    (folder / "studio.yaml").write_text(SETTINGS)
    manifests = MANIFESTS.format(epochs=float(asked.epochs), learning_rate=asked.learning_rate)
    (folder / "manifests" / "banking77.yaml").write_text(manifests)
    return len(rows)


def _figures(folder: Path, rows: int, seconds: float) -> dict[str, Any]:
    training = _output(folder, "FineTuningJob/intents")
    evaluation = _output(folder, "EvaluationJob/intents-vs-base")
    base, adapter = (each["metrics"] for each in evaluation["output"]["combinations"])
    events = (folder / training["run_dir"] / "events.jsonl").read_text().splitlines()
    losses = [event["loss"] for event in map(json.loads, events) if event["phase"] == "train" and "loss" in event]
    return {
        "rows": rows,
        "held_out_rows": evaluation["output"]["rows"],
        "exact_match": {"base": base["exact_match"], "adapter": adapter["exact_match"]},
        "rouge1": {"base": base["rouge1"], "adapter": adapter["rouge1"]},
        "training": training["output"]["metrics"],
        "loss_curve": losses,
        "curve_png": str(folder / training["output"]["curve"]),
        "seconds": {"whole": seconds, "training": training["seconds"], "evaluation": evaluation["seconds"]},
    }


def _output(folder: Path, resource: str) -> dict[str, Any]:
    shown = [sys.executable, "-m", "studio", "show", resource, "--json", "-C", str(folder)]
    printed = subprocess.run(shown, capture_output=True, check=True, text=True).stdout
    return dict(json.loads(printed)["record"]["outcome"])


def _print(figures: dict[str, Any]) -> None:
    losses = figures["loss_curve"]
    match, seconds = figures["exact_match"], figures["seconds"]
    print(f"\nbanking77: {figures['rows']} rows, {figures['held_out_rows']} held out")
    print(f"exact match   base {match['base']:.3f}   adapter {match['adapter']:.3f}")
    print(f"loss          {losses[0]:.3f} {sparkline(losses, 40)} {losses[-1]:.3f}")
    spent = ", ".join(f"{part} {seconds[part]:.0f}" for part in ("training", "evaluation", "whole"))
    print(f"seconds       {spent}")


if __name__ == "__main__":
    sys.exit(main())
