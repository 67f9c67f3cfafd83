"""A sweep chooses: the best of what its trials recorded becomes the sweep's own artifact. No job runs for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from studio.choosing import settle
from studio.core.errors import StudioError
from studio.core.references import Ref
from studio.core.sweeps import SweepOutput, TrialOutput, best
from studio.desired import Desire, Desired
from studio.resources.fine_tuning_job import FineTuningJob, Trial
from studio.resources.matrix import HIGHER, LOWER, Select
from studio.state.base import Artifact, StateStore


@dataclass(frozen=True, slots=True)
class Selector:
    """Compares trials by what is recorded of them."""

    desire: Desire
    state: StateStore
    now: Callable[[], str]

    def choose(self, item: Desired, trials: Iterable[Ref]) -> Artifact:
        """File the best trial's artifact as the sweep's own, with a table of all; what depends on the sweep depends on
        that trial from now on. Raises StudioError when no trial reports the metric as a finite number, or one is not
        there."""
        job = item.resource
        if not isinstance(job, FineTuningJob):
            raise TypeError(f"{item.ref} is no sweep")
        made = {ref: self._made(ref) for ref in sorted(trials)}
        told = tuple(self._told(ref, each) for ref, each in made.items())
        choice = job.spec.select or Select()
        found = _best(told, choice)
        chosen = made[Ref(item.ref.kind, found.name)]
        sweep = SweepOutput(
            metric=choice.metric, mode=LOWER if choice.better == LOWER else HIGHER, best=found.name,
            fingerprint=found.fingerprint, trials=told,
        )  # fmt: skip
        artifact = self._filed(item, chosen, sweep)
        self.state.save_artifact(artifact)
        settle(self.desire, self.state.outputs(item.ref.kind))
        return artifact

    def _made(self, trial: Ref) -> Artifact:
        found = self.state.artifact(trial.kind, self.desire.items[trial].fingerprint)
        if found is None:
            raise StudioError(f"what {trial} made is not recorded", f"'studio apply --replace {trial}' trains it again")
        return found

    def _told(self, ref: Ref, made: Artifact) -> TrialOutput:
        trial = self.desire.items[ref].resource
        values = trial.values if isinstance(trial, Trial) else {}
        output = made.output
        return TrialOutput(
            name=ref.name, fingerprint=made.fingerprint, values=values, digest=output["digest"],
            metrics=output["metrics"],
        )  # fmt: skip

    def _filed(self, item: Desired, chosen: Artifact, sweep: SweepOutput) -> Artifact:
        """The best trial's artifact under the sweep's fingerprint: what took its time and its machine was the trial."""
        before = self.state.artifact(item.ref.kind, item.fingerprint)
        same = before is not None and before.output.get("digest") == chosen.output["digest"]
        copies = before.output.get("copies", []) if before and same else []
        output: dict[str, Any] = {**chosen.output, "copies": copies, "sweep": sweep.model_dump(mode="json")}
        return replace(
            chosen, fingerprint=item.fingerprint, output=output, seconds=0.0, resources={}, measures={},
            created_at=self.now(),
        )  # fmt: skip


def _best(trials: tuple[TrialOutput, ...], choice: Select) -> TrialOutput:
    measured = {each.name: each.metrics for each in trials}
    name = best(measured, choice.metric, lowest=choice.better == LOWER)
    if name is None:
        reported = sorted({name for each in trials for name in each.metrics})
        hint = f"name another in spec.select.metric; reported are {', '.join(reported)}"
        raise StudioError(f"no trial reports {choice.metric} as a finite number", hint)
    return next(each for each in trials if each.name == name)


def chosen(artifact: Artifact) -> str:
    """The choice in words: ``best is router-r-8, eval_loss 0.61``."""
    made = SweepOutput.model_validate(artifact.output["sweep"])
    number = next(each.metrics[made.metric] for each in made.trials if each.fingerprint == made.fingerprint)
    return f"best is {made.best}, {made.metric} {number:.4g}"
