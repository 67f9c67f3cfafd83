"""EV: gates that compare with a combination, and gates that judge intervals."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.confidence import ALL_COMPARED, CONFIDENCES
from studio.core.metric_names import OF_BATCHES
from studio.core.suggest import did_you_mean
from studio.resources.evaluation_job import EvaluationJob
from studio.resources.gates import BASELINE, judged, named
from studio.rules.base import Breach, View, rule


@rule("EV-029", EvaluationJob)
def bad_comparison(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate compares with a combination that is not evaluated, is not the only one of that name, or is its own.

    `baseline` is the first combination; any other name is that of an adapter, or of a base model without one.

    Bad:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              not_worse_than: tiny-lama  # <-
    Good:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              not_worse_than: baseline
              tolerance: 0.02
    """
    listed = job.spec.model_adapter_combinations
    for index, gate in enumerate(job.spec.gates):
        name, path = gate.not_worse_than, f"spec.gates.{index}.not_worse_than"
        meant = named(name, listed)
        if not name or not listed:
            continue
        known = {BASELINE, *(each.adapter or each.base_model for each in listed)}
        if not meant:
            yield Breach(path, f"no combination is called {name!r}", did_you_mean(name, known))
        elif len(meant) > 1:
            what = f"{len(meant)} combinations are called {name!r}"
            yield Breach(path, what, "compare with one that is the only one of its name, or with baseline")
        elif judged(gate, listed) == meant:
            yield Breach(path, "the gate compares a combination with itself", "name the one it must not be worse than")


@rule("EV-030", EvaluationJob)
def bad_tolerance(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate's tolerance is negative, or tolerates nothing: the gate compares with no combination.

    Bad:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              min: 0.6
              tolerance: 0.02  # <-
    Good:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              not_worse_than: baseline
              tolerance: 0.02
    """
    for index, gate in enumerate(job.spec.gates):
        path = f"spec.gates.{index}.tolerance"
        if gate.tolerance is not None and gate.tolerance < 0:
            hint = "write min_gain_over_baseline for a gain that is demanded"
            yield Breach(path, f"tolerance is {gate.tolerance:g}; it must be at least 0", hint)
        elif gate.tolerance is not None and not gate.not_worse_than:
            yield Breach(path, "tolerance without not_worse_than says nothing", "add not_worse_than: baseline")


@rule("EV-031", EvaluationJob)
def unknown_confidence(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate asks for a confidence at which no interval is recorded.

    Bad:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              min: 0.6
              confidence: 95  # <-
    Good:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              min: 0.6
              confidence: 0.95
    """
    levels = ", ".join(f"{each:g}" for each in CONFIDENCES)
    for index, gate in enumerate(job.spec.gates):
        asked = gate.confidence
        if asked is not None and asked not in CONFIDENCES:
            message = f"confidence is {asked:g}; it must be one of {levels}"
            yield Breach(f"spec.gates.{index}.confidence", message, f"write confidence: {_nearest(asked):g}")


def _nearest(asked: float) -> float:
    """The level that was meant, also by a percentage."""
    share = asked / 100 if asked > 1 else asked
    return min(CONFIDENCES, key=lambda level: abs(level - share))


@rule("EV-032", EvaluationJob)
def no_interval_to_judge(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate with a confidence judges what has no interval.

    Latency is of batches, not of rows that could be drawn anew; of a task of lm_eval the rows are not known, so its
    gains have no interval. Of more than 12 combinations, each is compared with the baseline only. The gate could never
    be met.

    Bad:
        kind: EvaluationJob
        spec:
          gates:
            - metric: latency
              adapter: ticket-router
              max: 1.0
              confidence: 0.95  # <-
    Good:
        kind: EvaluationJob
        spec:
          gates:
            - metric: latency
              adapter: ticket-router
              max: 1.0
    """
    listed = job.spec.model_adapter_combinations
    for index, gate in enumerate(job.spec.gates):
        path = f"spec.gates.{index}.confidence"
        if gate.confidence is None:
            continue
        if gate.metric in OF_BATCHES:
            yield Breach(path, f"{gate.metric} has no interval", "remove confidence: the number itself is judged")
        elif job.spec.is_of_task(gate.metric) and (gate.not_worse_than or gate.min_gain_over_baseline is not None):
            yield Breach(path, f"a gain in {gate.metric} has no interval", "remove confidence, or use min or max")
        elif gate.not_worse_than and len(listed) > ALL_COMPARED:
            pair = {*named(gate.not_worse_than, listed)[:1], *judged(gate, listed)[:1]}
            if 0 not in pair:
                message = f"of {len(listed)} combinations, each is compared with the baseline only"
                yield Breach(path, message, "compare with baseline, or remove confidence")
