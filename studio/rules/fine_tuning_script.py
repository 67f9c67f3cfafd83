"""FT: a training script of the team's own, and files that training arguments name."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.load import job_files
from studio.load.job_memory import Inputs
from studio.resources.fine_tuning_job import FineTuningJob, Framework, JobFacts, settings_files
from studio.rules.base import Breach, View, rule


@rule("FT-033", FineTuningJob)
def user_script_is_no_python(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The training script, or a module of the project that it imports, is not Python.

    The job starts it with Python and would fail on its first line, after the wait for a machine.

    Bad:
        kind: FineTuningJob
        spec:
          user_script: scripts/train.sh  # <-
    Good:
        kind: FineTuningJob
        spec:
          user_script: scripts/train.py
    """
    facts = view.facts(job.ref, JobFacts)
    if facts and facts.fault:
        hint = "correct it; what starts the training must be a Python script"
        yield Breach("spec.user_script", f"not Python: {facts.fault}", hint)


@rule("FT-034", FineTuningJob, severity=Severity.WARNING)
def idle_user_config(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A configuration for a training script is given, and no script.

    It is handed to the script and to nothing else, so here it does nothing.

    Bad:
        kind: FineTuningJob
        spec:
          user_config:  # <-
            rounds: 3
    Good:
        kind: FineTuningJob
        spec:
          user_script: scripts/train.py
          user_config:
            rounds: 3
    """
    if job.spec.user_config and not job.spec.user_script:
        yield Breach(
            "spec.user_config", "user_config has no effect: there is no user_script", "name one, or remove user_config"
        )


@rule("FT-035", FineTuningJob)
def script_beside_axolotl(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The job has a training script of its own, and is to train with Axolotl.

    One of the two can train. A script that wants Axolotl starts it by itself.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            sequence_len: 512
          user_script: scripts/train.py  # <-
    Good:
        kind: FineTuningJob
        spec:
          framework_type: legacy
          user_script: scripts/train.py
    """
    if job.spec.user_script and job.spec.framework_type == Framework.AXOLOTL:
        message = "user_script and framework_type: axolotl: only one of them can train"
        yield Breach("spec.user_script", message, "remove user_script, or write framework_type: legacy")


@rule("FT-067", FineTuningJob, severity=Severity.WARNING)
def script_that_ignores_other_workers(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A training script is to run with several workers, and nothing in it has to do with them.

    Every worker runs the whole script. One that asks for no rank, and uses no library that does, trains on every row in
    each of them: it takes as long as one worker, and they write the same checkpoints. The search is one of text, in the
    script and the modules of the project that it imports.

    Bad:
        kind: FineTuningJob
        spec:
          user_script: scripts/train.py
          num_workers: 2  # <-
    Good:
        kind: FineTuningJob
        spec:
          user_script: scripts/train_together.py
          num_workers: 2
    """
    facts = view.facts(job.ref, JobFacts)
    if job.spec.user_script and job.spec.num_workers > 1 and facts and facts.alone and not facts.fault:
        message = f"every worker runs the whole script, and nothing in {job.spec.user_script!r} has to do with others"
        hint = "share the rows by RANK and WORLD_SIZE, with torch.distributed or accelerate, or write num_workers: 1"
        yield Breach("spec.num_workers", message, hint)


@rule("FT-036", FineTuningJob)
def missing_settings_file(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A training argument names a file of settings that is not in the project, or is no JSON.

    The job would end before its first step. The file is part of the job: when it changes, the job runs again.

    Bad:
        kind: FineTuningJob
        spec:
          num_gpu: 2
          num_workers: 2
          training_arguments_config:
            deepspeed: config/zero.json  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_gpu: 2
          num_workers: 2
          training_arguments_config:
            deepspeed:
              zero_optimization:
                stage: 2
    """
    if not job.reads("training_arguments_config"):
        return
    written = job.spec.training_arguments_config
    inputs = Inputs(view.root, view.graph.resources, view.observations, view.default_configs)
    arguments = inputs.config(job, "training_arguments", written) or {}
    for key, name in settings_files(arguments).items():
        held = job_files.settings(view.root, name)
        if isinstance(held, str):
            path = ("spec", "training_arguments_config", *((key,) if isinstance(written, dict) else ()))
            yield Breach(path, f"{key}: {held}", "write the path of a JSON file in the project, or the settings here")
