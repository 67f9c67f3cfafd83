"""What becomes of a condition on a metric: the number, how sure it is, and whether it is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studio.core.numerals import number

Condition = Literal["min", "max", "min_gain_over_baseline", "not_worse_than"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition of one gate, decided. ``condition`` is the gate's field; ``value`` is the metric or its gain, None
    when the metric was not computed. With ``confidence`` it is an end of the interval, ``low`` or ``high``, that was
    judged; both are None when none was recorded. ``than`` is who it must not be worse than."""

    metric: str
    combination: str
    condition: Condition
    threshold: float
    value: float | None
    passed: bool
    confidence: float | None = None
    low: float | None = None
    high: float | None = None
    than: str = ""

    def __str__(self) -> str:
        return f"{self.metric} of {self.combination}: {self._found()}, {self._asked()}"

    def _found(self) -> str:
        if self.value is None:
            return "not computed"
        words = ("+" if self._is_gain and self.value >= 0 else "") + self._shown(self.value)
        if self.low is not None and self.high is not None:
            words += f" [{self._shown(self.low)}, {self._shown(self.high)}]"
        elif self.confidence is not None:
            words += " without an interval"
        match self.condition:
            case "min_gain_over_baseline":
                return f"{words} over the baseline"
            case "not_worse_than":
                return f"{words} against {self.than}"
            case _:
                return words

    def _asked(self) -> str:
        bound = f"at {'most' if self.condition == 'max' else 'least'} {self.threshold:g}"
        asked = f"{'' if self.passed else 'not '}{bound}"
        return asked if self.confidence is None else f"{asked} with {self.confidence:.0%} confidence"

    def _shown(self, value: float) -> str:
        """Longer where it would be rounded to the threshold that it misses."""
        hidden = not self.passed and value != self.threshold and number(value) == number(self.threshold)
        return f"{value:.8g}" if hidden else number(value)

    @property
    def _is_gain(self) -> bool:
        return self.condition in ("min_gain_over_baseline", "not_worse_than")
