"""Tokens are planted in every input; no output, log, database or job file may hold one."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from studio.core.secrets import secret_in
from tests.cli.front_door import Answer, ask, run
from tests.projects import ROOT

QUICKSTART = ROOT / "examples" / "quickstart"
COMMANDS = [
    ["validate"], ["validate", "--json"], ["validate", "--format", "sarif"], ["validate", "--format", "github"],
    ["validate", "--format", "junit"], ["plan"], ["plan", "--json"], ["plan", "--markdown"], ["apply", "--yes"],
    ["status"], ["status", "--json"], ["fmt", "--diff"], ["graph"], ["graph", "--format", "mermaid"],
    ["graph", "--format", "dot"], ["preview", "Prompt/route-ticket"], ["preview", "Prompt/route-ticket", "--json"],
    ["show", "FineTuningJob/router"], ["report"],
    ["report", "--html", "--out", "-"], ["report", "FineTuningJob/router", "--html"], ["doctor"], ["doctor", "--json"],
]  # fmt: skip


def token(place: str) -> str:
    """A token of its own for each place, so that a leak says where it came from."""
    return "hf" + "_" + hashlib.sha256(place.encode()).hexdigest()[:34]


def planted(value: Any, path: str, places: dict[str, str]) -> Any:
    """The same document with a token at the end of every text, and in every mapping one more key that is one."""
    match value:
        case dict():
            found = {key: planted(held, f"{path}.{key}", places) for key, held in value.items()}
            places[token(f"{path}.key")] = f"{path}.key"
            return {**found, token(f"{path}.key"): 1}
        case list():
            return [planted(held, f"{path}[{index}]", places) for index, held in enumerate(value)]
        case str() if path.rpartition(".")[2] not in ("kind", "apiVersion"):
            places[token(path)] = path
            return f"{value} {token(path)}"
        case _:
            return value


def leaks(texts: Iterator[tuple[str, bytes]], places: dict[str, str]) -> list[str]:
    """Where a planted token came out, and from which place."""
    return [f"{place} in {name}" for name, text in texts for mark, place in places.items() if mark.encode() in text]


def files(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(root)), path.read_bytes()


def answers(root: Path, commands: list[list[str]]) -> Iterator[tuple[str, bytes]]:
    for command in commands:
        answer: Answer = ask(root, *command)
        yield " ".join(command), (answer.out + answer.err).encode()


def documents(root: Path) -> Iterator[tuple[Path, list[Any]]]:
    yaml = YAML(typ="safe", pure=True)
    for path in [root / "studio.yaml", *sorted((root / "manifests").rglob("*.yaml"))]:
        yield path, list(yaml.load_all(path.read_text("utf-8")))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    shutil.copytree(QUICKSTART, folder, ignore=shutil.ignore_patterns(".studio", "generate"))
    return folder


@pytest.mark.slow
def test_tokens_in_every_text_of_every_manifest_come_out_of_no_command(root: Path) -> None:
    places: dict[str, str] = {}
    for path, found in list(documents(root)):
        spoiled = [planted(document, f"{path.name}[{n}]", places) for n, document in enumerate(found)]
        path.write_text("\n---\n".join(json.dumps(document) for document in spoiled), "utf-8")
    assert len(places) > 100 and ask(root, "validate").code == 1
    assert leaks(answers(root, COMMANDS), places) == []
    assert leaks(files(root / ".studio"), places) == [] and leaks(files(root.parent / "cache"), places) == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_token_in_a_comment_or_in_broken_text_comes_out_of_no_command(root: Path, command: list[str]) -> None:
    places = {token("comment"): "comment", token("broken"): "broken"}
    (root / "manifests" / "extra.yaml").write_text(f"# {token('comment')}\nkind: [{token('broken')}\n", "utf-8")
    assert leaks(answers(root, [command]), places) == []


@pytest.mark.slow
def test_tokens_in_names_of_files_and_on_the_command_line_come_out_of_no_command(root: Path) -> None:
    places = {token(name): name for name in ("file", "argument", "option")}
    (root / "manifests" / f"{token('file')}.yaml").write_text("kind: Nothing\n", "utf-8")
    said = [[*command] for command in COMMANDS] + [
        ["show", token("argument")], ["preview", token("argument")], ["explain", token("argument")],
        ["apply", f"{token('argument')}.json"], ["validate", "--env", token("option")],
        ["validate", "--format", token("option")], ["logs", token("argument")], [token("argument")],
    ]  # fmt: skip
    assert leaks(answers(root, said), places) == []


ENVIRONMENT = {
    "HUGGINGFACE_ACCESS_TOKEN": "a token for the hub",
    "HF_TOKEN": "the library's own name for it",
    "CDSW_APIV2_KEY": "a key for the workspace",
    "MLFLOW_TRACKING_PASSWORD": "a password for the tracking server",
    "AWS_SECRET_ACCESS_KEY": "a key that belongs to nobody here",
}


@pytest.mark.slow
def test_tokens_in_data_models_and_environment_reach_no_file_of_a_run(root: Path) -> None:
    places = {token(name): name for name in ("csv", "config.json", *ENVIRONMENT)}
    data = root / "data" / "tickets.csv"
    rows = list(csv.reader(data.read_text("utf-8").splitlines()))
    with data.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([rows[0], *([f"{text} {token('csv')}", queue] for text, queue in rows[1:81])])
    shape = root / "models" / "tiny-llama" / "config.json"
    shape.write_text(json.dumps({**json.loads(shape.read_text()), "note": token("config.json")}), "utf-8")
    manifest = root / "manifests" / "router.yaml"
    text = re.sub(r"num_epochs: \d+", "num_epochs: 1", manifest.read_text())
    manifest.write_text(text.replace("min: 0.6, min_gain_over_baseline: 0.3", "min: 0"))
    done = run(root, "apply", **{name: token(name) for name in ENVIRONMENT})
    assert done.code == 0, done.out + done.err
    outputs = [("apply", (done.out + done.err).encode()), *answers(root, COMMANDS)]
    assert leaks(iter(outputs), places) == []
    assert leaks(files(root / ".studio"), places) == []


def test_what_is_planted_is_what_the_rules_call_a_secret() -> None:
    assert secret_in(token("anything")) == "a Hugging Face token"
