"""``studio try``: prompts of every origin, and what it says where it cannot; the answers are tested in tests/jobs."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from studio.core.references import Ref
from studio.core.servingspec import Question
from studio.load.project import load_project
from studio.workflow import places, trying
from studio.workflow.serving import Shelf
from studio.workflow.trying import Wanted
from tests import projects

from .front_door import ask
from .test_serve import EXPORT, EXPORTED, JOB, TRAINED, put, under_way


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A project in which a job and an export are recorded as done."""
    root = projects.write(tmp_path / "desk", projects.data_resources())
    projects.write_adapter(root / "adapters" / "router")
    assert ask(root, "apply", "--yes").code == 0
    put(root, JOB, TRAINED)
    put(root, EXPORT, EXPORTED)
    return root


def shelf(root: Path) -> Shelf:
    loaded = load_project(root)
    return Shelf(loaded, places.open_state(loaded), verb="try")


def questions(root: Path, ref: Ref = JOB, **wanted: Any) -> list[Question]:
    return trying.questions(shelf(root), ref, Wanted(**wanted))


def test_a_row_is_asked_as_it_was_in_training_under_every_name(desk: Path) -> None:
    row = Question("### my card number 2 is lost\n>", "row 3 of Dataset/tickets", " loan")
    for ref in (JOB, EXPORT, Ref("Adapter", "router")):
        assert questions(desk, ref, rows=(3,)) == [row]


def test_prompts_come_in_the_order_of_the_help(desk: Path) -> None:
    lines = desk / "prompts.txt"
    lines.write_text("\ufeffone\n\n  two\r\n")
    rows = desk / "rows.jsonl"
    rows.write_text('{"text": "a", "queue": "b"}\n{"text": "c"}\n')
    asked = questions(desk, prompts=("{as} it is",), file=lines, rows=(2, 1), fields={"text": "mine"})
    assert [each.prompt for each in asked] == [
        "{as} it is", "one", "  two",
        "### my card number 1 is lost\n>", "### my card number 0 is lost\n>", "### mine\n>",
    ]  # fmt: skip
    assert questions(desk, file=rows) == [
        Question("### a\n>", f"row 1 of {rows}", " b"),
        Question("### c\n>", f"row 2 of {rows}", None),
    ]


def test_an_adapter_is_asked_beside_its_base_and_an_export_beside_a_model_of_its_own(desk: Path) -> None:
    job = trying.trial(shelf(desk), JOB, 2, "")
    assert (job.made, job.base, job.beside) == ("router", "tiny", None)
    export = trying.trial(shelf(desk), EXPORT, 2, "")
    assert (export.made, export.base) == ("router 7", "tiny")
    assert export.beside is not None and export.beside.model is not None and export.beside.version is None


