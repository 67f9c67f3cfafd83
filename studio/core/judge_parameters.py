"""What a request to a judge may say beside its question: parameters of OpenAI's chat API, and what services add."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OWN = frozenset({"model", "messages", "stream", "n"})
"""Not for a manifest to set: the judge's other fields say them."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a parameter takes, in words, and whether a value is such."""

    words: str
    fits: Callable[[Any], bool]


def _number(least: float, most: float) -> Form:
    return Form(f"a number from {least:g} to {most:g}", lambda value: _is_number(value) and least <= value <= most)


def _whole(least: int | None = None) -> Form:
    words = "a whole number" if least is None else f"a whole number, at least {least}"
    return Form(words, lambda value: _is_whole(value) and (least is None or value >= least))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_stop(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


FORMS: dict[str, Form] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "min_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "max_tokens": _whole(1),
    "max_completion_tokens": _whole(1),
    "top_logprobs": _whole(0),
    "seed": _whole(),
    "logprobs": Form("true or false", lambda value: isinstance(value, bool)),
    "stop": Form("a text or a list of texts", _is_stop),
    "user": Form("a text", lambda value: isinstance(value, str)),
    "reasoning_effort": Form("a text", lambda value: isinstance(value, str)),
    "response_format": Form("a mapping", lambda value: isinstance(value, dict)),
}
"""Of OpenAI's API reference (chat completions), and min_p of vLLM. What is not here is for the service to judge."""


Path = tuple[str | int, ...]
Fault = tuple[Path, str, str]
"""Where below the parameters, what is wrong there, what to do."""


def faults(parameters: Mapping[str, Any]) -> Iterator[Fault]:
    """Null leaves a parameter out, and is no fault."""
    for name in sorted(parameters, key=str):
        value = parameters[name]
        if name in OWN:
            yield (name,), f"{name} is not for parameters to set", f"remove {name}"
        elif value is not None and name in FORMS and not FORMS[name].fits(value):
            words = FORMS[name].words
            yield (name,), f"{name} is {value!r}, and takes {words}", f"write {words}, or remove {name}"
        else:
            yield from _unsayable((name,), value)


def _unsayable(path: Path, value: Any) -> Iterator[Fault]:
    """What JSON, in which requests are written, has no word for."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield from _unsayable((*path, str(key)), held)
    elif isinstance(value, list):
        for index, held in enumerate(value):
            yield from _unsayable((*path, index), held)
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"{_told(path)} is {value!r}, which no request can say", "write a finite number"
    elif not isinstance(value, str | int | float | None):
        yield (
            path,
            f"{_told(path)} is a {type(value).__name__}, which no request can say",
            "write it as text, in quotes",
        )


def _told(path: Path) -> str:
    return ".".join(map(str, path))
