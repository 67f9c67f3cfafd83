"""Serving beside bare ``model.generate``, in one run, on the quickstart's model.

    python benchmarks/serve.py [--rounds 8] [--json FILE]

Each way answers the same prompts with the same number of tokens, in turns. Of several rounds the table shows the best
rate by the clock, and the ratio of the least processor time, which other work on the machine disturbs least; client
and server are one process, so that of HTTP holds both sides.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "examples" / "quickstart" / "models" / "tiny-llama"
PROMPTS = [
    "### CUSTOMER: My parcel should have been here last week, where is it?\n### QUEUE:",
    "### CUSTOMER: I forgot my password and cannot log in to my account\n### QUEUE:",
    "### CUSTOMER: You charged my card twice for the same order\n### QUEUE:",
]
TOKENS = 64
BARE = "bare model.generate"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    began = time.perf_counter()
    from studio.core.jobspec import ModelInput, Resources
    from studio.core.servingspec import ServingSpec
    from studio.jobs.serving import serving

    imported = time.perf_counter()
    spec = ServingSpec(
        name="tiny-llama",
        title="Model/tiny-llama",
        model=ModelInput(name="tiny-llama", type="project", location=str(MODEL)),
        generation={"max_new_tokens": TOKENS, "min_new_tokens": TOKENS},
        resources=Resources(cpu=2),
    )
    with serving.opened(spec) as served:
        loaded = time.perf_counter()
        costs, first = measure(served, options.rounds)
    print(f"import {imported - began:.1f} s, load and warm up {loaded - imported:.2f} s, first request {first:.3f} s")
    least = costs[BARE].processor
    for name, cost in costs.items():
        rate, ratio = 1 / cost.clock, least / cost.processor
        print(f"{name:20} {rate:7.1f} tokens/s by the clock   {ratio:.3f} of bare by processor time")
    if options.json:
        figures = {"import": imported - began, "load": loaded - imported, "first_request": first}
        seconds = {name: asdict(cost) for name, cost in costs.items()}
        options.json.write_text(json.dumps({**figures, "seconds_per_token": seconds}, indent=2) + "\n")


@dataclass(slots=True)
class Cost:
    """The least seconds per token of any round."""

    clock: float = float("inf")
    processor: float = float("inf")


def measure(served: Any, rounds: int) -> tuple[dict[str, Cost], float]:
    """What each way costs, and the seconds of the very first request."""
    from studio.jobs.serving import sockets
    from studio.jobs.serving.server import Server, config_of, desk_of
    from studio.jobs.serving.sockets import Address

    address = Address("127.0.0.1", 0)
    opened = sockets.listen(address)
    desk = desk_of(served.spec, address, 600)
    desk.served = served
    server = Server(config_of(desk, 4, lambda line: None), desk)
    thread = threading.Thread(target=lambda: server.run(sockets=[opened]))
    thread.start()
    url = sockets.url(opened, address.host)
    ways: dict[str, Callable[[str], int]] = {
        BARE: lambda prompt: bare(served, prompt),
        "predict": lambda prompt: answered(served, prompt),
        "HTTP": lambda prompt: whole(url, prompt),
        "HTTP, streamed": lambda prompt: streamed(url, prompt),
    }
    try:
        began = time.perf_counter()
        whole(url, PROMPTS[0])
        first = time.perf_counter() - began
        return in_turns(ways, rounds), first
    finally:
        server.should_exit = True
        thread.join()


def in_turns(ways: dict[str, Callable[[str], int]], rounds: int) -> dict[str, Cost]:
    found = {name: Cost() for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            clock, processor = time.perf_counter(), time.process_time()
            tokens = sum(way(prompt) for prompt in PROMPTS)
            cost = found[name]
            cost.clock = min(cost.clock, (time.perf_counter() - clock) / tokens)
            cost.processor = min(cost.processor, (time.process_time() - processor) / tokens)
    return found


def bare(served: Any, prompt: str) -> int:
    """As in transformers' documentation."""
    inputs = served.tokenizer(prompt, return_tensors="pt")
    output = served.model.generate(
        **inputs, do_sample=False, max_new_tokens=TOKENS, min_new_tokens=TOKENS, pad_token_id=0
    )
    served.tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return int(output.shape[1] - inputs["input_ids"].shape[1])


def answered(served: Any, prompt: str) -> int:
    from studio.jobs.serving.answering import Halt
    from studio.jobs.serving.requests import Ask

    return int(served.answer(Ask(prompt), served.join(), Halt()).tokens)


def ask(url: str, prompt: str, **more: Any) -> bytes:
    body = json.dumps({"model": "tiny-llama", "prompt": prompt, **more}).encode()
    request = urllib.request.Request(f"{url}/v1/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


def whole(url: str, prompt: str) -> int:
    return int(json.loads(ask(url, prompt))["usage"]["completion_tokens"])


def streamed(url: str, prompt: str) -> int:
    events = ask(url, prompt, stream=True, stream_options={"include_usage": True}).split(b"\n\n")
    return int(json.loads(events[-3].removeprefix(b"data: "))["usage"]["completion_tokens"])


if __name__ == "__main__":
    main()
