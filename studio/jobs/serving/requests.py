"""Requests as they come over the wire, read strictly: the guide's form and OpenAI's two.

What is not understood is refused, never left out: a setting without effect would pass for one that had it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from studio.core.suggest import did_you_mean
from studio.jobs.serving.refusals import Refusal

MOST_STOPS = 4
"""OpenAI's own limit."""
LARGEST_SEED = 2**63 - 1
_ZERO: tuple[object, ...] = (0, 0.0)
_NEUTRAL_EVERYWHERE: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "frequency_penalty": _ZERO,
    "presence_penalty": _ZERO,
    "logit_bias": ({},),
}
NEUTRAL: dict[str, dict[str, tuple[object, ...]]] = {
    "completion": {**_NEUTRAL_EVERYWHERE, "best_of": (1,), "echo": (False,), "suffix": ("",), "logprobs": ()},
    "chat": {
        **_NEUTRAL_EVERYWHERE,
        "logprobs": (False,),
        "top_logprobs": (0,),
        "response_format": ({"type": "text"},),
        "tools": ([],),
        "tool_choice": ("none", "auto"),
        "parallel_tool_calls": (True, False),
        "functions": ([],),
        "function_call": ("none", "auto"),
        "modalities": (["text"],),
        "store": (False,),
        "metadata": ({},),
        "service_tier": ("auto", "default"),
        "audio": (),
        "prediction": (),
        "reasoning_effort": (),
        "verbosity": (),
        "web_search_options": (),
    },
}
"""What OpenAI knows and nothing here does: the values that ask for nothing. Null asks for nothing, too."""


def _legible(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which is no character") from None
    return text


def _filled(text: str) -> str:
    if not text:
        raise ValueError("it is empty")
    return _legible(text)


def _only(value: Any) -> Any:
    """One prompt; a list of one is one. Token ids are no text."""
    if not isinstance(value, list):
        return value
    if len(value) != 1 or not isinstance(value[0], str):
        raise ValueError("a request is about one text: write a string")
    return value[0]


def _stops(value: Any) -> Any:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("write a text that is not empty, or a list of such")
    if len(texts) > MOST_STOPS:
        raise ValueError(f"at most {MOST_STOPS} texts are looked for")
    return tuple(map(_legible, texts))


def _parts(value: Any) -> Any:
    """Content as OpenAI's list of parts: only text is read."""
    if not isinstance(value, list):
        return value
    texts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") == "text"]
    if not value or len(texts) != len(value) or not all(isinstance(text, str) for text in texts):
        raise ValueError("only parts of type text can be read")
    return "".join(map(str, texts))


Text = Annotated[str, AfterValidator(_filled)]


class Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class Prompt(Wire):
    """What CML hands to a predict function."""

    prompt: Text


class Guide(Wire):
    """What is sent to a CML model (guide, Request Handling); ``accessKey`` is how CML knows its callers."""

    request: Prompt
    accessKey: str | None = None


class StreamOptions(Wire):
    include_usage: bool | None = None


class Sampling(Wire):
    """What both of OpenAI's forms share."""

    model: str
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    stop: Annotated[tuple[str, ...], BeforeValidator(_stops)] | None = None
    seed: int | None = Field(None, ge=-LARGEST_SEED, le=LARGEST_SEED)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None


class Completion(Sampling):
    prompt: Annotated[Text, BeforeValidator(_only)]


class Message(Wire):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_parts), AfterValidator(_legible)]
    name: Annotated[str, AfterValidator(_legible)] | None = None


class Chat(Sampling):
    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: int | None = Field(None, ge=1)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question of any form: a prompt, or messages for the model's chat template. None: as the model is set up."""

    prompt: str = ""
    messages: tuple[dict[str, str], ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


W = TypeVar("W", bound=Wire)


def read_object(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises Refusal for anything else, for two equal keys, and for what is not JSON at all."""
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise Refusal(f"the body is not UTF-8: byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise Refusal(f"the body is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise Refusal("the body is nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits, or one of our own below
        raise Refusal(f"the body cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise Refusal("the body must be a JSON object")
    return found


def guide(values: Any) -> Guide:
    """The guide's form, whole."""
    return _fit(Guide, values)


def prompt_of(arguments: Any) -> Ask:
    """The guide's form, or what CML hands over of it."""
    if isinstance(arguments, Mapping) and "request" in arguments:
        return Ask(_fit(Guide, arguments).request.prompt)
    return Ask(_fit(Prompt, arguments).prompt)


def completion(values: dict[str, Any]) -> tuple[Completion, Ask]:
    """OpenAI's ``/v1/completions``."""
    found = _fit(Completion, _supported("completion", values))
    return found, _ask(found, prompt=found.prompt)


def chat(values: dict[str, Any]) -> tuple[Chat, Ask]:
    """OpenAI's ``/v1/chat/completions``."""
    found = _fit(Chat, _supported("chat", values))
    if found.max_tokens and found.max_completion_tokens:
        raise Refusal("max_tokens and max_completion_tokens are the same thing", "leave one of them out")
    messages = tuple(message.model_dump(exclude_none=True) for message in found.messages)
    return found, _ask(found, messages=messages, longest=found.max_completion_tokens)


def _ask(
    found: Sampling, prompt: str = "", messages: tuple[dict[str, str], ...] = (), longest: int | None = None
) -> Ask:
    if found.stream_options and not found.stream:
        raise Refusal("stream_options is only for stream: true", param="stream_options")
    return Ask(
        prompt=prompt,
        messages=messages,
        max_tokens=longest or found.max_tokens,
        temperature=found.temperature,
        top_p=found.top_p,
        stop=found.stop or (),
        seed=found.seed,
    )


def _supported(form: str, values: dict[str, Any]) -> dict[str, Any]:
    """The request without settings that ask for nothing; raises Refusal for those that ask for something."""
    neutral = NEUTRAL[form]
    for key in sorted(set(values) & set(neutral)):
        value = values[key]
        if value is not None and not any(value == each and type(value) is type(each) for each in neutral[key]):
            raise Refusal(f"{key} is not supported here", "leave it out", param=key, code="unsupported_parameter")
    return {key: value for key, value in values.items() if key not in neutral}


def _fit(model: type[W], values: Any) -> W:
    """Raises Refusal for the first fault, which never repeats what was sent."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
    # A misspelt key is told before the key that is missing because of it.
    fault = min(faults, key=lambda each: each["type"] != "extra_forbidden")
    keys = [str(part) for part in fault["loc"]]
    path, where = ".".join(keys), ".".join(keys[:-1])
    match fault["type"]:
        case "extra_forbidden":
            hint = did_you_mean(keys[-1], _known(model, keys[:-1]))
            raise Refusal(f"unknown key {keys[-1][:100]!r}" + (f" in {where}" if where else ""), hint, param=path)
        case "missing":
            raise Refusal(f"{path} is missing", param=path)
        case "model_type" | "model_attributes_type":
            raise Refusal(f"{path or 'the request'} must be a JSON object", param=path or None)
        case "value_error":
            raise Refusal(f"{path}: {fault['ctx']['error']}", param=path)
    raise Refusal(f"{path}: {fault['msg'].replace('Input should be', 'it must be')}", param=path)


def _known(model: type[BaseModel], path: list[str]) -> list[str]:
    """Keys of the object at ``path``."""
    inner: dict[str, type[BaseModel]] = {"request": Prompt, "messages": Message, "stream_options": StreamOptions}
    found = inner.get(path[0], model) if path else model
    return list(found.model_fields)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:100]!r} is there twice")
        found[key] = value
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
