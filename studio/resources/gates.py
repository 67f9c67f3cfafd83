"""Gates are decided from what an evaluation recorded, never by running again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.core.verdicts import Condition, Verdict

if TYPE_CHECKING:
    from studio.core.jobresult import CombinationOutput, EvaluationOutput, Interval
    from studio.resources.evaluation_job import Gate, ModelAdapterCombination

BASELINE = "baseline"
ROUNDING = 1e-9
"""0.7 - 0.4 is a little less than 0.3 to a computer."""


@dataclass(frozen=True, slots=True)
class Found:
    """A number, and where it lies; None for what is not known."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


def judge(gates: Sequence[Gate], output: EvaluationOutput) -> list[Verdict]:
    """Decide every condition of every gate from the metrics; the first combination is the baseline."""
    return [verdict for gate in gates for verdict in _judge(gate, output)]


def named(name: str, combinations: Sequence[ModelAdapterCombination | CombinationOutput]) -> list[int]:
    """Positions of the combinations that ``not_worse_than`` may mean: an adapter's name, else that of a base model."""
    if name == BASELINE:
        return [0][: len(combinations)]
    adapted = [number for number, each in enumerate(combinations) if each.adapter == name]
    bare = [number for number, each in enumerate(combinations) if not each.adapter and _model(each) == name]
    return adapted or bare


def judged(gate: Gate, combinations: Sequence[ModelAdapterCombination | CombinationOutput]) -> list[int]:
    """Positions of the combinations that a gate may mean."""
    listed = enumerate(combinations)
    return [i for i, each in listed if each.adapter == gate.adapter and gate.base_model in ("", _model(each))]


def _model(each: ModelAdapterCombination | CombinationOutput) -> str:
    return str(getattr(each, "base_model", "") or getattr(each, "model", ""))


def _judge(gate: Gate, output: EvaluationOutput) -> Iterator[Verdict]:
    combinations = output.combinations
    mine = next(iter(judged(gate, combinations)), None)
    name = gate.adapter or gate.base_model or (combinations[0].model if combinations else "")
    for condition, threshold in _conditions(gate):
        other = next(iter(named(gate.not_worse_than, combinations)), None) if condition == "not_worse_than" else 0
        found = _of(mine, gate, output) if condition in ("min", "max") else _gain(mine, other, gate, output)
        yield Verdict(
            metric=gate.metric,
            combination=name,
            condition=condition,
            threshold=threshold,
            value=found.value,
            passed=_holds(found, condition, threshold, gate.confidence),
            confidence=gate.confidence,
            low=found.low,
            high=found.high,
            than=gate.not_worse_than if condition == "not_worse_than" else "",
        )


def _conditions(gate: Gate) -> Iterator[tuple[Condition, float]]:
    if gate.min is not None:
        yield "min", gate.min
    if gate.max is not None:
        yield "max", gate.max
    if gate.min_gain_over_baseline is not None:
        yield "min_gain_over_baseline", gate.min_gain_over_baseline
    if gate.not_worse_than:
        yield "not_worse_than", -(gate.tolerance or 0.0) + 0.0  # never -0


def _of(mine: int | None, gate: Gate, output: EvaluationOutput) -> Found:
    if mine is None:
        return Found()
    measured = output.combinations[mine]
    return _found(measured.metrics.get(gate.metric), measured.intervals.get(gate.metric, ()), gate.confidence)


def _gain(mine: int | None, other: int | None, gate: Gate, output: EvaluationOutput) -> Found:
    if mine is None or other is None:
        return Found()
    compared = output.difference(gate.metric, mine, other)
    return _found(output.gain(gate.metric, mine, other), compared.intervals if compared else (), gate.confidence)


def _found(value: float | None, levels: Sequence[Interval], confidence: float | None) -> Found:
    interval = next((each for each in levels if each.confidence == confidence), None)
    return Found(value, interval.low, interval.high) if interval else Found(value)


def _holds(found: Found, condition: Condition, threshold: float, confidence: float | None) -> bool:
    """With a confidence, the end of the interval that is the worse one must hold."""
    if condition == "max":
        judged = found.value if confidence is None else found.high
        return judged is not None and judged <= threshold + ROUNDING
    judged = found.value if confidence is None else found.low
    return judged is not None and judged >= threshold - ROUNDING
