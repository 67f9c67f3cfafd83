"""Checks of what is installed, against what this version of studio declares; nothing of it is imported."""

from __future__ import annotations

import platform
import shlex
import sys
from importlib import metadata

from studio import __version__
from studio.core import harness_tasks
from studio.core.errors import JobError
from studio.core.jobspec import VARIABLE
from studio.doctor.checkup import Checkup, Surroundings, Verdict
from studio.jobs.export import converter
from studio.jobs.training.axolotl import home
from studio.resources.evaluation_job import EvaluationJob
from studio.resources.fine_tuning_job import FineTuningJob, Framework
from studio.resources.model_export import ModelExport

PACKAGE = "fine-tuning-studio"
OLDEST = (3, 11)
WHY = {"transformers": "mlflow 3.17 cannot log a local checkpoint with transformers 5.23 or newer"}
"""Why a bound is there, for those that look arbitrary."""


def python(around: Surroundings) -> Checkup:
    found = f"{platform.python_version()} on {platform.platform()}, studio {__version__}"
    if sys.version_info < OLDEST:
        return Checkup(Verdict.MISSING, found, f"studio needs Python {'.'.join(map(str, OLDEST))} or newer")
    return Checkup(Verdict.OK, found)


def core(around: Surroundings) -> Checkup:
    """What validate and plan need."""
    return _libraries("", Verdict.MISSING)


def train(around: Surroundings) -> Checkup:
    """What jobs need; on CML they find it in their runtime."""
    return _libraries("train", around.needed())


def axolotl(around: Surroundings) -> Checkup | None:
    """The environment that trainings with Axolotl run in; nothing of it is run here."""
    jobs = [job for job in around.resources if isinstance(job, FineTuningJob)]
    if around.loaded is None or not any(job.spec.framework_type == Framework.AXOLOTL for job in jobs):
        return None
    said = around.loaded.settings.spec.axolotl_python
    try:
        found = home.find(
            said if isinstance(said, str) else f"{VARIABLE}{said.env}", around.loaded.root, around.environ
        )
    except JobError as error:
        return Checkup(around.needed(), error.message, error.hint)
    return Checkup(Verdict.OK, f"{home.PACKAGE} {found.version} of {found.python}")


def harness(around: Surroundings) -> Checkup | None:
    """What asks the tasks of evaluations; none where there are no tasks."""
    if not any(isinstance(each, EvaluationJob) and each.spec.tasks for each in around.resources):
        return None
    try:
        return Checkup(Verdict.OK, f"lm_eval {metadata.version(harness_tasks.PACKAGE)}")
    except metadata.PackageNotFoundError:
        return Checkup(around.needed(), "lm_eval is not installed; evaluations have tasks", harness_tasks.INSTALL)


def gguf(around: Surroundings) -> Checkup | None:
    """The converter that exports with ``gguf`` need; nothing of it is run here."""
    exports = [each for each in around.resources if isinstance(each, ModelExport)]
    if not any(export.spec.gguf for export in exports):
        return None
    try:
        return Checkup(Verdict.OK, str(converter.find(around.environ)))
    except JobError as error:
        return Checkup(around.needed(), error.message, error.hint)


def _libraries(extra: str, verdict: Verdict) -> Checkup:
    from packaging.requirements import Requirement

    try:
        declared = [Requirement(text) for text in metadata.requires(PACKAGE) or ()]
    except metadata.PackageNotFoundError:
        return Checkup(Verdict.WARNING, "studio runs from a folder and is not installed", "pip install -e '.[train]'")
    wanted = [each for each in declared if _belongs(each.marker, extra)]
    wrong, cures = [], []
    for each in wanted:
        try:
            version = metadata.version(each.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{each.name} is not installed")
        else:
            if each.specifier.contains(version, prereleases=True):
                continue
            why = f": {WHY[each.name]}" if each.name in WHY else ""
            wrong.append(f"{each.name} {version} does not suit ({each.specifier}){why}")
        cures.append(shlex.quote(f"{each.name}{each.specifier}"))
    if wrong:
        return Checkup(verdict, "; ".join(wrong), f"pip install {' '.join(cures)}")
    return Checkup(Verdict.OK, ", ".join(f"{each.name} {metadata.version(each.name)}" for each in wanted))


def _belongs(marker: object, extra: str) -> bool:
    """Whether a requirement is in force with this extra, and not without it."""
    from packaging.markers import Marker

    if not isinstance(marker, Marker):
        return not extra
    return marker.evaluate({"extra": extra}) and not (extra and marker.evaluate({"extra": ""}))
