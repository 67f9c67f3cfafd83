"""Answers that are classes: which was given for which, and how well each was found.

Expected answers are classes when there are from 2 to 30 different ones and, on average, 5 rows of each.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from studio.core.errors import JobError
from studio.core.secrets import redact

if TYPE_CHECKING:
    from studio.jobs.evaluation.metrics import Answers, Array

MOST_CLASSES, ROWS_OF_EACH = 30, 5
OTHER = "(other)"
"""An answer that is none of the classes."""
MACRO_F1 = "macro_f1"


def classes(expected: Sequence[str]) -> tuple[str, ...]:
    """The different answers that are expected, sorted; () when they are no classes."""
    found = sorted({text.strip() for text in expected})
    return tuple(found) if 2 <= len(found) <= MOST_CLASSES and len(expected) >= ROWS_OF_EACH * len(found) else ()


def check(metrics: Sequence[str], expected: Sequence[str]) -> None:
    """Raises JobError when macro F1 is asked of answers that are no classes."""
    if MACRO_F1 in metrics and not classes(expected):
        different = len({text.strip() for text in expected})
        raise JobError(
            f"{MACRO_F1} is of classes: {len(expected)} rows expect {different} different answers; it takes from 2 to "
            f"{MOST_CLASSES}, with {ROWS_OF_EACH} rows of each on average",
            f"remove {MACRO_F1} from metrics, or evaluate on more rows",
        )


def rows(answers: Answers) -> Array:
    """For every class three columns: whether the row is a hit, is of the class, was said to be of it."""
    known = classes(answers.expected)
    expected, given = _numbers(known, answers.expected), _numbers(known, answers.predictions)
    every = np.arange(len(known))
    of, said = expected[:, None] == every, given[:, None] == every
    return np.hstack([of & said, of, said]).astype(float)


def macro_f1(sums: Array) -> Array:
    """The mean of the classes' F1, 2 hits / (rows of the class + rows said to be of it); classes that are neither
    expected nor said have none (Opitz and Burst, Macro F1 and Macro F1, 2019)."""
    hits, of, said = np.split(sums, 3, axis=-1)
    either = of + said
    return (2 * hits / np.maximum(either, 1)).sum(axis=-1) / np.maximum((either > 0).sum(axis=-1), 1)


def matrix(known: Sequence[str], answers: Answers) -> NDArray[np.intp]:
    """Rows by expected class (down) and class that was given (across), where the last column is any other answer."""
    found = np.zeros((len(known), len(known) + 1), dtype=int)
    np.add.at(found, (_numbers(known, answers.expected), _numbers(known, answers.predictions)), 1)
    return found


def write(path: Path, known: Sequence[str], counted: NDArray[np.intp]) -> Path:
    """The matrix as CSV. What looks like a token is hidden, as in the predictions."""
    names = [redact(name) for name in known]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["expected", *names, OTHER])
        writer.writerows([name, *line] for name, line in zip(names, counted.tolist(), strict=True))
    return path


def _numbers(known: Sequence[str], texts: Sequence[str]) -> NDArray[np.intp]:
    """The position of each text among the classes; one past the last for any other."""
    at = {name: number for number, name in enumerate(known)}
    return np.array([at.get(text.strip(), len(known)) for text in texts], dtype=int)
