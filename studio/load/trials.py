"""Sweeps to their trials: jobs that no manifest spells out, each with the values of one combination."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from studio.core.findings import Path
from studio.core.references import Ref
from studio.load import configs, models
from studio.load.manifests import Manifest, parse_manifest
from studio.load.problems import Problem
from studio.resources.base import API_VERSION, Resource, marks, stored
from studio.resources.config import Config
from studio.resources.fine_tuning_job import FineTuningJob, FineTuningJobSpec, Trial, trials
from studio.resources.matrix import Point, step
from studio.resources.model import Model, ModelFacts

TYPES = {mark.name: mark.config for mark in marks(FineTuningJobSpec) if mark.config}
"""Fields that hold a configuration, and of which type it is."""
_NOT_SHARED = ("matrix", "select", "out_dir")


@dataclass(slots=True)
class _Found:
    """The trials of a project's sweeps, and what is wrong with their values."""

    manifests: dict[Ref, Manifest] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def with_trials(
    manifests: Mapping[Ref, Manifest], shipped: Mapping[Ref, Manifest], root: FilePath
) -> tuple[dict[Ref, Manifest], list[Problem]]:
    """The manifests with the trials of all sweeps, sorted, and what is wrong with the values of these. A trial whose
    name is taken is left out; a rule reports it."""
    found = _Found()
    jobs = ((each, each.resource) for each in manifests.values() if type(each.resource) is FineTuningJob)
    sweeps = [(manifest, job) for manifest, job in jobs if isinstance(job, FineTuningJob) and job.is_sweep]
    if sweeps:
        resources = {ref: each.resource for ref, each in manifests.items()}
        defaults = {ref: each.resource for ref, each in shipped.items()}
        known = _Configs({**defaults, **resources}, configs.defaults(resources, defaults), root)
        for manifest, job in sweeps:
            for name, point in trials(job):
                _add(found, manifest, _document(job, name, point, known), point)
    return dict(sorted({**found.manifests, **manifests}.items())), found.problems


def origin(places: Mapping[str, int], path: Path) -> Path:
    """Where what stands at ``path`` of a trial is written: in the matrix of its sweep, or elsewhere in its spec."""
    for key in sorted(places, key=len, reverse=True):
        place = ("spec", *step(key))
        if path[: len(place)] == place:
            return ("spec", "matrix", key, places[key], *path[len(place) :])
    return path


def _add(found: _Found, sweep: Manifest, document: dict[str, Any], point: Point) -> None:
    made, problems = parse_manifest(document, sweep.source)
    for each in problems:
        told = replace(each, resource=sweep.resource.ref, path=origin(point.places, each.path))
        if told.path not in {known.path for known in found.problems if known.resource == told.resource}:
            found.problems.append(told)
    if made is None or not isinstance(made.resource, FineTuningJob):
        return
    job = made.resource
    trial = Trial(
        metadata=job.metadata, spec=job.spec, sweep=sweep.resource.metadata.name, values=point.values,
        places=point.places,
    )  # fmt: skip
    found.manifests.setdefault(trial.ref, Manifest(trial, sweep.source, (*sweep.damaged, *made.damaged)))


def _document(job: FineTuningJob, name: str, point: Point, known: _Configs) -> dict[str, Any]:
    """A trial as a manifest would spell it out."""
    spec = {key: value for key, value in deepcopy(stored(job.spec)).items() if key not in _NOT_SHARED}
    spec["adapter_name"] = f"{job.spec.adapter_name}-{point.slug}"
    for key, value in sorted(point.values.items()):  # a configuration comes before what lies in it
        field, *inner = step(key)
        held = known.held(field, spec.get(field), job.spec.base_model) if inner else None
        if held is not None:
            spec[field] = _with(held, inner, value)
        elif not inner:
            spec[field] = deepcopy(value)
    metadata: dict[str, Any] = {"name": name, "labels": job.metadata.labels, "protect": job.metadata.protect}
    if job.metadata.renamed_from:
        metadata["renamed_from"] = f"{job.metadata.renamed_from}-{point.slug}"
    return {"apiVersion": API_VERSION, "kind": job.kind, "metadata": metadata, "spec": spec}


def _with(held: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """A copy of a mapping with another value at a path."""
    first, *rest = path
    inner = held.get(first)
    return {**held, first: _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else deepcopy(value)}


@dataclass(frozen=True, slots=True)
class _Configs:
    """What a dotted path of a matrix is merged over."""

    resources: Mapping[Ref, Resource]
    defaults: configs.Defaults
    root: FilePath
    families: dict[str, str] = field(default_factory=dict)

    def held(self, field: str, value: Any, model: str) -> Mapping[str, Any] | None:
        """The configuration in force; None where its name leads to none of the type, or it cannot be read: other rules
        report that."""
        if isinstance(value, str) and value:
            named = self.resources.get(Ref("Config", value))
            if not isinstance(named, Config) or named.spec.type != TYPES[field]:
                return None
        elif value and not isinstance(value, dict):
            return None
        try:
            return configs.in_force(self.resources, self.defaults, TYPES[field], value, self._family(field, model))[1]
        except ValueError:
            return None

    def _family(self, field: str, name: str) -> str:
        """The architecture family of a model, where a default depends on it: the model's folder must be read for it."""
        if not any(type == TYPES[field] and family for type, family in self.defaults):
            return ""
        if name not in self.families:
            model = self.resources.get(Ref("Model", name))
            facts = models.observe(model.spec, self.root) if isinstance(model, Model) else None
            self.families[name] = facts.family if isinstance(facts, ModelFacts) else ""
        return self.families[name]
