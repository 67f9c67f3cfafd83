"""The rule framework: a rule is one function with one docstring.

The docstring is the rule's page: a title that states the fault, why it matters, a ``Bad:`` and a ``Good:`` manifest.
The line at fault in the bad one ends in ``# <-``. Rules only report: they never raise, print or stop at the first.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path as FilePath
from typing import Any, TypeVar, assert_never

from studio.core.findings import Finding, Path, Phase, Severity, Source, sort_key
from studio.core.references import Ref
from studio.graph import Graph, producer
from studio.load import configs
from studio.load.files import SETTINGS_FILE
from studio.load.hub import HubFault
from studio.load.manifests import Manifest
from studio.load.observation import Defect, Observation, Unusable
from studio.load.online import Online
from studio.load.problems import Fault, Problem
from studio.load.settings import Project
from studio.load.unread import Unread
from studio.resources import KINDS
from studio.resources.base import Resource
from studio.resources.dataset import DatasetFacts
from studio.rules.configurations import Configuration, collect
from studio.rules.trials import told_once

R = TypeVar("R", bound=Resource)
T = TypeVar("T")


@dataclass(slots=True)
class View:
    """All that a rule may look at. ``online`` is there in the online phase only."""

    root: FilePath
    settings: Project
    manifests: Mapping[Ref, Manifest]
    defaults: Mapping[Ref, Manifest]
    graph: Graph
    observations: Mapping[Ref, Observation]
    problems: list[Problem]
    unread: Unread = field(default_factory=Unread)
    used: frozenset[str] = frozenset()  # variables that manifests name
    backend_types: tuple[str, ...] = ("local",)
    online: Online | None = None
    _by_kind: dict[type[Resource], list[Manifest]] = field(default_factory=dict)
    _found: dict[tuple[str, Ref | None], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for manifest in self.manifests.values():
            self._by_kind.setdefault(KINDS[manifest.resource.kind].model, []).append(manifest)

    def of(self, kind: type[Resource]) -> Sequence[Manifest]:
        """The manifests of one kind, by name."""
        return self._by_kind.get(kind, ())

    @property
    def default_configs(self) -> configs.Defaults:
        """The Configs in force where jobs name none."""
        shipped = self.defaults.items()
        return self.once(
            "default configs",
            None,
            lambda: configs.defaults(self.graph.resources, {ref: manifest.resource for ref, manifest in shipped}),
        )

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """What Configs and jobs hand to libraries."""
        return self.once("configurations", None, lambda: collect(self.manifests.values()))

    def once(self, what: str, ref: Ref | None, find: Callable[[], T]) -> T:
        """What is costly to find and asked for by several rules."""
        key = (what, ref)
        if key not in self._found:
            self._found[key] = find()
        found: T = self._found[key]
        return found

    def get(self, ref: Ref | None, kind: type[R]) -> R | None:
        """The resource behind ``ref`` when it is of ``kind``."""
        resource = self.graph.resources.get(ref) if ref else None
        return resource if isinstance(resource, kind) else None

    def facts(self, ref: Ref | None, kind: type[Any]) -> Any:
        """What was observed of ``ref`` when it is of the facts type ``kind``, else None."""
        found = self.observations.get(ref) if ref else None
        return found if isinstance(found, kind) else None

    def unusable(self, ref: Ref) -> Unusable | None:
        """Why the input behind ``ref`` cannot be used, if so."""
        found = self.observations.get(ref)
        return found if isinstance(found, Unusable) else None

    def each(self, kind: type[R]) -> Iterator[tuple[R, Source]]:
        """The resources of one kind, by name, and where they are."""
        for manifest in self.of(kind):
            if isinstance(manifest.resource, kind):  # always; it tells the type
                yield manifest.resource, manifest.source

    def columns(self, dataset: Ref | None) -> tuple[str, ...]:
        """The column names of a data set; () when they are not known."""
        facts = self.facts(dataset, DatasetFacts)
        return facts.features if facts else ()

    def base_of(self, adapter: Ref) -> Ref | None:
        """The Model that an adapter, or the job that produces it, belongs to."""
        job = producer(self.graph, adapter)
        named = self.graph.target(adapter, "spec", "model")
        return named or (self.graph.target(job, "spec", "base_model") if job else None)


@dataclass(frozen=True, slots=True)
class Breach:
    """One place where a rule is broken. ``path`` is dotted text or a tuple; ``resource`` and ``source`` default to
    the subject of the rule. ``at_key`` points at the key instead of its value."""

    path: str | Path
    message: str
    hint: str
    resource: Ref | None = None
    source: Source | None = None
    problem: Problem | None = None
    at_key: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A registered rule. ``subject`` is the kind it looks at; None looks at the whole project once."""

    id: str
    severity: Severity
    phase: Phase
    subject: type[Resource] | None
    check: Callable[..., Iterator[Breach]]

    @property
    def name(self) -> str:
        return self.check.__name__

    @property
    def page(self) -> Page:
        return parse_page(inspect.getdoc(self.check) or "")


@dataclass(frozen=True, slots=True)
class Page:
    """A rule's documentation, taken apart."""

    title: str
    why: str
    bad: str
    good: str


RULES: dict[str, Rule] = {}


def rule(
    id: str,
    subject: type[Resource] | None = None,
    severity: Severity = Severity.ERROR,
    phase: Phase = Phase.STATIC,
) -> Callable[[Callable[..., Iterator[Breach]]], Callable[..., Iterator[Breach]]]:
    """Register a rule. Functions take (resource, view), or (view) when there is no subject."""

    def register(check: Callable[..., Iterator[Breach]]) -> Callable[..., Iterator[Breach]]:
        if id in RULES:
            raise AssertionError(f"the rule id {id} is taken by {RULES[id].name}")
        RULES[id] = Rule(id, severity, phase, subject, check)
        return check

    return register