@pytest.mark.parametrize(
    ("arguments", "words", "hint"),
    [
        (["train"], "there is no prompt", "write it after the name; or --row N"),
        (["train", ""], "prompt 1 is empty", "write what"),
        (["train", "one", " \n"], "prompt 2 is empty", ""),
        (["train", "\udcff"], "prompt 1 is not text", "UTF-8"),
        (["what is my queue?", "x"], "'what is my queue?' names no resource", "studio try NAME PROMPT"),
        (["", "x"], "'' names no resource", ""),
        (["trian", "x"], "nothing recorded is called 'trian'", "train"),
        (["route", "x"], "Prompt/route answers no prompts", "Adapter, FineTuningJob, ModelExport"),
        (["tiny", "x"], "Model/tiny is a base model", "'studio serve Model/tiny' answers with the base model alone"),
        (["train", "--row", "41"], "--row 41: Dataset/tickets has 40 rows", "counted from 1"),
        (["train", "--row", "0"], "--row", ""),
        (["train", "--row", "one"], "--row", ""),
        (["train", "--field", "txet=a"], "--field txet: Prompt/route has no such field", "did you mean 'text'?"),
        (["train", "--field", "queue=a"], "Prompt/route also needs text", "add --field text=VALUE"),
        (["train", "--field", "text"], "--field 'text' has no value", "write --field NAME=VALUE"),
        (["train", "--field", "=a"], "--field '=a' has no value", ""),
        (["train", "--field", "text=a", "--field", "text=b"], "--field text is given twice", ""),
        (["train", "-f", "none.txt"], "-f none.txt does not exist", "a prompt a line"),
        (["train", "-f", "data"], "-f data is a folder", ""),
        (["train", "-f", "blank.txt"], "blank.txt holds no prompt", ""),
        (["train", "-f", "latin.txt"], "latin.txt is not UTF-8 (byte 1)", ""),
        (["train", "-f", "other.jsonl"], "row 1 of other.jsonl has no column 'text'", "did you mean 'test'?"),
        (["train", "-f", "torn.jsonl"], "torn.jsonl:1", ""),
        (["train", "-", "-"], "standard input can be read only once", "-f FILE"),
        (["train", "x", "--temperature", "-1"], "--temperature", ""),
        (["train", "x", "--max-new-tokens", "0"], "--max-new-tokens", ""),
        (["train", "x", "--generation", "lora"], "--generation 'lora' is not a Config", ""),
        (["train", "x", "--env", "prod"], "prod", ""),
        ([], "Missing argument", ""),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_a_usage_error(desk: Path, arguments: list[str], words: str, hint: str) -> None:
    (desk / "blank.txt").write_text(" \n\n")
    (desk / "latin.txt").write_bytes(b"a\xe4")
    (desk / "other.jsonl").write_text('{"test": "a"}\n')
    (desk / "torn.jsonl").write_text('{"text": \n')
    answer = ask(desk, "try", *arguments)
    assert answer.code == 64 and answer.out == ""
    assert words in answer.err and hint in answer.err, answer.err


@pytest.mark.parametrize(
    ("output", "changes", "words", "hint"),
    [
        (None, {}, "FineTuningJob/train has not run yet: there is nothing to try", "'studio apply' runs it"),
        (None, {"error": "no memory", "status": "failed"}, "train failed: no memory", "retries"),
        ({**TRAINED, "adapter": "gone"}, {}, "is not on this machine: gone is not there", "where it was trained"),
    ],
)  # fmt: skip
def test_a_job_that_cannot_be_tried_says_why_and_what_to_do(
    desk: Path, output: dict[str, Any] | None, changes: dict[str, Any], words: str, hint: str
) -> None:
    put(desk, JOB, output, **changes)
    answer = ask(desk, "try", "train", "x")
    assert answer.code == 1 and words in answer.err and hint in answer.err, answer.err


def test_a_job_under_way_has_nothing_to_try_yet(desk: Path) -> None:
    put(desk, JOB)
    under_way(desk)
    answer = ask(desk, "try", "train", "x")
    assert answer.code == 1 and "still under way: there is nothing to try yet" in answer.err


def test_an_endpoint_is_not_asked_and_its_adapter_is_named(desk: Path) -> None:
    put(desk, EXPORT, {"endpoint": "https://w.example/model"})
    answer = ask(desk, "try", "release", "x")
    assert answer.code == 1 and "here: 'studio try Adapter/router'" in answer.err


def test_an_export_without_an_adapter_has_nothing_beside_it(desk: Path) -> None:
    put(desk, EXPORT, EXPORTED, spec={"base_model": "tiny", "weights": "reference"})
    answer = ask(desk, "try", "release", "x")
    assert answer.code == 1 and "ModelExport/release stores its base model as it is" in answer.err


def test_a_prompt_that_has_changed_since_is_not_filled(desk: Path) -> None:
    put(desk, JOB, TRAINED, inputs={"Prompt/route": "other"})
    answer = ask(desk, "try", "train", "--row", "1")
    assert answer.code == 64 and "Prompt/route has changed since FineTuningJob/train was trained with it" in answer.err


def test_rows_that_are_not_in_the_project_are_asked_for_by_hand(desk: Path) -> None:
    (desk / "data" / "tickets.csv").unlink()
    answer = ask(desk, "try", "train", "--row", "1")
    assert answer.code == 64 and "the rows of Dataset/tickets are not in the project" in answer.err


def test_conversations_are_asked_turn_by_turn(desk: Path) -> None:
    prompt = Ref("Prompt", "route")
    chat = {"dataset": "tickets", "chat": True, "system": "Be short.", "input_template": "{text}"}
    facts = {"input_template": "{text}", "completion_template": "{queue}"}
    put(desk, prompt, spec=chat, facts=facts)
    (row,) = questions(desk, rows=(1,))
    assert [turn.message() for turn in row.turns] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "my card number 0 is lost"},
    ]
    assert row.expected == "loan" and row.prompt == "system: Be short.\nuser: my card number 0 is lost"
    (plain,) = questions(desk, prompts=("Hello",))
    assert [turn.role for turn in plain.turns] == ["system", "user"] and plain.turns[1].content == "Hello"

    put(desk, prompt, spec={"dataset": "tickets", "messages": "chat"}, facts={})
    held = desk / "chats.jsonl"
    turns = [{"role": role, "content": role[0]} for role in ("user", "assistant", "user", "assistant")]
    held.write_text(json.dumps({"chat": turns}) + "\n")
    (asked,) = questions(desk, file=held)
    assert [turn.role for turn in asked.turns] == ["user", "assistant", "user"] and asked.expected == "a"
    for arguments, words in (
        (["--field", "text=a"], "Prompt/route takes conversations, not fields"),
        (["--row", "1"], "row 1 of Dataset/tickets has no column 'chat'"),
    ):
        answer = ask(desk, "try", "train", *arguments)
        assert answer.code == 64 and words in answer.err


