"""Conversations from training over evaluation to the exported model: asked as they were taught."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from studio.core.jobresult import EvaluationOutput, ExportOutput, TrainingOutput

from ..chat_forms import PLAIN
from ..conftest import furnish, spec_in
from ..workbench import LORA, MakeSpec, evaluation, export, failure, messages, perform, training

pytestmark = pytest.mark.slow
CHATS = {"name": "chats", "type": "project_jsonl", "location": "data/chats.jsonl"}
CHAT: dict[str, Any] = {"messages": "messages", "template": PLAIN}


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tickets: list[dict[str, str]]) -> Path:
    """A run folder with an adapter that learned 25 conversations by heart, packed, with a template of the project."""
    home = furnish(tmp_path_factory.mktemp("talker"), tiny_model, tickets)
    write_chats(home, tickets)
    work = training(
        dataset=CHATS,
        templates={"prompt": "", "chat": CHAT},
        loss="assistant",
        split={"fraction": 1.0, "train": 1.0},
        epochs=25,
        learning_rate=2e-2,
        lora={**LORA, "r": 16, "lora_alpha": 32, "target_modules": "all-linear"},
        training_arguments={
            "per_device_train_batch_size": 1,
            "logging_steps": 20,
            "save_strategy": "no",
            "packing": True,
            "max_length": 160,
        },
    )
    spec = spec_in(home, work, "talker")
    result = perform(spec)
    assert isinstance(result.output, TrainingOutput), result.failure
    assert result.output.metrics["final_loss"] < 0.3
    assert 0 < result.output.metrics["unmasked_token_share"] < 0.6
    heard = messages(spec)
    assert "packing (bfd) made" in heard and "of 25" in heard
    assert "25 of 25 last answers" in heard and "texts teach the model to stop" in heard
    return spec.folder


def write_chats(home: Path, tickets: list[dict[str, str]]) -> None:
    rows = [[("user", row["text"]), ("assistant", row["queue"])] for row in tickets]
    lines = [json.dumps({"messages": [{"role": role, "content": said} for role, said in row]}) for row in rows]
    (home / "data" / "chats.jsonl").write_text("\n".join(lines))


@pytest.fixture
def taught(project: Path, talker: Path, tickets: list[dict[str, str]]) -> str:
    shutil.copytree(talker / "adapter", project / "adapters" / "talker")
    write_chats(project, tickets)
    return "adapters/talker"


def test_an_adapter_is_asked_with_the_template_it_was_taught_with(
    make_spec: MakeSpec, taught: str, talker: Path
) -> None:
    assert (talker / "adapter" / "chat_template.jinja").read_text() == PLAIN
    own = {"prompt": "", "chat": {"messages": "messages"}}
    work = evaluation(taught, dataset=CHATS, templates=own, metrics=["exact_match", "perplexity"])
    work["combinations"] = work["combinations"][1:]
    spec = make_spec(work)
    result = perform(spec)
    assert isinstance(result.output, EvaluationOutput), result.failure
    metrics = result.output.combinations[0].metrics
    assert metrics["exact_match"] >= 0.8 and metrics["perplexity"] < 2
    predictions = spec.path(result.output.combinations[0].predictions).read_text()
    assert "user: lost my card" in predictions and "ASSISTANT" not in predictions.split("\n")[1]
    base = evaluation(dataset=CHATS, templates=own)
    assert "tiny: its tokenizer has no chat template" in failure(make_spec(base, "base"))


def test_an_exported_model_keeps_the_template(make_spec: MakeSpec, taught: str) -> None:
    spec = make_spec(export(taught, inference_task="llm/v1/chat", input_example="thanks for card"))
    result = perform(spec)
    assert isinstance(result.output, ExportOutput), result.failure
    assert (spec.folder / "model" / "chat_template.jinja").read_text() == PLAIN


def test_a_held_out_loss_is_taken_on_what_counts(make_spec: MakeSpec, project: Path, tickets: list[Any]) -> None:
    write_chats(project, tickets)
    work = training(dataset=CHATS, templates={"prompt": "", "chat": CHAT}, loss="completion")
    spec = make_spec(work)
    result = perform(spec)
    assert isinstance(result.output, TrainingOutput), result.failure
    assert (result.output.train_rows, result.output.held_out_rows) == (20, 5)
    assert result.output.metrics["eval_loss"] < 9
    assert "20 rows to train on, 5 held out" in messages(spec)
