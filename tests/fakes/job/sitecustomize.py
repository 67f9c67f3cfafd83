"""Stands in for jobs where this folder is on PYTHONPATH: ``python -m studio.jobs SPEC`` does no work, but everything
around it is real: the supervisor, the process group, signals, the log, events and the result.

A job runs until the project holds a file ``release``, or ``release-<name>``; ``fail-<name>`` lets it fail. It imports
nothing of studio, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

ADAPTER = "adapter/adapter_model.safetensors"


def main(file: Path) -> None:
    spec = json.loads(file.read_text())
    root, folder = Path(spec["project_dir"]), file.parent
    print(f"[{spec['name']}] working, attempt {spec['attempt']}", flush=True)
    with (folder / "events.jsonl").open("a") as events:
        for step in range(100_000):
            if step % 10 == 0:
                event = {"time": time.time(), "phase": "train", "step": step, "total": 1000, "loss": 1.5}
                print(json.dumps(event), file=events, flush=True)
            if any((root / name).exists() for name in ("release", f"release-{spec['name']}")):
                break
            time.sleep(0.05)
    failed = (root / f"fail-{spec['name']}").exists()
    result = {
        "key": spec["key"], "attempt": spec["attempt"], "fingerprint": spec["fingerprint"], "seconds": 1.0,
        "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:01Z",
        "output": None if failed else output(spec, folder),
        "failure": {"message": "CUDA out of memory", "hint": "ask for a smaller batch"} if failed else None,
    }  # fmt: skip
    print("bye", flush=True)
    (folder / "result.tmp").write_text(json.dumps(result))
    (folder / "result.tmp").replace(folder / "result.json")


def output(spec: dict, folder: Path) -> dict:
    work = spec["work"]
    if work["task"] == "training":
        (folder / "adapter").mkdir(exist_ok=True)
        (folder / ADAPTER).write_bytes(b"")
        adapter = {"adapter": f"{spec['run_dir']}/adapter", "digest": "d" * 64, "metrics": {"train_loss": 0.5}}
        return {"task": "training", "train_rows": 9, "held_out_rows": 1, **adapter}
    if work["task"] == "evaluation":
        each = [(one["model"]["name"], (one.get("adapter") or {}).get("name", "")) for one in work["combinations"]]
        value = float(os.environ.get("FAKE_EXACT_MATCH", "0.9"))
        rows = [{"model": m, "adapter": a, "metrics": {"exact_match": value if a else 0.0}} for m, a in each]
        return {"task": "evaluation", "rows": 10, "combinations": rows}
    name = work["model_name"]
    return {"task": "export", "model_name": name, "model_version": "1", "uri": f"models:/{name}/1"}


if sys.orig_argv[1:3] == ["-m", "studio.jobs"]:
    main(Path(sys.orig_argv[3]))
    sys.stdout.flush()
    os._exit(0)
