"""A language model as the judge of answers: what a job asks it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from studio.core.judge_names import SCALE, key_variable, url_variable
from studio.core.record import Record


class JudgeWork(Record):
    """A judge as a job asks it. ``sample`` is how many rows it judges at most, 0 for all of them."""

    name: str
    model: str
    endpoint: str = ""
    definition: str
    grading: str = ""
    scale: tuple[int, int] = SCALE
    sample: int = 0
    parameters: dict[str, Any] = Field(default_factory=dict)


def variables(judges: Sequence[JudgeWork]) -> dict[str, str]:
    """Purpose to variable, of all that judges need from the environment."""
    return dict(entry for each in judges for entry in _variables(each.endpoint))


def _variables(endpoint: str) -> Iterator[tuple[str, str]]:
    yield f"judge_url {endpoint}".rstrip(), url_variable(endpoint)
    yield f"judge_key {endpoint}".rstrip(), key_variable(endpoint)
