"""Promises that only a real process can keep: nothing written, no network, no heavy import, quiet ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import projects

from .front_door import environment, run

ML = {
    "torch", "transformers", "trl", "peft", "datasets", "mlflow", "bitsandbytes", "accelerate", "safetensors", "pandas",
    "numpy",
}  # fmt: skip
ENGINES = {"sqlalchemy", "networkx", "pydantic", "alembic", "rich", "ruamel", "ryaml", "yaml", "huggingface_hub"}

MODULES_OF = """
import sys
from studio.cli import errors
from studio.cli.main import studio
code = errors.run(lambda: studio.main(sys.argv[1:], standalone_mode=False))
print("\\n", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""

WITHOUT_NETWORK = """
import socket, sys

def refuse(*arguments, **keywords):
    print("NETWORK", arguments, file=sys.stderr)
    raise OSError("no network here")

for name in ("connect", "connect_ex", "sendto", "bind"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.create_connection = refuse
from studio.cli import errors
from studio.cli.main import studio
sys.exit(errors.run(lambda: studio.main(sys.argv[1:], standalone_mode=False)))
"""


def python(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("arguments", [["validate"], ["plan"]], ids=" ".join)
def test_planning_imports_no_ml_library(desk: Path, arguments: list[str]) -> None:
    done = python(MODULES_OF, desk, *arguments)
    assert done.returncode == 0 and ML & set(done.stderr.split()) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["plan", "--help"]], ids=" ".join)
def test_help_and_version_import_no_ml_library_and_no_engine(tmp_path: Path, arguments: list[str]) -> None:
    done = python(MODULES_OF, tmp_path, *arguments)
    assert done.returncode == 0 and (ML | ENGINES) & set(done.stderr.split()) == set()


@pytest.mark.parametrize("arguments", [["validate"], ["plan"], ["status"]], ids=" ".join)
def test_reading_commands_open_no_socket(desk: Path, arguments: list[str]) -> None:
    for name in ("hub-data", "hub-model"):
        kind, field = ("Dataset", "huggingface_name") if name == "hub-data" else ("Model", "huggingface_model_name")
        spec = {"type": "huggingface", field: "owner/name", "revision": "0" * 40}
        (desk / "manifests" / f"{name}.yaml").write_text(projects.stream([projects.manifest(kind, name, spec)]))
    done = python(WITHOUT_NETWORK, desk, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NETWORK" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("state", ["fresh", "recorded"])
def test_reading_commands_write_nothing(data_only: Path, state: str) -> None:
    if state == "recorded":
        assert run(data_only, "apply", "--yes").code == 0
    before = projects.snapshot(data_only)
    assert (".studio/state.db" in before) is (state == "recorded")
    for arguments in (["validate"], ["plan"], ["plan", "--json"], ["status"]):
        assert run(data_only, *arguments).code == 0
        assert projects.snapshot(data_only) == before, arguments


def test_the_same_plan_is_printed_in_every_process(desk: Path) -> None:
    one, other = (run(desk, "plan", "--json", PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert one == other and one.code == 0


def test_output_holds_no_colour_codes_where_there_is_no_terminal(desk: Path) -> None:
    (desk / "data" / "tickets.csv").unlink()
    answer = run(desk, "validate")
    assert answer.code == 1 and "\x1b" not in answer.out + answer.err


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    documents = [projects.manifest("Dataset", f"d-{n:04}", {"type": "nonsense"}) for n in range(400)]
    root = projects.write(tmp_path, documents)
    writer = subprocess.Popen(
        [sys.executable, "-m", "studio", "validate"],
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert writer.stdout is not None and writer.stderr is not None
    assert b"error" in writer.stdout.readline()
    writer.stdout.close()
    assert writer.stderr.read() == b""
    assert writer.wait(timeout=60) in (0, 1)


WAITING = """
import sys, time
from studio.cli import errors

def wait():
    print("here", flush=True)
    for _ in range(1000):  # short naps: a signal just before a long one would go unnoticed until its end
        time.sleep(0.05)

sys.exit(errors.run(wait))
"""


def test_an_interrupted_command_ends_with_130_and_one_word() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs inherit "ignore"
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130 and complaint.strip() == "interrupted"


def test_a_command_works_from_any_folder_of_its_project(data_only: Path) -> None:
    assert run(data_only / "manifests", "plan").out == run(data_only, "plan").out
