"""A folder with ``studio.yaml`` to a loaded project: settings, manifests, problems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any

from studio.core.errors import UsageError
from studio.core.findings import Path, Position, Source
from studio.core.references import Ref
from studio.core.suggest import did_you_mean, nearest
from studio.load import documents, files
from studio.load.comments import secrets_in_comments
from studio.load.files import SETTINGS_FILE
from studio.load.manifests import Manifest, fit, parse_manifest
from studio.load.nodes import YamlFault
from studio.load.patches import Placed, Written, apply_patches
from studio.load.positions import with_lines
from studio.load.problems import Fault, Problem
from studio.load.readings import Parsed, Reading, Readings, yaml_problem
from studio.load.settings import Environment, Project
from studio.load.trials import with_trials
from studio.load.unread import Unread
from studio.load.variables import MARK, Variables, mentioned, set_by_hand, substituted, variables
from studio.load.witness import note
from studio.resources import KINDS
from studio.resources.base import API_VERSION, Metadata, Resource

DEFAULT_ENVIRONMENT = "default"
MAX_ENVIRONMENTS = 100
Parse = Callable[[Any, Source], Parsed]
NOTHING: Mapping[str, str] = MappingProxyType({})
NO_FILE = "(memory)"
"""Stands for the file of documents that are in none."""
NAME = ("metadata", "name")
ADAPTER_NAME = ("spec", "adapter_name")
EVERYTHING = ((),)
"""What is lost when nothing of studio.yaml counts."""


@dataclass(slots=True)
class Loaded:
    """Everything the files say. ``manifests`` is sorted by kind and name."""

    root: FilePath
    settings: Project
    environment: str
    manifests: dict[Ref, Manifest] = field(default_factory=dict)
    defaults: dict[Ref, Manifest] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    origins: dict[Source, list[Written]] = field(default_factory=dict)
    """Which values of which documents the environment's patches wrote, and where they stand in studio.yaml."""
    unread: Unread = field(default_factory=Unread)
    files: int = 0
    variables: Variables = field(default_factory=Variables)
    given: Mapping[str, str] = field(default_factory=dict)
    """Values of variables from the command line."""
    told: dict[Source, dict[Path, str]] = field(default_factory=dict)
    """Which variables made which values of which documents, in words."""
    damaged: bool = False
    """Whether some of studio.yaml did not parse, so that its defaults may be in force where it says otherwise."""

    @property
    def resources(self) -> dict[Ref, Resource]:
        return {ref: manifest.resource for ref, manifest in self.manifests.items()}


def load_project(
    root: FilePath,
    environment: str = DEFAULT_ENVIRONMENT,
    given: Mapping[str, str] = NOTHING,
    readings: Readings | None = None,
) -> Loaded:
    """Read settings and manifests of ``root``. ``given`` are values of variables from the command line, ``readings``
    what a run has read for another environment.

    Never raises for what is in the files, only for an environment or a variable that is not there.
    """
    loaded, chosen = _configured(root, environment, given)
    text = files.read_text(root, SETTINGS_FILE)
    if isinstance(text, str):
        loaded.problems += secrets_in_comments(text, SETTINGS_FILE)
    here = ("spec", "environments", environment, "patches")
    patches: list[Placed] = [((*here, index), patch) for index, patch in enumerate(chosen.patches if chosen else ())]
    readings = readings or Readings()
    patched = any(MARK in str(patch.patch) for _, patch in patches)
    names, closed = files.find(root, _folders(loaded))
    loaded.problems += closed
    loaded.unread.unknown |= bool(closed)
    for name in names:
        if name == SETTINGS_FILE:  # the project's own folder is a manifest folder
            continue
        loaded.files += 1
        _load_file(loaded, name, readings.of(root, name), patches, patched)
    loaded.manifests, faults = with_trials(loaded.manifests, loaded.defaults, root)
    loaded.problems += faults
    loaded.problems = with_lines(root, loaded.problems, NAME)
    if not loaded.manifests and not loaded.problems:
        hint = f"add manifests below {', '.join(loaded.settings.spec.manifests)}, or run 'studio init'"
        message = "the project holds no manifest"
        loaded.problems.append(Problem(Fault.NO_MANIFEST, message, hint, Source(SETTINGS_FILE)))
    return loaded


