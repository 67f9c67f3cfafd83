"""Import: a thing that exists becomes what a manifest's record stands for, so that apply does not make it again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from studio.apply.recording import Recorder
from studio.checking import Checked
from studio.core.errors import StudioError, UsageError
from studio.core.fingerprints import folder_digest, tree
from studio.core.jobresult import ExportOutput, TrainingOutput
from studio.core.references import Ref
from studio.core.suggest import did_you_mean
from studio.core.tracking_look import FINGERPRINT_TAG, KEY_TAG, FilesLook, LookRequest, VersionLook, VersionName
from studio.desired import Desired
from studio.load import adapters, commit, files
from studio.load.artifacts import is_present
from studio.load.observation import Unusable
from studio.load.project import NOTHING, Loaded
from studio.load.tracked import tracking
from studio.resources import KINDS
from studio.resources.adapter import AdapterFacts, AdapterSpec, AdapterType
from studio.resources.base import UID
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.model import Model
from studio.resources.model_export import ExportType, ModelExport
from studio.state.base import ACTIVE, Artifact, StateStore
from studio.state.guide_export import IMPORTED
from studio.workflow import editing, places, planning
from studio.workflow.editing import Summary
from studio.workflow.planning import Planned

COMMAND = "import"


@dataclass(frozen=True, slots=True)
class Import:
    """What is to be taken over, and as what."""

    planned: Planned
    item: Desired
    id: str

    @property
    def root(self) -> Path:
        return self.planned.checked.loaded.root


@dataclass(frozen=True, slots=True)
class Made:
    """What exists: the output that a job would have left. ``key`` names the job that made it, if one of studio did."""

    output: TrainingOutput | ExportOutput
    words: str
    key: str = ""


def bring_in(root: Path, environment: str, ref: Ref, id: str, given: Mapping[str, str] = NOTHING) -> Summary | Checked:
    """Record the thing ``id`` as what ``ref`` stands for; an empty summary when it was so already.

    Raises UsageError for what cannot be, and gives back the checked project alone when that has errors.
    """
    planned = planning.plan(root, environment, given=given)
    if isinstance(planned, Checked):
        return planned
    wanted = Import(planned, _declared(planned, ref), id)
    if ref.kind in _LOOKING:
        made = _LOOKING[ref.kind](wanted)
        return _edit(wanted, lambda state, to: adopt(wanted, made, state, to))
    _demand_uid(wanted)
    return _edit(wanted, lambda _, to: _register(wanted, to))


def _edit(wanted: Import, change: Callable[[StateStore, Recorder], Summary]) -> Summary:
    loaded = wanted.planned.checked.loaded
    return editing.edit(loaded, COMMAND, lambda state: change(state, recorder(loaded, state)))


def recorder(loaded: Loaded, state: StateStore) -> Recorder:
    """Writes records of the project's manifests into a state that is being edited."""
    sources = {ref: manifest.source.file for ref, manifest in loaded.manifests.items()}
    said = commit.commit(loaded.root, os.environ)
    return Recorder(state, sources, said, places.now, places.new_id, dict(state.records()))


def _declared(planned: Planned, ref: Ref) -> Desired:
    if ref.kind not in KINDS:
        raise UsageError(f"there is no kind {ref.kind!r}", did_you_mean(ref.kind, KINDS))
    own = {str(each): item for each, item in planned.desire.items.items() if not item.shipped}
    if str(ref) not in own:
        hint = did_you_mean(str(ref), own)
        raise UsageError(f"no manifest declares {ref}", f"write one first: it says what the thing is; {hint}")
    return own[str(ref)]


def _demand_uid(wanted: Import) -> None:
    item, asked = wanted.item, wanted.item.resource.metadata.uid
    if not UID.fullmatch(wanted.id):
        raise UsageError(f"{wanted.id!r} is no uid", "use at most 36 letters, digits, '-', '_' and '.'")
    if asked and asked != wanted.id:
        raise UsageError(f"the manifest of {item.ref} says uid: {asked}", "correct the manifest, or import that uid")