@cache
def catalogue() -> tuple[Rule, ...]:
    """Every rule of this folder, sorted by id."""
    package = importlib.import_module("studio.rules")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"studio.rules.{module.name}")
    return tuple(sorted(RULES.values(), key=lambda rule: rule.id))


def check(view: View, phases: Iterable[Phase] = (Phase.STATIC,)) -> list[Finding]:
    """All findings of the rules of ``phases``; positions are not filled in yet."""
    wanted = frozenset(phases)
    rules = [each for each in catalogue() if each.phase in wanted]
    findings: list[Finding] = []
    for each, manifest, breach in _breaches(rules, view):
        finding = _finding(each, breach, manifest)
        if breach.problem or not (_damaged(finding, view) or _perhaps_declared(finding, view)):
            findings.append(finding)
    return sorted(told_once(findings, view.manifests), key=sort_key)


def _breaches(rules: Iterable[Rule], view: View) -> Iterator[tuple[Rule, Manifest | None, Breach]]:
    """Every rule on one manifest before the next: what they look at is still in the processor's cache."""
    by_kind: dict[type[Resource], list[Rule]] = {}
    for each in rules:
        if each.subject is not None:
            by_kind.setdefault(each.subject, []).append(each)
            continue
        for breach in each.check(view):
            yield each, None, breach
    for kind, theirs in by_kind.items():
        for manifest in view.of(kind):
            for each in theirs:
                for breach in each.check(manifest.resource, view):
                    yield each, manifest, breach


def _finding(each: Rule, breach: Breach, manifest: Manifest | None) -> Finding:
    if breach.problem:
        problem = breach.problem
        return Finding(
            each.id, each.severity, problem.message, problem.hint, problem.resource, problem.path, problem.source,
            problem.position, problem.at_key,
        )  # fmt: skip
    path = split_path(breach.path) if isinstance(breach.path, str) else breach.path
    resource = breach.resource or (manifest.resource.ref if manifest else None)
    source = breach.source or (manifest.source if manifest else None)
    return Finding(
        each.id, each.severity, breach.message, breach.hint, resource, path, source, at_key=breach.at_key
    )  # fmt: skip


def split_path(text: str) -> Path:
    """``spec.gates.0.min`` as ``("spec", "gates", 0, "min")``."""
    return tuple(int(step) if step.isdigit() else step for step in text.split("."))


def _damaged(finding: Finding, view: View) -> bool:
    """A value that did not parse was reported already; its default must not be judged."""
    manifest = view.manifests.get(finding.resource) if finding.resource else None
    return manifest is not None and any(finding.path[: len(path)] == path for path in manifest.damaged)


def _perhaps_declared(finding: Finding, view: View) -> bool:
    """A name that leads nowhere, and stands in a document that could not be read: that document is what is wrong."""
    lost = view.graph.unresolved.get(finding.resource, ()) if view.unread and finding.resource else ()
    return any(reference.path == finding.path and reference.name in view.unread for reference in lost)


def defects(view: View, ref: Ref, *wanted: Defect) -> Iterator[Breach]:
    """What is wrong with the input at ``spec.location``, when it is one of ``wanted``."""
    found = view.unusable(ref)
    if found and found.defect in wanted:
        yield Breach("spec.location", found.message, found.hint)


def refused(fault: HubFault, path: str, what: str, name: str, revision: str) -> Iterator[Breach]:
    """Why the hub did not show ``name``; nothing when it could not be asked."""
    match fault:
        case HubFault.NOT_FOUND:
            message = f"the hub has no {what} {name!r}, or it is private"
            yield Breach(path, message, "correct the name, or set the variable of hf_token to a token that may see it")
        case HubFault.NO_REVISION:
            message = f"the {what} {name!r} has no revision {revision!r}"
            yield Breach("spec.revision", message, "copy a commit from its history on the hub")
        case HubFault.NEEDS_TOKEN:
            message = f"the {what} {name!r} is gated: the hub wants a token that may see it"
            yield Breach(path, message, "accept its terms on the hub, and set the variable of hf_token")
        case HubFault.UNREACHABLE:
            return
        case _:
            assert_never(fault)


def faults(view: View, *wanted: Fault) -> Iterator[Breach]:
    """The problems of loading that are one of ``wanted``."""
    yield from (Breach("", "", "", problem=problem) for problem in view.problems if problem.fault in wanted)


def setting(view: View, path: Path, message: str, hint: str) -> Iterator[Breach]:
    """A breach in studio.yaml, unless loading already reported this place: then its default is not judged."""
    for problem in view.problems:
        if problem.source.file == SETTINGS_FILE and any(path[: len(lost)] == lost for lost in problem.lost):
            return
    name = view.settings.metadata.name
    yield Breach(path, message, hint, Ref(Project.__name__, name) if name else None, Source(SETTINGS_FILE))


def parse_page(text: str) -> Page:
    """Take a rule's docstring apart; sections that are missing come out empty."""
    head, _, rest = text.partition("\nBad:\n")
    bad, _, good = rest.partition("\nGood:\n")
    title, _, why = head.strip().partition("\n")
    return Page(title.strip(), why.strip(), textwrap.dedent(bad).strip("\n"), textwrap.dedent(good).strip("\n"))