def load_settings(root: FilePath, environment: str = DEFAULT_ENVIRONMENT) -> Loaded:
    """The settings alone, for commands to which the manifests do not matter."""
    return _configured(root, environment, NOTHING)[0]


def _configured(root: FilePath, environment: str, given: Mapping[str, str]) -> tuple[Loaded, Environment | None]:
    """A project before its manifests are read, and what studio.yaml says about the environment."""
    _note_shipped(shipped_folder())
    settings, problems = _settings(root)
    chosen = _environment(settings, environment, damaged=bool(problems))
    settings = _in_environment(settings, chosen)
    loaded = Loaded(root, settings, environment, defaults=dict(shipped_defaults()), problems=problems)
    loaded.damaged = bool(problems)
    loaded.variables = variables(settings.spec, environment, chosen)
    if given and not problems:
        loaded.variables, loaded.given = set_by_hand(loaded.variables, settings.spec, given), given
    return loaded, chosen


def load_documents(root: FilePath, contents: Iterable[Any]) -> Loaded:
    """Documents that are in no file, as a project in ``root`` with default settings; locations are relative to it."""
    settings = Project(metadata=Metadata(name="memory"))
    loaded = Loaded(root, settings, DEFAULT_ENVIRONMENT, defaults=dict(shipped_defaults()))
    for index, document in enumerate(contents):
        _add(loaded, document, Source(NO_FILE, index))
    loaded.manifests, faults = with_trials(loaded.manifests, loaded.defaults, root)
    loaded.problems += faults
    return loaded


def _note_shipped(folder: FilePath) -> None:
    """Shipped manifests are read once in a process; whoever watches a later run must hear of them all the same."""
    note(str(folder))
    for path in folder.iterdir():
        note(str(path))


@cache
def shipped_defaults() -> dict[Ref, Manifest]:
    """The manifests that come with studio; a project's Config of the same name overrides one."""
    found: dict[Ref, Manifest] = {}
    for path in sorted(shipped_folder().iterdir(), key=lambda entry: entry.name):
        for index, document in enumerate(documents.parse(path.read_text("utf-8"))):
            manifest, problems = parse_manifest(document, Source(f"defaults/{path.name}", index))
            if manifest is None or problems:
                raise AssertionError(f"shipped manifest {path.name} is broken: {problems}")
            found[manifest.resource.ref] = manifest
    return found


def shipped_folder() -> FilePath:
    """Where the shipped manifests are: in the package, or beside it in a checkout."""
    installed = FilePath(__file__).resolve().parents[1] / "defaults"
    return installed if installed.is_dir() else installed.parents[1] / "manifests"


def _settings(root: FilePath) -> tuple[Project, list[Problem]]:
    text = files.read_text(root, SETTINGS_FILE)
    if isinstance(text, Problem):
        return Project(), [replace(text, lost=EVERYTHING)]
    source = Source(SETTINGS_FILE)
    try:
        content = documents.parse(text)
    except YamlFault as fault:
        return Project(), [replace(yaml_problem(fault, source), lost=EVERYTHING)]
    document = content[0] if content else None
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(document, dict) or kind != "Project":
        return Project(), [_not_settings(text, kind, source)]
    said = {part: value for part, value in document.items() if value is not None}
    settings, problems = fit(Project, said, source, None)
    if settings is None:
        return Project(), [replace(problem, lost=EVERYTHING) for problem in problems]
    return _bounded(settings, problems, source)


def _bounded(settings: Project, problems: list[Problem], source: Source) -> tuple[Project, list[Problem]]:
    """The settings with as many environments as anybody has: each of them means another look at the whole project."""
    named = [*settings.spec.environments.items()]
    if len(named) <= MAX_ENVIRONMENTS:
        return settings, problems
    message = f"of {len(named):,} environments only the first {MAX_ENVIRONMENTS} count, and this one is not among them"
    path = ("spec", "environments", named[MAX_ENVIRONMENTS][0])
    many = Problem(Fault.LIMIT, message, "split the project", source, path, at_key=True)
    kept = {"environments": dict(named[:MAX_ENVIRONMENTS])}
    return settings.model_copy(update={"spec": settings.spec.model_copy(update=kept)}), [*problems, many]


