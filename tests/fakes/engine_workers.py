"""Workers of an engine as real processes: what ``cml.workers_v1`` does in a workspace, with its names and answers.

Each launch is noted as a line of JSON in the file that FAKE_WORKERS_LOG names. FAKE_WORKERS is ``refuse`` (no engine is
created), ``fail`` (an engine ends before its code runs) or ``raise``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

_workers: dict[str, subprocess.Popen[bytes]] = {}
FOR_PROJECT = ("PATH", "PYTHONPATH", "HOME", "OMP_NUM_THREADS", "HF_HUB_OFFLINE", "XDG_CACHE_HOME")
"""What every engine of a project has; the environment of one run is not among it."""


def launch(
    n: int, cpu: float, memory: float, nvidia_gpu: int, code: str, env: dict[str, str], **more: Any
) -> list[dict[str, Any]]:
    assert all(isinstance(value, str) for value in env.values())
    fault = os.environ.get("FAKE_WORKERS", "")
    if fault == "raise":
        raise RuntimeError("the engine is not reachable")
    if fault == "refuse":
        return [{"message": "not enough quota for 2 CPU"} for _ in range(n)]
    asked = {"cpu": cpu, "memory": memory, "gpu": nvidia_gpu, **more}
    return [_launched("raise SystemExit(1)" if fault == "fail" else code, env, asked) for _ in range(n)]


def _launched(code: str, env: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    id = f"worker-{len(_workers) + 1}"
    project = {name: os.environ[name] for name in FOR_PROJECT if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, start_new_session=True,
        env={**project, **env, "CDSW_ENGINE_ID": id, "CDSW_ENGINE_TYPE": "worker"},
    )  # fmt: skip
    _workers[id] = process
    if log := os.environ.get("FAKE_WORKERS_LOG"):
        with open(log, "a") as file:
            file.write(json.dumps({"pid": process.pid, "asked": asked, "env": env}) + "\n")
    return {"id": id, "status": "starting", "ip_address": "127.0.0.1"}


def list_workers() -> list[dict[str, Any]]:
    states = {None: "running", 0: "succeeded"}
    return [{"id": id, "status": states.get(process.poll(), "failed")} for id, process in _workers.items()]


def stop_workers(*ids: str) -> None:
    for id in ids:
        _workers[id].terminate()
