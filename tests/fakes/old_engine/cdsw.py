"""The module of an engine of an older workspace: it knows no labels of accelerators."""

from typing import Any

from tests.fakes import engine_workers
from tests.fakes.engine_workers import list_workers, stop_workers

__all__ = ["launch_workers", "list_workers", "stop_workers"]


def launch_workers(
    n: int, cpu: float, memory: float, nvidia_gpu: int = 0, kernel: str = "python3", script: str = "", code: str = "",
    env: dict[str, str] = {},  # noqa: B006
) -> list[Any]:  # fmt: skip
    return engine_workers.launch(n, cpu, memory, nvidia_gpu, code, env)