def _not_settings(text: str, kind: Any, source: Source) -> Problem:
    message = "studio.yaml is not of kind Project"
    hint = f"write apiVersion: {API_VERSION}, kind: Project, metadata: {{name: ...}}, spec: {{...}}"
    if isinstance(kind, str):
        message = f"studio.yaml is of kind {kind!r}, not of kind Project"
        if kind in KINDS:
            hint = "move it to a manifest folder; studio.yaml holds the settings of the project"
        elif nearest(kind, ("Project",)):
            hint = "did you mean 'Project'?"
    position = Position(source.file, *documents.locate(text, 0, ("kind",)))
    return Problem(Fault.NOT_A_MANIFEST, message, hint, source, position=position, lost=EVERYTHING)


def _environment(settings: Project, name: str, *, damaged: bool) -> Environment | None:
    """The environment's settings. What a damaged studio.yaml lacks may be in the part that did not parse."""
    known = settings.spec.environments
    if name in known:
        return known[name]
    if name == DEFAULT_ENVIRONMENT or damaged:
        return None
    raise UsageError(
        f"the environment {name!r} is not in {SETTINGS_FILE}", did_you_mean(name, {*known, DEFAULT_ENVIRONMENT})
    )


def _in_environment(settings: Project, chosen: Environment | None) -> Project:
    if chosen is None:
        return settings
    overrides = {key: value for key in ("backend", "state", "mlflow") if (value := getattr(chosen, key)) is not None}
    return settings.model_copy(update={"spec": settings.spec.model_copy(update=overrides)})


def _folders(loaded: Loaded) -> list[str]:
    good = []
    for index, folder in enumerate(loaded.settings.spec.manifests):
        place = files.look(loaded.root, folder)
        if place in (files.Place.FILE, files.Place.FOLDER):
            good.append(folder)
            continue
        left = place is files.Place.OUTSIDE
        fault, what = (
            (Fault.OUTSIDE, "leaves the project") if left else (Fault.UNREADABLE, files.absence(loaded.root, folder))
        )
        hint = "name a folder below studio.yaml" if left else "create it, or correct spec.manifests"
        loaded.unread.unknown = True
        where = ("spec", "manifests", index)
        loaded.problems.append(
            Problem(fault, f"the manifest folder {folder!r} {what}", hint, Source(SETTINGS_FILE), where)
        )
    return good


def _load_file(loaded: Loaded, name: str, reading: Reading, patches: list[Placed], patched: bool) -> None:
    """``patched``: patches may bring references to variables where the file has none."""
    loaded.problems.extend(reading.problems)
    if reading.text is None:
        loaded.unread.unknown = True
        return
    if reading.documents is None:
        loaded.unread.note(reading.text)
        return
    marked = MARK in reading.text  # asked once: a file may hold thousands of documents
    for index, written in reading.documents:
        source, document = Source(name, index), written
        if patches:
            document, loaded.origins[source] = apply_patches(written, patches)
            loaded.variables.used.update(mentioned(written) if marked else ())  # a patch may replace it
        if patched or marked:
            _add_with_variables(loaded, document, source)
        else:
            _add(loaded, document, source, parse=reading.parse if document is written else parse_manifest)


def _add_with_variables(loaded: Loaded, document: Any, source: Source) -> None:
    made, work = substituted(document, loaded.variables, source)
    loaded.problems.extend(work.problems)
    loaded.told[source] = work.told
    loaded.unread.unknown |= ADAPTER_NAME in work.lost  # which may be any name
    _add(loaded, made, source, work.lost)


def _add(
    loaded: Loaded, document: Any, source: Source, lost: tuple[Path, ...] = (), parse: Parse = parse_manifest
) -> None:
    """``lost`` are places whose values are not known, as a reference to a variable is at fault."""
    manifest, problems = parse(document, source)
    loaded.problems.extend(problem for problem in problems if problem.path not in lost)
    if manifest and lost:
        manifest = replace(manifest, damaged=(*manifest.damaged, *lost))
    if manifest is None or ADAPTER_NAME in manifest.damaged:
        loaded.unread.note(document)
    if manifest is None:
        return
    ref = manifest.resource.ref
    first = loaded.manifests.setdefault(ref, manifest)
    if first is not manifest and NAME not in manifest.damaged:
        message = f"{ref} is declared twice, first in {first.source.file}"
        loaded.problems.append(
            Problem(
                Fault.DUPLICATE_RESOURCE, message, "rename or remove one of them", source, NAME, resource=ref,
                earlier=first.source,
            )
        )  # fmt: skip
