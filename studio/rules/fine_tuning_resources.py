"""FT: what a fine-tuning job asks of its backend."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.resources.fine_tuning_job import FineTuningJob, Framework
from studio.rules import measures
from studio.rules.base import Breach, View, rule


def _found(job: FineTuningJob, field: str) -> str:
    """What a field holds, in words: what was left out is not there, though it counts as 0."""
    written = field in job.spec.model_fields_set
    return f"{field} is {getattr(job.spec, field)}" if written else f"{field} is missing"


@rule("FT-004", FineTuningJob)
def no_cpu(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The job asks for no CPU.

    A backend cannot place a process on zero cores.

    Bad:
        kind: FineTuningJob
        spec:
          num_cpu: 0  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_cpu: 2
    """
    if job.spec.num_cpu <= 0:
        yield Breach("spec.num_cpu", f"{_found(job, 'num_cpu')}; it must be greater than 0", "write num_cpu: 1")


@rule("FT-005", FineTuningJob)
def negative_gpu(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The number of GPUs is negative.

    Zero trains on the CPU; less than that means nothing.

    Bad:
        kind: FineTuningJob
        spec:
          num_gpu: -1  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_gpu: 0
    """
    if job.spec.num_gpu < 0:
        yield Breach("spec.num_gpu", f"num_gpu is {job.spec.num_gpu}; it must be at least 0", "write num_gpu: 0")


@rule("FT-006", FineTuningJob)
def no_memory(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The job asks for no memory.

    Memory is in GB; a process without any is killed before it starts.

    Bad:
        kind: FineTuningJob
        spec:
          num_memory: 0  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_memory: 8
    """
    if job.spec.num_memory <= 0:
        message = f"{_found(job, 'num_memory')}; it must be greater than 0"
        yield Breach("spec.num_memory", message, "write the GB that the model needs, such as num_memory: 8")


@rule("FT-007", FineTuningJob)
def no_workers(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The number of training workers is not positive.

    One worker is a training without distribution; there is nothing below it.

    Bad:
        kind: FineTuningJob
        spec:
          num_workers: 0  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_workers: 1
    """
    workers = job.spec.num_workers
    if workers <= 0:
        message = f"num_workers is {workers}; it must be greater than 0"
        yield Breach("spec.num_workers", message, "write num_workers: 1")


@rule("FT-032", FineTuningJob)
def gpus_for_some_workers(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """Some of the workers are to compute on GPUs, and others on CPUs.

    Workers compare their gradients after each step, over a library that speaks either from GPU to GPU or from CPU to
    CPU: all compute on GPUs, or none does.

    Bad:
        kind: FineTuningJob
        spec:
          num_workers: 2
          num_gpu: 0
          dist_gpu: 1  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_workers: 2
          num_gpu: 1
          dist_gpu: 1
    """
    first, others = job.spec.num_gpu, job.spec.dist_gpu
    if job.spec.num_workers > 1 and others is not None and (first > 0) != (others > 0):
        message = f"num_gpu is {first} and dist_gpu is {others}: all workers compute on GPUs, or none does"
        yield Breach("spec.dist_gpu", message, f"write dist_gpu: {first}, or remove it: it is then as num_gpu")


@rule("FT-022", FineTuningJob, severity=Severity.WARNING)
def idle_worker_resources(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """Resources of distributed workers are given, and there is only one worker.

    They are in force for the workers beyond the first only, so here they do nothing.

    Bad:
        kind: FineTuningJob
        spec:
          num_workers: 1
          dist_cpu: 2  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_workers: 2
          dist_cpu: 2
    """
    if job.spec.framework_type == Framework.LEGACY and job.spec.num_workers == 1:
        for name in ("dist_cpu", "dist_gpu", "dist_mem"):
            if getattr(job.spec, name) is not None:
                message = f"{name} has no effect: num_workers is 1"
                yield Breach(f"spec.{name}", message, f"raise num_workers, or remove {name}")


@rule("FT-023", FineTuningJob)
def impossible_worker_resources(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A distributed worker has no CPU or memory, or a count is negative.

    The same limits hold for every worker as for the first one.

    Bad:
        kind: FineTuningJob
        spec:
          num_workers: 2
          dist_mem: 0  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_workers: 2
          dist_mem: 8
    """
    spec = job.spec
    least = {"dist_cpu": 1, "dist_gpu": 0, "dist_mem": 1, "gpu_label_id": 0}
    given = {"dist_cpu": spec.dist_cpu, "dist_gpu": spec.dist_gpu, "dist_mem": spec.dist_mem}
    for name, value in {**given, "gpu_label_id": spec.gpu_label_id}.items():
        if value is not None and value < least[name]:
            message = f"{name} is {value}; it must be at least {least[name]}"
            yield Breach(f"spec.{name}", message, f"write {name}: {least[name]}, or remove it")


@rule("FT-055", FineTuningJob, severity=Severity.WARNING)
def idle_gpu(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The training arguments ask for the CPU, and the job for a GPU.

    What the job asks for decides: it trains on the GPU. One that trained on the CPU would hold a GPU that does nothing.

    Bad:
        kind: FineTuningJob
        spec:
          num_gpu: 1
          training_arguments_config:
            use_cpu: true  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_gpu: 0
          training_arguments_config:
            use_cpu: true
    """
    arguments = measures.training_arguments(view, job)
    if job.spec.num_gpu > 0 and arguments and arguments.get("use_cpu") is True:
        written = job.spec.training_arguments_config
        inline = isinstance(written, dict)
        path = "spec.training_arguments_config" + (".use_cpu" if inline else "")
        message = f"use_cpu is ignored: num_gpu is {job.spec.num_gpu}"
        yield Breach(path, message, "write num_gpu: 0 to train on the CPU, or remove use_cpu")
