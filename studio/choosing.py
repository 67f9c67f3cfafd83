"""Which trial a sweep chooses, by what is recorded of them: known beforehand where all are trained already, else when
the last one is. What depends on a sweep is judged by the trial that it got. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from studio.core.references import Ref
from studio.core.sweeps import best
from studio.desired import Desire, fingerprinted
from studio.graph import trials_of
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.matrix import LOWER, Select


def settle(desire: Desire, outputs: Mapping[str, Mapping[str, Any]]) -> None:
    """Note which trial each sweep chooses, and fingerprint anew what depends on one of which that is news.

    ``outputs``: what trainings made, by fingerprint. A sweep of which a trial is not among them chooses none yet.
    """
    before = dict(desire.chosen)
    for sweep in sweeps(desire):
        trial = _choice(desire, sweep, outputs)
        if trial:
            desire.chosen[sweep] = trial
        else:
            desire.chosen.pop(sweep, None)
    news = [sweep for sweep in {*before, *desire.chosen} if before.get(sweep) != desire.chosen.get(sweep)]
    concerned = set().union(*map(desire.graph.downstream, news))
    for ref in (each for each in desire.graph.order if each in concerned):
        item = desire.items[ref]
        fingerprint, inputs = fingerprinted(item.resource, desire)
        desire.items[ref] = replace(item, fingerprint=fingerprint, inputs=inputs)


def sweeps(desire: Desire) -> list[Ref]:
    """The sweeps of a project, sorted."""
    return sorted(ref for ref, item in desire.items.items() if getattr(item.resource, "is_sweep", False))


def _choice(desire: Desire, sweep: Ref, outputs: Mapping[str, Mapping[str, Any]]) -> Ref | None:
    job, trials = desire.items[sweep].resource, trials_of(desire.graph, sweep)
    made = {trial.name: outputs.get(desire.items[trial].fingerprint) for trial in trials}
    measured = {name: output.get("metrics") or {} for name, output in made.items() if output}
    if not isinstance(job, FineTuningJob) or len(measured) < len(trials):
        return None
    choice = job.spec.select or Select()
    name = best(measured, choice.metric, lowest=choice.better == LOWER)
    return Ref(sweep.kind, name) if name else None