def _register(wanted: Import, to: Recorder) -> Summary:
    """A data kind: nothing runs, so the id is all that there is to take over."""
    item, uid, records = wanted.item, wanted.id, to.records
    before = records.get(item.ref)
    if before is not None and before.uid == uid:
        return {}
    if before is not None:
        hint = f"it has another uid; 'studio state rm {item.ref}' forgets it"
        raise UsageError(f"{item.ref} is recorded already, as {before.uid}", hint)
    other = next((each.ref for each in records.values() if each.uid == uid), None)
    if other:
        renames = f"'studio state mv {other} {item.ref}' renames that"
        raise UsageError(f"{uid} is the uid of {other}", renames if other.kind == item.ref.kind else "name another")
    to.new_id = lambda: uid
    to.register(item)
    return {str(item.ref): f"imported {uid}"}


def trained(wanted: Import) -> Made:
    """An adapter that was trained elsewhere, or before the state was lost, as what the job produced."""
    job, location = wanted.item.resource, _location(wanted)
    assert isinstance(job, FineTuningJob)
    facts = adapters.observe(AdapterSpec(type=AdapterType.PROJECT.value, location=location), wanted.root)
    if isinstance(facts, Unusable):
        raise UsageError(facts.message, facts.hint)
    assert facts is not None
    _demand_fitting(wanted, job, facts, location)
    output = TrainingOutput(
        adapter=location, digest=folder_digest(tree(wanted.root / location)), metrics={}, train_rows=0,
        held_out_rows=0, model_family=wanted.planned.desire.family(job.spec.base_model),
    )  # fmt: skip
    return Made(output, f"imported from {location}")


def _location(wanted: Import) -> str:
    """The folder relative to the project, as artifacts name it."""
    given = Path(wanted.id)
    path = files.inside(wanted.root, wanted.id)
    if path is None or path == wanted.root:
        raise UsageError(f"{wanted.id!r} is no folder inside the project", "copy the adapter into the project first")
    relative = given.relative_to(wanted.root) if given.is_absolute() else given
    return PurePosixPath(os.path.normpath(relative)).as_posix()


def _demand_fitting(wanted: Import, job: FineTuningJob, facts: AdapterFacts, location: str) -> None:
    """Refuse an adapter that the job cannot have produced."""
    model = wanted.planned.desire.graph.resources[Ref("Model", job.spec.base_model)]
    assert isinstance(model, Model)
    if not facts.base_model:
        raise UsageError(f"{location}/adapter_config.json names no base model", "save it again with PEFT")
    if not adapters.is_named(facts.base_model, model):
        words = f"{location!r} was trained on {facts.base_model!r}, and {job.ref} trains {model.ref}"
        raise UsageError(words, "import the adapter of this job, or correct base_model")
    desire = wanted.planned.desire
    lora = desire.config("lora_config", job.spec.lora_config, desire.family(job.spec.base_model))[1]
    if facts.rank is not None and isinstance(lora.get("r"), int) and lora["r"] != facts.rank:
        words = f"{location!r} has rank {facts.rank}, and {job.ref} asks for r: {lora['r']}"
        raise UsageError(words, "import the adapter of this job, or correct its lora_config")
    modules = lora.get("target_modules")
    if facts.target_modules and isinstance(modules, list) and sorted(map(str, modules)) != list(facts.target_modules):
        words = f"{location!r} adapts {', '.join(facts.target_modules)}, and {job.ref} {', '.join(map(str, modules))}"
        raise UsageError(words, "import the adapter of this job, or correct its lora_config")


