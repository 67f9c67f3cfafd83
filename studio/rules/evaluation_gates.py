"""EV: the gates of an evaluation, which decide whether an export may go on."""

from __future__ import annotations

import math
from collections.abc import Iterator

from studio.core.judge_names import SCALE
from studio.core.metric_names import EVALUATION_METRICS, RANGES
from studio.core.suggest import did_you_mean
from studio.load import task_files
from studio.resources import gates
from studio.resources.evaluation_job import EvaluationJob, EvaluationJobSpec, Gate, TaskFacts
from studio.rules.base import Breach, View, rule


def _matching(job: EvaluationJob, gate: Gate) -> list[int]:
    return gates.judged(gate, job.spec.model_adapter_combinations)


@rule("EV-010", EvaluationJob)
def gate_on_absent_metric(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate judges a metric that the evaluation does not compute.

    It could never be met, so every export that requires it would be held back, after the evaluation was paid for.

    Bad:
        kind: EvaluationJob
        spec:
          metrics: [exact_match, latency]
          gates:
            - metric: rouge1  # <-
              adapter: ticket-router
              min: 0.5
    Good:
        kind: EvaluationJob
        spec:
          metrics: [exact_match, rouge1, latency]
          gates:
            - metric: rouge1
              adapter: ticket-router
              min: 0.5
    """
    facts = view.facts(job.ref, TaskFacts)
    told = task_files.metrics(job.spec, view.root, facts.files) if facts and job.spec.gates else {}
    computed = (*job.spec.computed(), *(name for names in told.values() for name in names))
    for index, gate in enumerate(job.spec.gates):
        unknown = job.spec.is_of_task(gate.metric) and gate.metric.partition("/")[0] not in told
        if gate.metric not in computed and not unknown:
            what = f"the metric {gate.metric!r} is not computed here" if gate.metric else "the gate names no metric"
            hint = did_you_mean(gate.metric, computed)
            if gate.metric in EVALUATION_METRICS:
                hint = f"add {gate.metric} to spec.metrics, or judge one of {', '.join(computed) or 'them'}"
            yield Breach(f"spec.gates.{index}.metric", what, hint)


@rule("EV-011", EvaluationJob)
def gate_on_absent_combination(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate names an adapter or a base model that is not evaluated.

    Bad:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-routr  # <-
              min: 0.6
    Good:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              min: 0.6
    """
    listed = job.spec.model_adapter_combinations
    for index, gate in enumerate(job.spec.gates):
        if not listed or _matching(job, gate):
            continue
        adapters = {c.adapter for c in listed}
        if gate.adapter not in adapters:
            what = f"no combination has the adapter {gate.adapter!r}" if gate.adapter else "the gate names no adapter"
            yield Breach(f"spec.gates.{index}.adapter", what, did_you_mean(gate.adapter, adapters - {""}))
        else:
            message = f"no combination has this adapter on the base model {gate.base_model!r}"
            models = {c.base_model for c in listed if c.adapter == gate.adapter}
            yield Breach(f"spec.gates.{index}.base_model", message, did_you_mean(gate.base_model, models))


@rule("EV-012", EvaluationJob)
def ambiguous_gate(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate may mean more than one combination.

    Bad:
        kind: EvaluationJob
        spec:
          model_adapter_combinations:
            - base_model: tiny-llama
            - base_model: hub-llama
          gates:
            - metric: exact_match  # <-
              min: 0.1
    Good:
        kind: EvaluationJob
        spec:
          model_adapter_combinations:
            - base_model: tiny-llama
            - base_model: hub-llama
          gates:
            - metric: exact_match
              base_model: hub-llama
              min: 0.1
    """
    listed = job.spec.model_adapter_combinations
    for index, gate in enumerate(job.spec.gates):
        models = sorted({listed[i].base_model for i in _matching(job, gate)})
        if len(models) > 1:
            message = f"the gate may mean {' or '.join(models)}"
            yield Breach(f"spec.gates.{index}", message, f"add base_model: {models[0]} or base_model: {models[1]}")


@rule("EV-013", EvaluationJob)
def gate_without_condition(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate says nothing that must hold.

    It would always be met, and look like a safeguard.

    Bad:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match  # <-
              adapter: ticket-router
    Good:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              min: 0.6
    """
    for index, gate in enumerate(job.spec.gates):
        limits = (gate.min, gate.max, gate.min_gain_over_baseline)
        unread = any(path[:3] == ("spec", "gates", index) for path in view.manifests[job.ref].damaged)
        if unread or gate.not_worse_than or any(limit is not None for limit in limits):
            continue
        hint = "add min, max, min_gain_over_baseline or not_worse_than"
        if "not_worse_than" in gate.model_fields_set:
            message = "not_worse_than names no combination, so the gate has no condition"
            yield Breach(f"spec.gates.{index}.not_worse_than", message, "name one, or add min or max")
        else:
            yield Breach(f"spec.gates.{index}", "the gate has no condition", hint)


@rule("EV-014", EvaluationJob)
def baseline_against_itself(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate demands a gain of the baseline over itself.

    The first combination is the baseline; its gain is zero.

    Bad:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              base_model: tiny-llama
              min_gain_over_baseline: 0.1  # <-
    Good:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              min_gain_over_baseline: 0.1
    """
    for index, gate in enumerate(job.spec.gates):
        if gate.min_gain_over_baseline is not None and _matching(job, gate) == [0]:
            message = "this combination is the baseline: its gain over itself is 0"
            hint = "name the adapter that must be better, or use min"
            yield Breach(f"spec.gates.{index}.min_gain_over_baseline", message, hint)


@rule("EV-024", EvaluationJob)
def impossible_gate(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate's lower limit is above its upper limit.

    No value could meet it.

    Bad:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              min: 0.9  # <-
              max: 0.6
    Good:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              min: 0.6
              max: 0.9
    """
    for index, gate in enumerate(job.spec.gates):
        if gate.min is not None and gate.max is not None and gate.min > gate.max:
            message = f"min {gate.min:g} is above max {gate.max:g}"
            yield Breach(f"spec.gates.{index}.min", message, "exchange them, or remove one")


@rule("EV-025", EvaluationJob)
def unreachable_gate(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A gate asks for a value that its metric cannot have.

    Scores are between 0 and 1, not percentages. The gate could never be met, so every export that requires it would be
    held back, after the evaluation was paid for.

    Bad:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              min: 60  # <-
    Good:
        kind: EvaluationJob
        spec:
          gates:
            - metric: exact_match
              adapter: ticket-router
              min: 0.6
    """
    for index, gate in enumerate(job.spec.gates):
        for field, message, hint in _beyond(gate, job.spec):
            yield Breach(f"spec.gates.{index}.{field}", message, hint)


def _beyond(gate: Gate, spec: EvaluationJobSpec) -> Iterator[tuple[str, str, str]]:
    """Field, what it asks for in vain, what to do."""
    judge = next((each for each in spec.judges if each.name == gate.metric and len(each.scale) == len(SCALE)), None)
    if judge is None and gate.metric not in RANGES:
        return
    least, most = judge.scale if judge else RANGES[gate.metric]
    bounded = f"from {least:g} to {most:g}" if most < math.inf else f"at least {least:g}"
    always = f"the scale of the judge {gate.metric} is {bounded}" if judge else f"{gate.metric} is always {bounded}"
    beyond = {"min": gate.min is not None and gate.min > most, "max": gate.max is not None and gate.max < least}
    for field in (field for field, is_beyond in beyond.items() if is_beyond):
        value = getattr(gate, field)
        hint = f"write a number {bounded}, or change the judge's scale" if judge else _as_score(field, value, bounded)
        yield field, f"{field} is {value:g}, and {always}", hint
    asked, widest = gate.min_gain_over_baseline, most - least
    if asked is not None and asked > widest:
        can = f"on the judge's scale {bounded}, {gate.metric}" if judge else gate.metric
        bounded = f"at most {widest:g}"
        hint = f"write a number {bounded}" if judge else _as_score("min_gain_over_baseline", asked, bounded)
        yield "min_gain_over_baseline", f"min_gain_over_baseline is {asked:g}, and {can} can gain {bounded}", hint


def _as_score(field: str, value: float, bounded: str) -> str:
    """A hint for a number that looks like a percentage, else what can be met."""
    return f"for {value:g} % write {field}: {value / 100:g}" if 1 < value <= 100 else f"write a number {bounded}"
