"""The table of checks: a new one is one function and one line here."""

from __future__ import annotations

from studio.doctor import libraries, machine, project, services, workspace
from studio.doctor.checkup import Check

CHECKS: dict[str, Check] = {
    "python": libraries.python,
    "core libraries": libraries.core,
    "train libraries": libraries.train,
    "Axolotl": libraries.axolotl,
    "lm_eval": libraries.harness,
    "GGUF": libraries.gguf,
    "GPU": machine.accelerator,
    "CPU and memory": machine.processor,
    "disk": machine.disk,
    "project": project.project,
    "state": project.state,
    "git": project.git,
    "MLflow": services.tracking,
    "hub token": services.token,
    "hub": services.hub,
    "judges": services.judges,
    "CML": services.workspace,
    "CML engine": workspace.engine,
    "CML project": workspace.project,
    "CML templates": workspace.templates,
    "CML labels": workspace.accelerators,
    "CML registry": workspace.models,
}
