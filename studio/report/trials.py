"""Answers of a base model and of what was made of it, beside each other: as they come, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import click

from studio.core.servingspec import Question, Trial
from studio.report.findings import plural
from studio.report.plain import log_line, plain

if TYPE_CHECKING:
    from studio.jobs.serving.comparing import Pair, Told

INDENT = "  "


@dataclass(slots=True)
class Paper:
    """Writes each question with its two answers below. The base model answers all questions before the other is asked
    anything; what it says to the first one can be read as it comes, the rest is kept until its turn."""

    trial: Trial
    questions: Sequence[Question]
    write: Callable[[str], None]
    told: dict[Pair, Told] = field(default_factory=dict)

    def begin(self, pair: Pair) -> None:
        number, made = pair
        if not made and number:
            return
        if not made or number:
            self.write(self._question(number))
        if made and number:
            self.write(self._label(False) + self._indented(self.told[(number, False)].text))
            self.write(self._ending(self.told[(number, False)]))
        self.write(self._label(made) + INDENT)

    def say(self, pair: Pair, text: str) -> None:
        if self._is_shown(pair):
            self.write(log_line(text).replace("\n", f"\n{INDENT}"))

    def end(self, pair: Pair, told: Told) -> None:
        self.told[pair] = told
        if self._is_shown(pair):
            self.write(self._ending(told))

    @staticmethod
    def _is_shown(pair: Pair) -> bool:
        number, made = pair
        return made or not number

    def _question(self, number: int) -> str:
        question, count = self.questions[number], len(self.questions)
        words = [*([f"{number + 1} of {count}"] if count > 1 else []), *([question.origin] if question.origin else [])]
        head = click.style(plain(", ".join(words) or "prompt"), bold=True)
        told = f"{head}\n{self._indented(question.prompt)}\n"
        if question.expected is not None:
            told += f"{click.style('expected', fg='green')}\n{self._indented(question.expected)}\n"
        return told if not number else f"\n{told}"

    def _label(self, made: bool) -> str:
        return click.style(plain(self.trial.made if made else self.trial.base), fg="cyan") + "\n"

    @staticmethod
    def _indented(text: str) -> str:
        return "\n".join(INDENT + line for line in log_line(text).split("\n"))

    @staticmethod
    def _ending(told: Told) -> str:
        if told.fault:
            return click.style(f"{plain(told.fault)}\n", fg="red")
        cut = ", cut there" if told.is_cut else ""
        return click.style(f"\n{INDENT}{told.seconds:.1f} s, {plural(told.tokens, 'token')}{cut}\n", dim=True)


def to_json(trial: Trial, questions: Sequence[Question], told: dict[Pair, Told]) -> dict[str, Any]:
    """Plain data for other tools. ``fault`` says why there is no answer; ``is_cut``, that it was longer."""
    return {
        "resource": trial.subject.title,
        "base": trial.base,
        "made": trial.made,
        "answers": [
            {**asdict(question), "base": asdict(told[(number, False)]), "made": asdict(told[(number, True)])}
            for number, question in enumerate(questions)
        ],
    }
