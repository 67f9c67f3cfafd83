"""Checks of a CML workspace: of the engine that studio runs in and, with ``--online``, of the project of the jobs."""

from __future__ import annotations

import importlib.util
import os
from importlib import metadata
from pathlib import Path

from studio import __version__
from studio.backends import cml
from studio.backends.base import Site
from studio.backends.workspace.calls import Calls, MissingError
from studio.backends.workspace.files import Files
from studio.backends.workspace.templates import FOR_OTHERS, FOR_TASK, Templates
from studio.core.errors import RefusedError, StudioError
from studio.doctor.checkup import Checkup, Surroundings, Verdict
from studio.doctor.services import TIMEOUT_SECONDS
from studio.load import workspaces
from studio.resources.base import Resource

PACKAGE = "fine-tuning-studio"
INSTALL = "cml/install.py"
SET_IN_ENGINES = ("CDSW_ENGINE_ID", "CDSW_PROJECT_ID", "CDSW_DOMAIN", "CDSW_APIV2_KEY")
"""What jobs and studio rely on in an engine; the last is made for whoever may use the API."""

TEMPLATES = (*FOR_TASK.values(), FOR_OTHERS)
"""For each kind of job, in order of preference."""


def engine(around: Surroundings) -> Checkup | None:
    """Whether an engine of a workspace has what studio and its jobs need there."""
    if not around.environ.get("CDSW_ENGINE_ID") and not around.environ.get(workspaces.PROJECT_VARIABLE):
        return None
    root = around.loaded.root if around.loaded else around.folder
    unset = [name for name in SET_IN_ENGINES if not around.environ.get(name)]
    if unset:
        return Checkup(Verdict.WARNING, f"not set: {', '.join(unset)}", "start a new session; ask an administrator "
                       "for API keys (version 2) where CDSW_APIV2_KEY stays away")  # fmt: skip
    if not _is_writable(root):
        return Checkup(
            Verdict.MISSING, f"{root / '.studio'} cannot be written to", "check the project's rights and disk"
        )
    try:
        version = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return Checkup(
            Verdict.MISSING, "studio is not installed for the engines of this project", f"python {INSTALL} in a session"
        )
    if version != __version__:
        return Checkup(
            Verdict.WARNING, f"jobs run studio {version}, this is {__version__}", f"python {INSTALL} in a session"
        )
    return Checkup(Verdict.OK, f"studio {version} is installed for jobs, {root} is writable")


def project(around: Surroundings) -> Checkup | None:
    """Whether the project that jobs go to is this one, is there, and may be written to with this key."""
    if (calls := _calls(around)) is None:
        return None
    here = around.environ.get(workspaces.PROJECT_VARIABLE, "")
    if here and here != calls.project_id:
        return Checkup(
            Verdict.WARNING, f"jobs go to the project {calls.project_id}, this is an engine of {here}",
            f"write project_id: {here} in studio.yaml, unless another project is meant",
        )  # fmt: skip
    if not around.online:
        return Checkup(Verdict.OK, f"{calls.project_id}: not asked; --online asks")
    found = calls.ask("look at the project", calls.client.get_project, calls.project_id)
    rights = found.permissions
    if rights is not None and not (rights.write or rights.admin):
        return Checkup(
            Verdict.MISSING, f"{calls.shown(found.name)}: this key may not start jobs there",
            "make a key of somebody who may write to the project",
        )  # fmt: skip
    return Checkup(Verdict.OK, f"{calls.shown(found.name)} ({calls.project_id})")


def templates(around: Surroundings) -> Checkup | None:
    """Whether the jobs are there that others inherit their script and runtime from."""
    if not around.online or (calls := _calls(around)) is None:
        return None
    files, known = Files(calls), Templates(calls)
    found, faults = [], []
    for names in TEMPLATES:
        try:
            template = known.first(names)
        except RefusedError as error:
            if calls.is_shut_out or isinstance(error, MissingError):
                return None  # the check of the project says why
            faults.append(error.message)
            continue
        if files.find(template.script) is None:
            faults.append(f"the script of {template.name}, {calls.shown(template.script)}, is not in the project")
        found.append(f"{template.name} ({calls.shown(template.runtime.rpartition('/')[2])})")
    if faults:
        return Checkup(
            Verdict.MISSING, "; ".join(dict.fromkeys(faults)),
            "'studio init --cml' writes the script and the metadata that creates them, as an AMP",
        )  # fmt: skip
    return Checkup(Verdict.OK, ", ".join(dict.fromkeys(found)))


def accelerators(around: Surroundings) -> Checkup | None:
    """Which labels GPUs have, and whether those that jobs ask for are among them."""
    if not around.online or (calls := _calls(around)) is None:
        return None
    asked = {each.gpu_label for each in around.asked() if each.gpu_label is not None}
    try:
        labels = calls.pages(
            "list the accelerator labels",
            lambda page: page.accelerator_node_label,
            calls.client.list_all_accelerator_node_labels,
        )
    except RefusedError as error:
        if calls.is_shut_out:
            return None
        verdict = Verdict.WARNING if asked else Verdict.OK
        return Checkup(verdict, error.message, "ask an administrator which gpu_label_id to use" if asked else "")
    there = {str(label.id): calls.shown(str(label.label_value or label.label_key)) for label in labels}
    found = ", ".join(f"{id} {name}" for id, name in sorted(there.items())) or "the workspace has no labels"
    if absent := sorted(str(each) for each in asked if str(each) not in there):
        return Checkup(Verdict.MISSING, f"no label {', '.join(absent)}; there are: {found}", "correct gpu_label_id")
    return Checkup(Verdict.OK, found)


def models(around: Surroundings) -> Checkup | None:
    """Whether the workspace has a model registry."""
    if not around.online or (calls := _calls(around)) is None:
        return None
    needed = [str(resource.ref) for resource in around.resources if _registers(resource)]
    try:
        calls.ask("list registered models", calls.client.list_registered_models, page_size=1)
    except RefusedError as error:
        if calls.is_shut_out:
            return None
        verdict = Verdict.WARNING if needed else Verdict.OK
        return Checkup(verdict, f"no model registry: {error.message}", "ask an administrator" if needed else "")
    return Checkup(Verdict.OK, "the workspace has a model registry")


def _calls(around: Surroundings) -> Calls | None:
    """To the project that jobs go to; None where none do, and where the check of the access says what is missing."""
    backend = around.loaded.settings.spec.backend if around.loaded else None
    if backend is None or backend.type != "cml" or importlib.util.find_spec(cml.CLIENT) is None:
        return None
    try:
        found = workspaces.access(backend, around.environ)
    except StudioError:
        return None
    site = Site(
        Path(), around.environ, found.url, found.project_id, found.key, found.key_variable, patience=TIMEOUT_SECONDS
    )
    return cml.backend(site).calls


def _registers(resource: Resource) -> bool:
    return getattr(resource.spec, "type", "") == "model_registry"


def _is_writable(root: Path) -> bool:
    own = root / ".studio"
    return os.access(own if own.exists() else root, os.W_OK | os.X_OK)
