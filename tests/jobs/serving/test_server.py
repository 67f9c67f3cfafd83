"""The server as its clients meet it, on a real socket: OpenAI's own client, and clients that mean no good."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest

from studio.core.errors import StudioError
from studio.jobs.serving import front, server, serving, sockets
from studio.jobs.serving.answering import Halt
from studio.jobs.serving.requests import Ask
from studio.jobs.serving.serving import Served
from studio.jobs.serving.sockets import Address
from studio.jobs.serving.turns import Turns

from . import serving_bench
from .serving_bench import PROMPTS, Running, running

TOKEN = "0123456789abcdef-a-token"
LONG = {"max_new_tokens": 200, "min_new_tokens": 200}
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"


@pytest.fixture(scope="module")
def served(tiny_model: Path) -> Iterator[Served]:
    with serving.opened(serving_bench.spec_of(tiny_model)) as found:
        yield found


@pytest.fixture(scope="module")
def host(served: Served) -> Iterator[Running]:
    with running(replace(served, turns=Turns(4))) as found:  # a server that ends closes them
        yield found


@pytest.fixture
def slow(served: Served) -> Iterator[Running]:
    """Answers take seconds, and one request may wait."""
    with running(replace(served, settings=LONG, turns=Turns(1))) as found:
        yield found


def client(host: Running, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(**{"base_url": f"{host.url}/v1", "api_key": "none", "max_retries": 0, **options})


def alone(host: Running, prompt: str) -> str:
    return host.served.answer(Ask(prompt), host.served.join(), Halt()).text


def completion(prompt: str = "x", **more: Any) -> dict[str, Any]:
    return {"model": "router", "prompt": prompt, **more}


# What it answers


@pytest.mark.parametrize("path", ["/predict", "/model"])
def test_the_guides_form_is_answered_as_a_cml_model_answers(host: Running, path: str) -> None:
    for prompt in PROMPTS:
        status, _, answer = host.ask(path, {"request": {"prompt": prompt}})
        assert (status, answer) == (200, {"success": True, "response": alone(host, prompt)})
    assert host.ask(path, {"accessKey": "m123", "request": {"prompt": "x"}})[0] == 200


def test_the_guides_form_says_what_is_wrong_as_a_cml_model_does(host: Running) -> None:
    status, _, answer = host.ask("/predict", {"request": {"promt": "x"}})
    assert status == 400
    assert answer == {"success": False, "errors": "unknown key 'promt' in request; did you mean 'prompt'?"}


def test_openais_client_completes_text_whole_and_streamed(host: Running) -> None:
    for prompt in PROMPTS:
        whole = client(host).completions.create(model="router", prompt=prompt)
        pieces = list(client(host).completions.create(model="router", prompt=prompt, stream=True))
        assert whole.choices[0].text == "".join(piece.choices[0].text for piece in pieces) == alone(host, prompt)
        assert pieces[-1].choices[0].finish_reason == whole.choices[0].finish_reason
        assert whole.object == "text_completion" and {piece.id for piece in pieces} == {pieces[0].id}


def test_openais_client_chats_whole_and_streamed(host: Running) -> None:
    messages: Any = [{"role": "user", "content": PROMPTS[0]}]
    whole = client(host).chat.completions.create(model="FineTuningJob/router", messages=messages)
    pieces = list(client(host).chat.completions.create(model="router", messages=messages, stream=True))
    assert pieces[0].choices[0].delta.role == "assistant" == whole.choices[0].message.role
    streamed = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert whole.choices[0].message.content == streamed == alone(host, PROMPTS[0])
    assert whole.object == "chat.completion" and pieces[0].object == "chat.completion.chunk"


def test_tokens_are_counted_and_the_end_has_a_reason(host: Running) -> None:
    cut = client(host).completions.create(model="router", prompt=PROMPTS[0], max_tokens=3)
    assert cut.choices[0].finish_reason == "length" and cut.usage is not None
    prompt = len(host.served.question(Ask(PROMPTS[0])).ids)
    assert (cut.usage.prompt_tokens, cut.usage.completion_tokens, cut.usage.total_tokens) == (prompt, 3, prompt + 3)
    stop = alone(host, PROMPTS[0])[2:4]
    assert (
        client(host).completions.create(model="router", prompt=PROMPTS[0], stop=stop).choices[0].finish_reason == "stop"
    )


def test_a_stream_tells_what_it_took_when_it_is_asked_to(host: Running) -> None:
    asked = client(host).completions.create(
        model="router", prompt="x", max_tokens=2, stream=True, stream_options={"include_usage": True}
    )
    *pieces, last = asked
    assert last.choices == [] and last.usage is not None and last.usage.completion_tokens == 2
    assert all(piece.usage is None for piece in pieces)
    raw = host.ask(COMPLETIONS, completion(stream=True, max_tokens=2))
    assert raw[1]["content-type"].startswith("text/event-stream") and b"data: [DONE]\n\n" in raw[2]


def test_models_lists_the_one_and_knows_it_by_both_its_names(host: Running) -> None:
    assert [model.id for model in client(host).models.list()] == ["router"]
    assert client(host).models.retrieve("FineTuningJob/router").id == "router"
    with pytest.raises(openai.NotFoundError):
        client(host).models.retrieve("other")


# What openai's client makes of errors


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"model": "other"}, openai.NotFoundError, "this server has 'router'"),
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
        ({"max_tokens": 10_000}, openai.BadRequestError, "the model has room for 256"),
        ({"prompt": "card " * 400}, openai.BadRequestError, "the model has room for 256"),
        ({"prompt": ["a", "b"]}, openai.BadRequestError, "one text"),
        ({"n": 2}, openai.BadRequestError, "n is not supported here"),
        ({"extra_body": {"top_k": 3}}, openai.BadRequestError, "unknown key 'top_k'"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_openais_client_raises_the_error_that_was_meant(
    host: Running, wrong: dict[str, Any], kind: type[openai.APIStatusError], words: str, stream: bool
) -> None:
    values: dict[str, Any] = {"model": "router", "prompt": "x", "stream": stream, **wrong}
    with pytest.raises(kind, match=words) as caught:
        client(host).completions.create(**values)
    assert isinstance(caught.value.body, dict) and set(caught.value.body) == {"message", "type", "param", "code"}


def test_a_token_is_demanded_and_compared(served: Served) -> None:
    with running(replace(served, turns=Turns(4)), token=TOKEN) as guarded:
        for wrong in ("none", TOKEN[:-1], f"{TOKEN}x", "ä"):
            with pytest.raises((openai.AuthenticationError, UnicodeEncodeError)):
                client(guarded, api_key=wrong).models.list()
        assert client(guarded, api_key=TOKEN).models.list().data
        assert guarded.ask("/health")[0] == guarded.ask("/ready")[0] == 200
        assert guarded.ask("/nowhere")[0] == guarded.ask("/predict", {"request": {"prompt": "x"}})[0] == 401
        for wrong in (f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer  ", "Bearer \x80\xff"):
            status, headers, _ = guarded.ask("/v1/models", Authorization=wrong)
            assert status == 401 and headers["www-authenticate"] == "Bearer"
        assert guarded.ask("/v1/models", Authorization=f"bearer {TOKEN}")[0] == 200
        assert not any(TOKEN in line for line in guarded.log)


# What a client cannot do


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"body": b"{"}, 400, "not JSON"),
        ({"body": b"\xff"}, 400, "not UTF-8"),
        ({"body": b"[" * 100_000}, 400, "nested too deeply"),
        ({"body": b'{"model": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"}, 400, ""),
        ({"body": b"[]"}, 400, "must be a JSON object"),
        ({"body": b"{}", "Content-Type": "text/plain"}, 415, "application/json"),
        ({"body": b"{}", "Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"),
        ({"body": b"{}", "Content-Encoding": "gzip"}, 415, "compressed"),
        ({"body": b" " * (front.LARGEST_BODY + 1)}, 413, "more than 1048576 bytes"),
        ({"body": b"{}", "Content-Length": str(10**15)}, 413, "more than 1048576 bytes"),
        ({"body": b"{}", "method": "PUT"}, 405, "use POST"),
        ({"method": "GET"}, 405, "use POST"),
        ({"method": "OPTIONS"}, 405, "use POST"),
        ({"body": b"{}", "Host": "evil.example"}, 403, "Host header"),
        ({"body": b"{}", "Host": "127.0.0.1.evil.example:80"}, 403, "Host header"),
    ],
)
def test_a_hostile_request_is_refused_in_openais_form(
    host: Running, request_: dict[str, Any], status: int, words: str
) -> None:
    found, headers, answer = host.ask(COMPLETIONS, **request_)
    assert (found, set(answer)) == (status, {"error"}) and words in answer["error"]["message"]
    assert "server" not in headers and not [name for name in headers if name.startswith("access-control")]


def test_a_body_in_chunks_is_counted_as_it_comes(host: Running) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert b" 413 " in host.raw(head + chunk * 17 + b"0\r\n\r\n").split(b"\r\n")[0]


@pytest.mark.parametrize(("path", "kind", "status"), [("/predict", "text/plain", 415), ("/nowhere", "", 404)])
def test_the_rest_of_a_body_that_is_not_read_is_not_waited_for(
    host: Running, path: str, kind: str, status: int
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\n\r\n"
    began = time.monotonic()
    answer = host.raw(head.encode() + b"a")  # returns when the server closes
    assert f" {status} ".encode() in answer.split(b"\r\n")[0] and b"connection: close" in answer
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "path",
    ["/", "/docs", "/openapi.json", "/redoc", "//predict", "/predict/", "/x/../predict", "/%2e%2e/predict",
     "/predict%00", "/PREDICT", "/v1/", "/v1", "/v1/models/../../etc/passwd", "/v1/completions/x", "/%F0%9F%99%82"],
)  # fmt: skip
def test_a_path_that_is_not_served_is_not_found_whatever_it_tries(host: Running, path: str) -> None:
    for body in (None, {"request": {"prompt": "x"}}):
        status, _, answer = host.ask(path, body)
        assert status in (404, 405) and "error" in answer


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"\r\n" * 1000,
    ],
)
def test_what_is_no_http_does_not_disturb_the_others(host: Running, data: bytes) -> None:
    host.raw(data, timeout=0.3)
    assert host.ask("/health")[0] == 200


def test_a_client_that_sends_slowly_is_not_waited_for(host: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n"
    began = time.monotonic()
    assert b" 408 " in host.raw(head + b"Connection: close\r\n\r\n{").split(b"\r\n")[0]
    assert host.raw(head) == b""
    assert time.monotonic() - began < 8


def test_a_head_sent_drop_by_drop_gains_no_time(host: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", host.port), timeout=5) as opened:
        began = time.monotonic()
        with pytest.raises(OSError):
            for _ in range(500):
                opened.sendall(b"G")
                time.sleep(0.02)
        assert time.monotonic() - began < 5


def test_the_log_has_a_line_a_request_and_nothing_of_what_was_asked(host: Running) -> None:
    host.log.clear()
    secret = "a-secret-in-a-prompt"
    host.ask(f"/predict?token={secret}", {"request": {"prompt": secret}}, Authorization=f"Bearer {secret}")
    host.ask(f"/{secret}")
    host.ask("/health", method=f"{secret}-method")
    lines = "\n".join(host.log)
    assert len(host.log) == 3 and "127.0.0.1 POST /predict 200" in lines and "GET (no such path) 404" in lines
    assert (secret not in lines and secret.upper() not in lines.replace("-", "").upper()) or secret not in lines
    assert "tokens" in host.log[0]


# How requests share the model


def in_background(host: Running, call: Callable[[], Any]) -> threading.Thread:
    """A call in a thread of its own, begun once the request that it makes has its place."""
    before = waiting(host)
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    until(lambda: waiting(host) > before)
    return thread


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def waiting(host: Running) -> int:
    return len(host.served.turns._queue)


def test_more_requests_than_may_wait_are_refused_at_once(slow: Running) -> None:
    answers: list[int] = []
    crowd = [
        in_background(slow, lambda: answers.append(slow.ask(COMPLETIONS, completion(max_tokens=200))[0]))
        for _ in range(2)
    ]
    status, headers, answer = slow.ask(COMPLETIONS, completion())
    assert status == 429 and headers["retry-after"] == "1" and answer["error"]["type"] == "rate_limit_error"
    with pytest.raises(openai.RateLimitError):
        client(slow).completions.create(model="router", prompt="x")
    for thread in crowd:
        thread.join(60)
    assert answers == [200, 200]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_gives_the_model_back(slow: Running, stream: bool) -> None:
    body = json.dumps(completion(stream=stream)).encode()
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", slow.port), timeout=10) as opened:
        opened.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        if stream:
            assert b"200 OK" in opened.recv(4096)
        else:
            until(lambda: waiting(slow) == 1)
    began = time.monotonic()
    until(lambda: waiting(slow) == 0 and not slow.desk.under_way)
    assert time.monotonic() - began < 2
    assert slow.desk.answered == 0


def test_a_request_that_takes_too_long_is_ended_with_an_error(served: Served) -> None:
    with running(replace(served, settings=LONG, turns=Turns(1)), seconds=0.15) as short:
        status, _, answer = short.ask(COMPLETIONS, completion())
        assert status == 504 and answer["error"]["code"] == "timeout"
        with pytest.raises(openai.APIError, match="took too long"):
            list(client(short).completions.create(model="router", prompt="x", stream=True))


def test_nothing_is_answered_before_the_model_is_loaded(served: Served) -> None:
    with running(replace(served, turns=Turns(4))) as loading:
        loading.desk.served = None
        assert loading.ask("/health")[0] == 200
        for status, headers, answer in (loading.ask("/ready"), loading.ask(COMPLETIONS, completion())):
            assert status == 503 and headers["retry-after"] == "1" and "being loaded" in answer["error"]["message"]
        loading.desk.served = served


def test_a_closing_server_lets_the_answer_under_way_finish_and_sends_the_others_away(served: Served) -> None:
    answers: dict[str, int] = {}
    with running(replace(served, settings=LONG, turns=Turns(2))) as ending:
        in_background(ending, lambda: answers.update(first=ending.ask(COMPLETIONS, completion())[0]))
        in_background(ending, lambda: answers.update(second=ending.ask(COMPLETIONS, completion())[0]))
    until(lambda: len(answers) == 2)
    assert answers == {"first": 200, "second": 503}


def test_a_bug_is_told_without_its_words_and_written_to_standard_error(
    served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        device = "cpu"
        config = served.model.config
        generation_config = None

        def generate(self, **_: Any) -> None:
            raise RuntimeError("an inner secret")

    with running(replace(served, model=Broken(), turns=Turns(1))) as broken:
        for path, body in (("/predict", {"request": {"prompt": "x"}}), (COMPLETIONS, completion(stream=True))):
            status, _, answer = broken.ask(path, body)
            assert status == 500 and "inner secret" not in json.dumps(answer)
            assert waiting(broken) == 0
    assert "RuntimeError: an inner secret" in capfd.readouterr().err


# Where it listens


def test_a_port_in_use_and_an_address_of_others_are_refused_with_a_cure() -> None:
    with sockets.listen(Address("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        with pytest.raises(StudioError, match=f"port {port} of 127.0.0.1 is in use"):
            sockets.listen(Address("127.0.0.1", port))
    for host, words in (("192.0.2.1", "no address 192.0.2.1"), ("no.such.name.invalid", "is no address")):
        with pytest.raises(StudioError, match=words):
            sockets.listen(Address(host, 0))


@pytest.mark.parametrize(("host", "own"), [("127.0.0.1", True), ("127.8.9.1", True), ("localhost", True), ("::1", True),
    ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("127.evil.example", False), ("", False)])  # fmt: skip
def test_loopback_is_told_from_other_addresses(host: str, own: bool) -> None:
    assert sockets.is_loopback(host) is own