def test_an_adapter_brought_along_is_asked_in_full(desk: Path) -> None:
    own = Ref("Adapter", "own")
    put(desk, own, spec={"type": "project", "model": "tiny", "location": "adapters/router"})
    assert questions(desk, own, prompts=("x",)) == [Question("x")]
    answer = ask(desk, "try", "own", "--row", "1")
    assert answer.code == 64 and "how Adapter/own was asked in training is not known here" in answer.err


def test_what_is_wrong_is_said_before_any_library_is_loaded(desk: Path) -> None:
    code = (
        "import sys; from studio.cli.main import studio\n"
        "try: studio.main(['try', 'train'], standalone_mode=False)\n"
        "except Exception as error: print(type(error).__name__, sorted({'torch', 'mlflow'} & sys.modules.keys()))"
    )
    import subprocess

    from .front_door import environment

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=desk, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "UsageError []\n"


@pytest.fixture
def living(tmp_path: Path) -> Path:
    """The same with a model and an adapter that answer."""
    from tests.jobs.serving.serving_bench import write_adapter
    from tests.jobs.workbench import build_model

    root = projects.write(tmp_path / "desk", projects.data_resources())
    build_model(root / "models" / "tiny")
    write_adapter(root / "models" / "tiny", root / "adapters" / "router")
    assert ask(root, "apply", "--yes").code == 0
    put(root, JOB, TRAINED)
    return root


def test_both_answers_are_printed_below_their_question(living: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe\n")))
    answer = ask(living, "try", "train", "-", "--row", "3", "--max-new-tokens", "4")
    assert answer.code == 0, answer.err
    assert answer.err == "FineTuningJob/train: loading\n"
    first, second = answer.out.split("\n\n")
    assert first.startswith("1 of 2\n  from a pipe\ntiny\n  ") and "\nrouter\n  " in first
    assert second.startswith(
        "2 of 2, row 3 of Dataset/tickets\n  ### my card number 2 is lost\n  >\nexpected\n   loan\ntiny\n  "
    )
    assert answer.out.count(" s, 4 tokens, cut there\n") == 4

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe\n")))
    answer = ask(living, "try", "train", "-", "--row", "3", "--max-new-tokens", "4", "--json")
    told = json.loads(answer.out)
    assert (told["resource"], told["base"], told["made"]) == ("FineTuningJob/train", "tiny", "router")
    assert [each["prompt"] for each in told["answers"]] == ["from a pipe", "### my card number 2 is lost\n>"]
    assert told["answers"][0]["made"]["tokens"] == 4 and told["answers"][1]["expected"] == " loan"
    assert told["answers"][0]["base"]["text"] != told["answers"][0]["made"]["text"]


def test_a_question_that_could_not_be_answered_ends_it_with_one(living: Path) -> None:
    answer = ask(living, "try", "train", "card " * 3000)
    assert answer.code == 1 and answer.out.count("the model has room for") == 2


CHATTER = """
import importlib, logging, warnings
importlib.import_module("studio.cli.try")._hush()
import bitsandbytes
from transformers.utils import logging as own
warnings.warn("of Python")
own.get_logger("transformers").warning("of transformers")
logging.getLogger("bitsandbytes.nn").warning("of bitsandbytes")
own.get_logger("transformers").error("an error")
"""


@pytest.mark.slow
def test_libraries_keep_their_warnings_and_tell_their_errors() -> None:
    done = subprocess.run([sys.executable, "-c", CHATTER], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["[transformers] an error"]