def _exported(wanted: Import) -> Made:
    """A version of a registered model as what the export made."""
    export = wanted.item.resource
    assert isinstance(export, ModelExport)
    if export.spec.type != ExportType.MODEL_REGISTRY:
        raise UsageError(f"{export.ref} is of type {export.spec.type}", "only type: model_registry can be imported")
    name, slash, version = wanted.id.rpartition("/")
    if not (slash and name and version.isdecimal()):
        raise UsageError(f"{wanted.id!r} is no version of a model", "write MODEL/VERSION, such as router/3")
    if name != export.spec.model_name:
        words = f"{export.ref} registers {export.spec.model_name!r}, not {name!r}"
        raise UsageError(words, "correct model_name, or the id")
    seen = _look(wanted, name, version)
    if seen.tags.get(FINGERPRINT_TAG, wanted.item.fingerprint) != wanted.item.fingerprint:
        words = f"{name} version {version} was exported from something else than {export.ref} is made of now"
        raise UsageError(words, "'studio apply' exports anew; or bring the manifests back to what they were")
    output = ExportOutput(model_name=name, model_version=version, uri=f"models:/{name}/{version}", source=seen.source)
    return Made(output, f"imported {wanted.id}", seen.tags.get(KEY_TAG, ""))


def _look(wanted: Import, name: str, version: str) -> VersionLook:
    """The version as the registry has it; raises StudioError when nobody can look, UsageError when it is not whole."""
    from studio.load.tracking import look

    loaded = wanted.planned.checked.loaded
    where = tracking(loaded.settings)
    asked = VersionName(name=name, version=version)
    answer = look(LookRequest(tracking=where, project_dir=str(loaded.root), versions=(asked,)))
    if answer.fault:
        raise StudioError(f"MLflow cannot be asked: {answer.fault.message}", answer.fault.hint)
    found = answer.versions[0]
    if found is None:
        raise UsageError(f"model {name!r} has no version {version} in the registry", "look at the versions there are")
    if found.files is FilesLook.GONE:
        raise UsageError(f"the files of {name} version {version} are gone", "apply exports the model again")
    return found


def adopt(wanted: Import, made: Made, state: StateStore, to: Recorder) -> Summary:
    """File the artifact under what the manifest says now, and record the resource with it."""
    item, output = wanted.item, made.output.model_dump(mode="json")
    before = to.records.get(item.ref)
    if before and before.fingerprint == item.fingerprint and before.outcome.get("output") == output:
        return {}
    held, active = to.held_back(item), next((run for run in state.runs(item.ref) if run.status in ACTIVE), None)
    if held:
        raise UsageError(f"{item.ref} is held back: {held}", "a version that misses a gate is not taken over")
    if active:
        raise UsageError(f"the job of {item.ref} is not over: {active.key}", "wait for it, or cancel it first")
    there = state.artifact(item.ref.kind, item.fingerprint)
    if there and is_present(there.output, places.reach(wanted.planned.checked.loaded, os.environ)):
        words = f"the same work was done already: there is an artifact of {there.origin}"
        raise UsageError(words, "'studio apply' takes it over, and runs nothing")
    artifact = Artifact(item.ref.kind, item.fingerprint, output, made.key, "", "", "", 0.0, {}, to.now())
    state.save_artifact(artifact)
    to.adopt(item, artifact)
    if before and IMPORTED in before.outcome:  # what the old studio said of it is exported again
        kept = to.records[item.ref]
        state.save_record(replace(kept, outcome={**kept.outcome, IMPORTED: before.outcome[IMPORTED]}))
    return {str(item.ref): made.words}


def _evaluated(wanted: Import) -> Made:
    """Metrics count only when it is known on which rows they were measured, and only running says that."""
    hint = "'studio apply' evaluates; with its adapter imported, nothing trains"
    raise UsageError("an evaluation cannot be imported: its numbers would be somebody's word", hint)


_LOOKING: dict[str, Callable[[Import], Made]] = {
    "FineTuningJob": trained,
    "ModelExport": _exported,
    "EvaluationJob": _evaluated,
}
"""Kinds whose jobs leave something, and how it is looked at before it is taken for theirs."""
