"""Records against what is there: what is not as it was recorded, and what apply would do about it. Pure.

A record says what to expect and where to look for it. Whoever looks answers with what is found, None for what is not
there, and leaves out what could not be looked at: that is no difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from studio.core.references import Ref
from studio.core.tracking_look import FINGERPRINT_TAG, KEY_TAG
from studio.desired import REGISTRY
from studio.load.artifacts import is_of
from studio.load.hub import is_commit
from studio.load.registry import registered_id
from studio.plan.diff import Change
from studio.plan.drift_facts import FACTS, Remedy
from studio.resources.base import Effect
from studio.state.base import Lineage, Record, RecordStatus, Run
from studio.state.endpoints import endpoint, facts

HUB = "huggingface"
DRIFT = "drift: "
"""How the reason of a change begins that nobody made in a manifest."""
_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
OWN_TAGS = (KEY_TAG, FINGERPRINT_TAG)
"""Tags by which an export is known again. The others that it was given may be outlived: by a new name, by reuse."""


class Sort(StrEnum):
    """Where to look."""

    CONTENT = "content"
    FOLDER = "folder"
    COPY = "copy"
    FILE = "file"
    STORED = "stored"
    RUN = "run"
    VERSION = "version"
    COMMIT = "commit"
    ENDPOINT = "endpoint"
    LOGGED = "logged"
    REGISTERED = "registered"
    JOB = "job"


class Subject(NamedTuple):
    """One thing to look at: for a file its location, for a version name, number and which of its facts."""

    sort: Sort
    key: tuple[str, ...]


class Expected(NamedTuple):
    """One recorded fact. ``where`` is told to people."""

    ref: Ref
    fact: str
    subject: Subject
    recorded: Any
    where: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference; ``ignored`` says why it is none that counts, "" when it counts."""

    ref: Ref
    path: str
    recorded: Any
    found: Any
    reason: str
    remedy: Remedy
    ignored: str = ""
    planned: bool = False
    """A plan sees it by itself, without looking at more than manifests and their inputs."""
    revised: bool = False
    """Apply puts it right by a small job, without making anything again."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is recorded of an environment. ``registry``: where exports go now, hashed; None where nobody can tell."""

    records: Mapping[Ref, Record] = field(default_factory=dict)
    runs: tuple[Run, ...] = ()
    """Those that are under way."""
    made_here: frozenset[str] = frozenset()
    """Keys of the environment's own runs; what was reused from elsewhere may be logged elsewhere."""
    registry: str | None = ""
    online: bool = False
    away: str | None = None
    """The workspace that jobs run in where its disk is not this one: what they left there can only be looked for."""


class Unseen(NamedTuple):
    """What could not be looked at, why, and what to do."""

    what: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An environment's drift: all differences, also those that may be, and what could not be looked at."""

    environment: str
    lineage: Lineage
    drifts: tuple[Drift, ...]
    unseen: tuple[Unseen, ...]
    facts: int
    """Recorded facts that were looked at."""

    @property
    def counted(self) -> tuple[Drift, ...]:
        return tuple(drift for drift in self.drifts if not drift.ignored)


def expectations(past: Past) -> list[Expected]:
    """Every recorded fact that can be looked at, by resource."""
    found = [
        each
        for ref, record in sorted(past.records.items())
        if record.status is RecordStatus.READY and ref.kind in _EXPECTED
        for each in _EXPECTED[ref.kind](record, past)
    ]
    jobs = ((run.ref, Subject(Sort.JOB, (run.key, str(run.attempt)))) for run in past.runs)
    return found + [Expected(ref, "run", subject, "running", subject.key[0]) for ref, subject in jobs]


def compare(expected: Iterable[Expected], found: Mapping[Subject, Any], managed: Collection[Ref]) -> tuple[Drift, ...]:
    """The differences, sorted. Apply does nothing about what is not ``managed``: no manifest names it any more."""
    differing = (each for each in expected if each.subject in found and found[each.subject] != each.recorded)
    drifts = [_drift(each, found[each.subject], each.ref in managed) for each in differing]
    return tuple(sorted(drifts, key=lambda drift: (drift.ref, drift.path)))


