"""How well the memory estimate meets what trainings really use: estimated and measured peak, side by side.

    python benchmarks/memory.py [--only NAME ...] [--json FILE]

A project is written to a temporary folder: the quickstart's model of 3.7 million parameters, and a random one of about
1 GB, trained on rows cut at max_length, under various settings. Each job is compiled as apply compiles it and runs for
a few steps as the local backend runs it, in a process of its own; its peak resident memory is what the kernel reports
when it has ended (wait4, ru_maxrss). About ten minutes and 8 GB on two cores; needs what jobs need (torch, trl).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from studio.backends import supervisor
from studio.compile import Target, compile_job
from studio.core.jobresult import JobResult
from studio.core.jobspec import RESULT_FILE, SPEC_FILE, JobSpec
from studio.core.references import Ref
from studio.jobs import threads
from studio.load import configs
from studio.load.job_memory import Inputs, of_job
from studio.memory import MIB, Estimate
from studio.resources.fine_tuning_job import FineTuningJob
from studio.workflow import planning

QUICKSTART = Path(__file__).resolve().parents[1] / "examples" / "quickstart"
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
NF4 = {
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": "bfloat16",
}
TEMPLATES = {"prompt_template": "{text} {queue}", "input_template": "{text}", "completion_template": " {queue}"}
STEPS = 4
GOAL = 0.2
"""How far from the measurement an estimate may be."""
CASES: dict[str, dict[str, Any]] = {
    "tiny, batch 1 x 64": {"batch": 1, "length": 64},
    "tiny, batch 16 x 64": {"batch": 16, "length": 64},
    "tiny, batch 16 x 200": {"batch": 16, "length": 200},
    "tiny, batch 4 x 400": {"batch": 4, "length": 400},
    "tiny, q and v only": {"batch": 16, "length": 200, "lora": {"target_modules": ["q_proj", "v_proj"]}},
    "tiny, dropout": {"batch": 16, "length": 200, "lora": {"lora_dropout": 0.05}},
    "tiny, checkpointing": {"batch": 16, "length": 200, "gradient_checkpointing": True},
    "tiny, own rows": {"batch": 16, "length": 1024, "dataset": "tickets"},
    "1 GB, batch 1 x 64": {"model": "large", "batch": 1, "length": 64},
    "1 GB, batch 4 x 64": {"model": "large", "batch": 4, "length": 64},
    "1 GB, batch 2 x 256": {"model": "large", "batch": 2, "length": 256},
    "1 GB, checkpointing": {"model": "large", "batch": 4, "length": 64, "gradient_checkpointing": True},
    "1 GB, NF4": {"model": "large", "batch": 4, "length": 64, "quantization": NF4},
}
BUILD = """
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
torch.set_default_dtype(torch.bfloat16)
LlamaForCausalLM(LlamaConfig(
    vocab_size=32000, hidden_size=1536, intermediate_size=4096, num_hidden_layers=16, num_attention_heads=12,
    num_key_value_heads=4, head_dim=128, max_position_embeddings=2048, tie_word_embeddings=True,
    bos_token_id=1, eos_token_id=2, pad_token_id=3,
)).save_pretrained(sys.argv[1])
"""


def main() -> int:
    asked = _arguments()
    wanted = {name: case for name, case in CASES.items() if not asked.only or name in asked.only}
    with tempfile.TemporaryDirectory(prefix="studio-memory-") as folder:
        root = Path(folder)
        _write_project(root, wanted)
        figures = _compare(root, list(wanted))
    asked.json.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    far = [name for name, figure in figures.items() if abs(figure["ratio"] - 1) > GOAL]
    print(
        f"\nfigures in {asked.json}; "
        + (f"off by more than a fifth: {', '.join(far)}" if far else "all within a fifth")
    )
    return 1 if far else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="NAME", help="run these cases: " + ", ".join(CASES))
    parser.add_argument("--json", type=Path, default=Path("memory.json"), help="where to write the figures")
    return parser.parse_args()


def _write_project(root: Path, cases: dict[str, dict[str, Any]]) -> None:
    shutil.copytree(QUICKSTART / "models" / "tiny-llama", root / "models" / "tiny")
    (root / "data").mkdir()
    shutil.copy(QUICKSTART / "data" / "tickets.csv", root / "data")
    row = " ".join(["my card is lost"] * 150)
    (root / "data" / "long.csv").write_text("text,queue\n" + f"{row},card\n" * 64)
    if any(case.get("model") == "large" for case in cases.values()):
        subprocess.run([sys.executable, "-c", BUILD, str(root / "models" / "large")], check=True, capture_output=True)
        for path in (root / "models" / "tiny").glob("tokenizer*"):
            shutil.copy(path, root / "models" / "large")
    (root / "studio.yaml").write_text("apiVersion: studio/v1\nkind: Project\nmetadata: {name: memory}\n")
    (root / "manifests").mkdir()
    models = sorted({case.get("model", "tiny") for case in cases.values()})
    documents = [_manifest("Model", name, type="project", location=f"models/{name}") for name in models]
    for dataset in ("long", "tickets"):
        documents.append(_manifest("Dataset", dataset, type="project_csv", location=f"data/{dataset}.csv"))
        documents.append(_manifest("Prompt", dataset, dataset=dataset, **TEMPLATES))
    documents += [_job(number, case) for number, case in enumerate(cases.values())]
    (root / "manifests" / "all.yaml").write_text("".join(f"---\n{json.dumps(each)}\n" for each in documents))


def _manifest(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "studio/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _job(number: int, case: dict[str, Any]) -> dict[str, Any]:
    dataset = case.get("dataset", "long")
    arguments = {
        "per_device_train_batch_size": case["batch"],
        "max_length": case["length"],
        "max_steps": STEPS,
        "save_strategy": "no",
        "gradient_checkpointing": case.get("gradient_checkpointing", False),
    }
    quantised = {"model_bnb_config": case["quantization"]} if "quantization" in case else {}
    return _manifest(
        "FineTuningJob",
        f"job-{number}",
        base_model=case.get("model", "tiny"),
        dataset=dataset,
        prompt=dataset,
        adapter_name=f"adapter-{number}",
        loss="full",
        lora_config={"r": 16, "lora_alpha": 32, "target_modules": LINEAR, **case.get("lora", {})},
        training_arguments_config=arguments,
        train_test_split=1.0,
        num_cpu=2,
        num_memory=16,
        **quantised,
    )


def _compare(root: Path, names: list[str]) -> dict[str, Any]:
    planned = planning.plan(root, "default")
    if not isinstance(planned, planning.Planned):
        raise SystemExit("\n".join(map(str, planned.findings)))
    target = Target(root, planned.checked.loaded.settings, "default", "")
    print(f"{'':24}  estimated   measured   ratio   seconds")
    figures = {}
    for number, name in enumerate(names):
        ref = Ref("FineTuningJob", f"job-{number}")
        estimated = _estimate(planned, ref)
        spec = compile_job(planned.desire.items[ref], planned.desire, target, planned.state, 1)
        begun = time.monotonic()
        measured = _run(spec)
        seconds, total = time.monotonic() - begun, estimated.host.total
        figures[name] = {
            "estimated": total,
            "measured": measured,
            "ratio": total / measured,
            "seconds": seconds,
            "parts": asdict(estimated.host),
        }
        mib = f"{total / MIB:6.0f} MiB {measured / MIB:6.0f} MiB"
        print(f"{name:24} {mib}   {total / measured:5.2f}   {seconds:7.0f}", flush=True)
    return figures


def _estimate(planned: planning.Planned, ref: Ref) -> Estimate:
    desire, resources = planned.desire, planned.desire.graph.resources
    defaults = configs.defaults(resources, desire.defaults)
    inputs = Inputs(planned.checked.loaded.root, resources, desire.observations, defaults)
    job = resources[ref]
    found = of_job(job, inputs) if isinstance(job, FineTuningJob) else None
    if found is None:
        raise SystemExit(f"no estimate for {ref}")
    return found


def _run(spec: JobSpec) -> int:
    """Peak resident bytes of the job's process."""
    spec.folder.mkdir(parents=True)
    file = spec.folder / SPEC_FILE
    file.write_text(spec.model_dump_json())
    environment = {**os.environ, **threads.environment(spec.resources), "HF_HUB_OFFLINE": "1"}
    command = supervisor.command(spec.model_dump(mode="json"), file)
    with (spec.folder / "log.txt").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        _, _, usage = os.wait4(child.pid, 0)
    result = JobResult.model_validate_json((spec.folder / RESULT_FILE).read_bytes())
    if result.failure:
        raise SystemExit(f"{result.failure.message}\n{(spec.folder / 'log.txt').read_text()}")
    return usage.ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
