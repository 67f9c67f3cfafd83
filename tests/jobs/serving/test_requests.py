"""Requests are read strictly: what is wrong is named, what is not understood is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.jobs.serving import requests
from studio.jobs.serving.refusals import Refusal
from studio.jobs.serving.requests import Ask

TEXT = {"model": "m", "prompt": "Hello"}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

WRONG_TEXT: dict[str, tuple[Any, str]] = {
    "no model": ({"prompt": "x"}, "model is missing"),
    "no prompt": ({"model": "m"}, "prompt is missing"),
    "misspelt": ({**TEXT, "temprature": 1}, "unknown key 'temprature'; did you mean 'temperature'?"),
    "misspelt and missing": ({"model": "m", "promt": "x"}, "unknown key 'promt'; did you mean 'prompt'?"),
    "empty prompt": ({**TEXT, "prompt": ""}, "prompt: it is empty"),
    "prompt is null": ({**TEXT, "prompt": None}, "prompt: it must be a valid string"),
    "prompt is a number": ({**TEXT, "prompt": 3}, "prompt: it must be a valid string"),
    "two prompts": ({**TEXT, "prompt": ["a", "b"]}, "prompt: a request is about one text"),
    "token ids": ({**TEXT, "prompt": [1, 2]}, "prompt: a request is about one text"),
    "half a character": ({**TEXT, "prompt": "\ud83d"}, "prompt: it holds half of a surrogate pair"),
    "too hot": ({**TEXT, "temperature": 2.5}, "temperature: it must be less than or equal to 2"),
    "temperature as text": ({**TEXT, "temperature": "1"}, "temperature: it must be a valid number"),
    "temperature as truth": ({**TEXT, "temperature": True}, "temperature: it must be a valid number"),
    "top_p of nothing": ({**TEXT, "top_p": 0}, "top_p: it must be greater than 0"),
    "no tokens": ({**TEXT, "max_tokens": 0}, "max_tokens: it must be greater than or equal to 1"),
    "half tokens": ({**TEXT, "max_tokens": 1.5}, "max_tokens: it must be a valid integer"),
    "empty stop": ({**TEXT, "stop": ""}, "stop: write a text that is not empty"),
    "stop of numbers": ({**TEXT, "stop": [1]}, "stop: write a text that is not empty"),
    "five stops": ({**TEXT, "stop": list("abcde")}, "stop: at most 4 texts"),
    "seed as text": ({**TEXT, "seed": "1"}, "seed: it must be a valid integer"),
    "huge seed": ({**TEXT, "seed": 10**30}, "seed"),
    "stream as text": ({**TEXT, "stream": "yes"}, "stream: it must be a valid boolean"),
    "options without a stream": ({**TEXT, "stream_options": {}}, "stream_options is only for stream: true"),
    "misspelt option": (
        {**TEXT, "stream": True, "stream_options": {"include_usge": True}},
        "unknown key 'include_usge' in stream_options; did you mean 'include_usage'?",
    ),
    "two answers": ({**TEXT, "n": 2}, "n is not supported here; leave it out"),
    "n as truth": ({**TEXT, "n": True}, "n is not supported here"),
    "echo": ({**TEXT, "echo": True}, "echo is not supported here"),
    "logprobs": ({**TEXT, "logprobs": 0}, "logprobs is not supported here"),
    "penalty": ({**TEXT, "frequency_penalty": 0.5}, "frequency_penalty is not supported here"),
    "messages of the other form": ({**TEXT, "messages": []}, "unknown key 'messages'"),
}
WRONG_CHAT: dict[str, tuple[Any, str]] = {
    "no messages": ({"model": "m"}, "messages is missing"),
    "empty list": ({"model": "m", "messages": []}, "messages: List should have at least 1 item"),
    "one object": ({"model": "m", "messages": {"role": "user"}}, "messages: it must be a valid list"),
    "a message that is text": ({"model": "m", "messages": ["hi"]}, "messages.0 must be a JSON object"),
    "role": ({"model": "m", "messages": [{"role": "usr", "content": "x"}]}, "messages.0.role: it must be 'system'"),
    "tool": ({"model": "m", "messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
    "no content": ({"model": "m", "messages": [{"role": "user"}]}, "messages.0.content is missing"),
    "content is null": ({"model": "m", "messages": [{"role": "user", "content": None}]}, "messages.0.content"),
    "picture": (
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages.0.content: only parts of type text can be read",
    ),
    "misspelt part": (
        {"model": "m", "messages": [{"role": "user", "contents": "x", "content": "x"}]},
        "unknown key 'contents' in messages.0; did you mean 'content'?",
    ),
    "tools": ({**CHAT, "tools": [{"type": "function"}]}, "tools is not supported here"),
    "format": ({**CHAT, "response_format": {"type": "json_object"}}, "response_format is not supported here"),
    "both limits": ({**CHAT, "max_tokens": 1, "max_completion_tokens": 2}, "are the same thing"),
}
WRONG_GUIDE: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "prompt is missing"),
    "a list": ([], "the request must be a JSON object"),
    "a text": ("Hello", "the request must be a JSON object"),
    "null": (None, "the request must be a JSON object"),
    "empty": ({"prompt": ""}, "prompt: it is empty"),
    "misspelt": ({"promt": "x"}, "unknown key 'promt'; did you mean 'prompt'?"),
    "more": ({"prompt": "x", "max_tokens": 3}, "unknown key 'max_tokens'"),
    "request is text": ({"request": "x"}, "request must be a JSON object"),
    "empty request": ({"request": {}}, "request.prompt is missing"),
    "misspelt inside": ({"request": {"promt": "x"}}, "unknown key 'promt' in request; did you mean 'prompt'?"),
    "beside": ({"request": {"prompt": "x"}, "requst": 1}, "unknown key 'requst'; did you mean 'request'?"),
}


@pytest.mark.parametrize("name", WRONG_TEXT)
def test_a_wrong_completion_request_is_refused_with_its_fault(name: str) -> None:
    values, words = WRONG_TEXT[name]
    with pytest.raises(Refusal) as caught:
        requests.completion(values)
    assert caught.value.words.startswith(words) and caught.value.status == 400


@pytest.mark.parametrize("name", WRONG_CHAT)
def test_a_wrong_chat_request_is_refused_with_its_fault(name: str) -> None:
    values, words = WRONG_CHAT[name]
    with pytest.raises(Refusal) as caught:
        requests.chat(values)
    assert words in caught.value.words and caught.value.status == 400


@pytest.mark.parametrize("name", WRONG_GUIDE)
def test_wrong_arguments_of_the_guides_form_are_refused_with_their_fault(name: str) -> None:
    values, words = WRONG_GUIDE[name]
    with pytest.raises(Refusal) as caught:
        requests.prompt_of(values)
    assert caught.value.words.startswith(words)


@pytest.mark.parametrize("values", [{"prompt": "Hello"}, {"request": {"prompt": "Hello"}}])
def test_both_forms_of_the_guides_request_ask_the_same(values: Any) -> None:
    assert requests.prompt_of(values) == Ask("Hello")


def test_settings_that_ask_for_nothing_are_taken_as_such() -> None:
    nothing = {"n": 1, "presence_penalty": 0.0, "frequency_penalty": 0, "logit_bias": {}, "user": "someone"}
    assert requests.completion({**TEXT, **nothing, "echo": False, "suffix": None})[1] == Ask("Hello")
    more = {"tools": None, "response_format": {"type": "text"}, "logprobs": False, "tool_choice": "none"}
    assert requests.chat({**CHAT, **nothing, **more})[1].messages == ({"role": "user", "content": "Hello"},)


def test_settings_that_count_are_handed_on() -> None:
    wanted = {"temperature": 0, "top_p": 0.5, "max_tokens": 7, "stop": "\n", "seed": -1}
    ask = requests.completion({**TEXT, "prompt": ["Hello"], **wanted})[1]
    assert ask == Ask("Hello", max_tokens=7, temperature=0, top_p=0.5, stop=("\n",), seed=-1)
    assert requests.chat({**CHAT, "max_completion_tokens": 9})[1].max_tokens == 9


def test_parts_of_text_are_one_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    found = requests.chat({"model": "m", "messages": [{"role": "user", "content": parts, "name": "ann"}]})[1]
    assert found.messages == ({"role": "user", "content": "ab", "name": "ann"},)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON: line 1, column 1"),
        (b"{", "not JSON: line 1, column 2"),
        (b'{"a": 1,\n"b"}', "not JSON: line 2, column 4"),
        (b"\xff\xfe{}", "not UTF-8: byte 0"),
        (b'{"a": "\xc3"}', "not UTF-8: byte 7"),
        (b"[]", "must be a JSON object"),
        (b"NaN", "NaN is not JSON"),
        (b'{"a": Infinity}', "Infinity is not JSON"),
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "cannot be read"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_with_its_fault(body: bytes, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        requests.read_object(body)
    assert words in caught.value.words


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_does_more_than_be_read_or_refused(body: bytes) -> None:
    try:
        found = requests.read_object(body)
    except Refusal as refusal:
        assert refusal.status == 400
    else:
        assert isinstance(found, dict)


@given(st.dictionaries(st.sampled_from([*TEXT, *CHAT, "stop", "n", "stream", "x", "stream_options"]), JSON))
def test_no_request_does_more_than_be_understood_or_refused(values: dict[str, Any]) -> None:
    for read in (requests.completion, requests.chat, requests.guide, requests.prompt_of):
        try:
            assert read(values) is not None
        except Refusal as refusal:
            assert refusal.status == 400 and refusal.words


def test_a_refusal_never_repeats_what_was_sent() -> None:
    secret = "the-secret-of-a-prompt"
    for values in ({"prompt": [secret, secret]}, {"prompt": {"a": secret}}, {"stop": [secret] * 9}, {"seed": secret}):
        with pytest.raises(Refusal) as caught:
            requests.completion({**TEXT, **values})
        assert secret not in caught.value.words
