"""Findings about trials, told once and of their sweep: nobody wrote the trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from studio.core.findings import Finding, Path
from studio.core.references import Ref
from studio.load.manifests import Manifest
from studio.load.trials import TYPES, origin
from studio.resources.fine_tuning_job import Trial
from studio.resources.matrix import step

OWN = (("metadata",), ("spec", "adapter_name"), ("spec", "matrix"), ("spec", "select"), ("spec", "out_dir"))
"""What a sweep says for itself; all else in its spec it says for its trials."""


def told_once(findings: list[Finding], manifests: Mapping[Ref, Manifest]) -> list[Finding]:
    """The findings with those of trials at the place in their sweep where the value stands, none of them twice."""
    trials = {ref: job for ref, each in manifests.items() if isinstance(job := each.resource, Trial)}
    if not trials:
        return findings
    sweeps = {Ref(job.kind, job.sweep) for job in trials.values()}
    own, theirs = [], []
    for finding in findings:
        trial = trials.get(finding.resource) if finding.resource else None
        if trial:
            theirs.append((trial, finding))
        elif finding.resource not in sweeps or _is_own(finding.path):
            own.append(finding)
    written = {
        (each.rule, each.path[2:], each.message) for each in own if each.resource and each.resource.kind == "Config"
    }
    placed = (
        _placed(trial, each, manifests)
        for trial, each in theirs
        if not _is_own(each.path) and not _of_config(each, written)
    )
    return [*own, *_different(placed)]


def _is_own(path: Path) -> bool:
    return any(path[: len(each)] == each for each in OWN)


def _of_config(finding: Finding, written: set[tuple[str, Path, str]]) -> bool:
    """Whether the same is said of the Config that a trial's configuration was made from."""
    is_held = len(finding.path) > 1 and finding.path[1] in TYPES
    return is_held and (finding.rule, finding.path[2:], finding.message) in written


def _placed(trial: Trial, finding: Finding, manifests: Mapping[Ref, Manifest]) -> Finding:
    """At the value in the matrix; what is wrong with a key is said of the dotted path that names it, once."""
    sweep = Ref(trial.kind, trial.sweep)
    path, at_key = origin(trial.places, finding.path), finding.at_key
    if path == finding.path and (key := _brought(trial, path, manifests[sweep])):
        path, at_key = ("spec", "matrix", key), True
    path = path[:-1] if at_key and path[1:2] == ("matrix",) and isinstance(path[-1], int) else path
    return replace(finding, resource=sweep, path=path, at_key=at_key)


def _brought(trial: Trial, path: Path, sweep: Manifest) -> str:
    """The dotted path of the matrix without which there were nothing at ``path``: ``lora_config.a.b`` brings ``a``."""
    keys = (key for key in sorted(trial.places) if path[1:] == tuple(step(key))[: len(path) - 1])
    key = next(keys, "") if len(path) > 2 else ""
    held: Any = getattr(sweep.resource.spec, str(path[1])) if key else None
    for each in path[2:]:
        held = held.get(each, {}) if isinstance(held, dict) else {}
    return "" if isinstance(held, dict) and held else key


def _different(findings: Iterable[Finding]) -> list[Finding]:
    """The first of those that are about the same rule and place."""
    found: dict[tuple[str, Ref | None, Path], Finding] = {}
    for each in findings:
        found.setdefault((each.rule, each.resource, each.path), each)
    return list(found.values())
