"""What a job computes on: the device and the number format of its weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from studio.core.errors import JobError
from studio.core.jobspec import Resources
from studio.jobs import ranks, threads
from studio.jobs.events import EventLog


@dataclass(frozen=True, slots=True)
class Device:
    """``name`` as torch writes it (``cpu``, ``cuda:0``); ``dtype`` of weights that are not quantised."""

    name: str
    dtype: torch.dtype
    threads: int

    @property
    def is_cpu(self) -> bool:
        return self.name == "cpu"

    @property
    def model(self) -> str:
        """``cpu``, or what the GPU calls itself."""
        return "cpu" if self.is_cpu else str(torch.cuda.get_device_name(self.name))


def choose(resources: Resources, events: EventLog) -> Device:
    """A GPU when the job asked for one and it is there; bfloat16 where supported, else float16; float32 on CPU."""
    count = threads.apply(resources)
    if resources.gpu > 0 and torch.cuda.is_available():
        name = f"cuda:{ranks.local_rank()}"
        if ranks.local_rank() >= torch.cuda.device_count():
            what = f"worker {ranks.local_rank()} on this machine finds {torch.cuda.device_count()} GPU for all of them"
            raise JobError(what, f"each worker computes on one: write num_gpu: {resources.workers}")
        device = Device(name, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16, count)
    else:
        device = Device("cpu", torch.float32, count)
        if resources.gpu > 0:
            events.write("setup", f"asked for {resources.gpu} GPU, but this machine shows none: computing on CPU")
    events.write("setup", f"{device.name}, {str(device.dtype).removeprefix('torch.')}, {count} threads")
    return device