def by_resource(drifts: Iterable[Drift]) -> dict[Ref, tuple[Drift, ...]]:
    """What a plan has to deal with: neither ignored, nor seen by it anyway, nor left alone."""
    found: dict[Ref, tuple[Drift, ...]] = {}
    for each in drifts:
        if not each.ignored and not each.planned and each.remedy is not Remedy.NOTHING:
            found[each.ref] = (*found.get(each.ref, ()), each)
    return found


def drift_change(drift: Drift) -> Change:
    """A difference as a change of a plan: from what is there to what should be, or to what will be recorded."""
    replaced = drift.remedy is Remedy.REPLACE
    pair = (drift.found, drift.recorded) if replaced or drift.revised else (drift.recorded, drift.found)
    old, new = (value[:12] if is_hash(value) else value for value in pair)
    return Change(drift.path, Effect.OUTCOME if replaced else Effect.DESCRIPTIVE, f"{DRIFT}{drift.reason}", old, new)


def is_drift(change: Change) -> bool:
    return change.reason.startswith(DRIFT)


def is_hash(value: Any) -> bool:
    """Whether a value is a digest or a commit, of which the beginning says enough."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _drift(expected: Expected, found: Any, managed: bool) -> Drift:
    fact = FACTS[expected.fact]
    reason = fact.gone if found is None else fact.changed
    remedy = fact.remedy if found is not None or fact.if_gone is None else fact.if_gone
    if not managed and remedy is not Remedy.NOTHING:
        remedy, reason = Remedy.NOTHING, f"{reason}; no manifest declares it any more"
    path = expected.path or expected.fact
    words = reason.format(where=expected.where)
    return Drift(
        expected.ref, path, expected.recorded, found, words, remedy, fact.ignored, fact.planned, fact.revised
    )  # fmt: skip


def _data(record: Record, past: Past) -> Iterator[Expected]:
    """Local content by its digest; what is on the hub by the commit that its revision pointed to, what is in a
    workspace's registry by the MLflow run that logged its first version."""
    ref, spec, key = record.ref, record.spec, (record.ref.kind, record.ref.name)
    if spec.get("type") == HUB:
        if past.online:
            where = spec.get("huggingface_name") or spec.get("huggingface_model_name") or ""
            at = f"{where} at {spec['revision']}" if spec.get("revision") else where
            commit = record.facts.get("commit") or (spec["revision"] if is_commit(spec.get("revision", "")) else None)
            fact = "commit" if commit else "commit.unknown"
            yield Expected(ref, fact, Subject(Sort.COMMIT, key), commit, at, "commit")
    elif id := registered_id(spec):
        if past.online:
            run = record.facts.get("mlflow_run_id") or None
            fact = "logged" if run else "logged.unknown"
            yield Expected(ref, fact, Subject(Sort.LOGGED, key), run, id, "mlflow_run_id")
    elif "content" in record.inputs and spec.get("location"):
        yield Expected(ref, "content", Subject(Sort.CONTENT, key), record.inputs["content"], spec["location"])


def _training(record: Record, past: Past) -> Iterator[Expected]:
    ref, output = record.ref, _output(record)
    location, digest = output.get("adapter"), output.get("digest")
    if location and past.away is not None and is_of(output, past.away):
        yield Expected(ref, "adapter.stored", Subject(Sort.STORED, (location,)), "there", location, "adapter")
    if location and digest and past.away is None:
        yield Expected(ref, "adapter", Subject(Sort.FOLDER, (location,)), digest, location)
        if record.spec.get("out_dir"):
            copy = f"{record.spec['out_dir']}/{record.spec.get('adapter_name', '')}"
            yield Expected(ref, "copy", Subject(Sort.COPY, (location, copy)), digest, copy)
    yield from _files(ref, past, "curve", "curve", output.get("curve"))
    yield from _logged(record, past)


