"""What the tests of serving work with: a model and an adapter that never trained, and a server on a real socket."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.core.jobspec import AdapterInput, ModelInput, Resources
from studio.core.servingspec import ServingSpec
from studio.jobs.serving import sockets
from studio.jobs.serving.server import Server, config_of, desk_of
from studio.jobs.serving.serving import Served
from studio.jobs.serving.sockets import Address
from studio.jobs.serving.web import Desk

PROMPTS = ("### lost my card\n>", "### thanks for", "ä€🙂 card", "x", "### cannot use login\n> other\n\n  ")
CHAT = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"


def write_adapter(model: Path, folder: Path, **settings: Any) -> Path:
    """LoRA weights drawn at random, not zero as at the start of training."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    whole = {"r": 4, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": False, **settings}
    config = LoraConfig(task_type="CAUSAL_LM", **whole)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(str(model)), config)
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def spec_of(model: Path, adapter: Path | None = None, **changes: Any) -> ServingSpec:
    values: dict[str, Any] = {
        "name": "router",
        "title": "FineTuningJob/router",
        "model": ModelInput(name="tiny", type="project", location=str(model)),
        "adapter": AdapterInput(name="router", type="project", location=str(adapter)) if adapter else None,
        "generation": {"max_new_tokens": 12},
        "resources": Resources(cpu=2),
    }
    return ServingSpec(**{**values, **changes})


@dataclass
class Running:
    """A server that runs in a thread of this process, and what it logged."""

    desk: Desk
    port: int
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def served(self) -> Served:
        assert self.desk.served is not None
        return self.desk.served

    def raw(self, data: bytes, timeout: float = 10) -> bytes:
        """What comes back for bytes as they are, until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as opened:
            opened.sendall(data)
            received = b""
            try:
                while part := opened.recv(65536):
                    received += part
            except TimeoutError:
                return received
            except ConnectionResetError:
                return received
        return received

    def ask(self, path: str, body: Any = None, method: str = "", **headers: str) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body of one request; a body that is not bytes is sent as JSON."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        verb = method or ("GET" if sent is None else "POST")
        lines = {"Host": "localhost", "Connection": "close", **({"Content-Type": "application/json"} if sent else {})}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        if sent is not None:
            lines.setdefault("Content-Length", str(len(sent)))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        answer = self.raw(f"{verb} {path} HTTP/1.1\r\n{head}\r\n".encode() + (sent or b""))
        top, _, content = answer.partition(b"\r\n\r\n")
        status, *pairs = top.decode().split("\r\n")
        found = {name.lower(): value for name, value in (pair.split(": ", 1) for pair in pairs)}
        read = json.loads(content) if found.get("content-type") == "application/json" else content
        return int(status.split()[1]), found, read


@contextmanager
def running(served: Served, waiting: int = 4, seconds: float = 60.0, token: str | None = None) -> Iterator[Running]:
    """The server of ``studio serve``, with a model that is loaded already."""
    address = Address("127.0.0.1", 0, token)
    opened = sockets.listen(address)
    desk = desk_of(served.spec, address, seconds)
    desk.served = served
    found = Running(desk, opened.getsockname()[1])
    server = Server(config_of(desk, waiting, found.log.append), desk)
    thread = threading.Thread(target=lambda: server.run(sockets=[opened]), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield found
    finally:
        server.should_exit = True
        thread.join(30)
        opened.close()
        assert not thread.is_alive()
