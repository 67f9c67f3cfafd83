"""The module of an engine of a workspace, with the signature of current ones."""

from typing import Any

from tests.fakes import engine_workers
from tests.fakes.engine_workers import list_workers, stop_workers

__all__ = ["launch_workers", "list_workers", "stop_workers"]


def launch_workers(
    n: int, cpu: float, memory: float, nvidia_gpu: int = 0, kernel: str = "python3", script: str = "", code: str = "",
    accelerator_label_id: int | None = None, env: dict[str, str] = {},  # noqa: B006
) -> list[Any]:  # fmt: skip
    label = {} if accelerator_label_id is None else {"label": accelerator_label_id}
    return engine_workers.launch(n, cpu, memory, nvidia_gpu, code, env, **label)