def _evaluation(record: Record, past: Past) -> Iterator[Expected]:
    ref, output = record.ref, _output(record)
    yield from _files(ref, past, "chart", "chart", output.get("chart"))
    for number, each in enumerate(output.get("combinations", ())):
        path = f"combinations[{number}].predictions"
        yield from _files(ref, past, "predictions", path, each.get("predictions"))
        yield from _run(record, past, each.get("mlflow_run_id"), f"combinations[{number}].mlflow_run")
    yield from _logged(record, past)


def _export(record: Record, past: Past) -> Iterator[Expected]:
    """The registered version, if it went to the registry that is looked at."""
    ref, output = record.ref, _output(record)
    name, number = output.get("model_name"), output.get("model_version")
    if name and number and _went_here(record, past):
        where = f"{name} version {number}"
        recorded: dict[str, Any] = {
            "version": "there",
            "version.description": record.spec.get("model_description", ""),
            "version.files": "there",
            "version.stage": "",
            "version.aliases": [],
            "version.other_tags": {},
        }
        if record.outcome.get("run_key"):  # a version that was imported has the tags that it came with
            recorded["version.tags"] = dict(zip(OWN_TAGS, (record.outcome["run_key"], record.fingerprint), strict=True))
        if output.get("source"):
            recorded["version.source"] = output["source"]
        for fact, value in recorded.items():
            yield Expected(ref, fact, Subject(Sort.VERSION, (name, number, fact)), value, where)
    registered = output.get("registered")
    if registered and past.online:
        model, number, run = (registered[key] for key in ("model_id", "version", "run_id"))
        subject = Subject(Sort.REGISTERED, (registered["place"], model, run))
        yield Expected(ref, "registered", subject, "there", f"version {number} of the registered model {model}")
    yield from _logged(record, past)
    yield from _endpoint(record, past)


def _endpoint(record: Record, past: Past) -> Iterator[Expected]:
    for fact, value in facts(output).items() if (output := endpoint(record)) and past.online else ():
        subject = Subject(Sort.ENDPOINT, (output["place"], output["model_id"], fact))
        yield Expected(record.ref, fact, subject, value, f"the endpoint {output['model_name']}")


def _went_here(record: Record, past: Past) -> bool:
    return past.registry in (None, record.inputs.get(REGISTRY, ""))


def went_elsewhere(past: Past) -> list[Ref]:
    """Exports that nobody can look at: they went to another registry than the one that is asked."""
    exports = ((ref, each) for ref, each in past.records.items() if ref.kind == "ModelExport" and not endpoint(each))
    return [ref for ref, each in exports if not _went_here(each, past)]


def _logged(record: Record, past: Past) -> Iterator[Expected]:
    return _run(record, past, record.outcome.get("mlflow_run_id"), "mlflow_run")


def _run(record: Record, past: Past, run: Any, path: str) -> Iterator[Expected]:
    if run and record.outcome.get("run_key") in past.made_here:
        yield Expected(record.ref, "mlflow_run", Subject(Sort.RUN, (run,)), "there", run, path)


def _files(ref: Ref, past: Past, fact: str, path: str, location: Any) -> Iterator[Expected]:
    if location and past.away is None:
        yield Expected(ref, fact, Subject(Sort.FILE, (location,)), "there", location, path)


def _output(record: Record) -> Mapping[str, Any]:
    output = record.outcome.get("output")
    return output if isinstance(output, dict) else {}


_EXPECTED: dict[str, Callable[[Record, Past], Iterator[Expected]]] = {
    "Dataset": _data,
    "Model": _data,
    "Adapter": _data,
    "FineTuningJob": _training,
    "EvaluationJob": _evaluation,
    "ModelExport": _export,
}
"""Kind to the facts of it that can be looked at; prompts and configs are nothing but their manifests."""
