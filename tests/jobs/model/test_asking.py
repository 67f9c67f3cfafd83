"""What a model is asked with, and what is left of a text that it has no room for."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

from studio.core.jobspec import ModelInput
from studio.jobs.events import EventLog
from studio.jobs.model import generation, models, tokenizers
from studio.jobs.model.devices import Device
from studio.jobs.model.models import Base
from studio.jobs.model.scoring import Scored

from ..workbench import build_model


def answers(folder: Path) -> tuple[str, ...]:
    source = ModelInput(name="tiny", type="project", location=str(folder))
    with EventLog(folder / "events.jsonl") as events:
        model = models.load(Base(source, folder), Device("cpu", torch.float32, 1), events)
    tokenizer = tokenizers.load(folder, source)
    tokenizers.configure_padding(tokenizer)
    config = generation.settings({"max_new_tokens": 12}, tokenizer, model.generation_config)
    return generation.generate(model, tokenizer, ["lost my card", "thanks"], config, lambda rows: None).texts


def test_answers_do_not_depend_on_what_else_a_models_own_settings_say(tmp_path: Path) -> None:
    folder = build_model(tmp_path / "tiny")
    plain = answers(folder)
    settings = folder / "generation_config.json"
    own = json.loads(settings.read_text())
    settings.write_text(json.dumps({**own, "repetition_penalty": 9.0, "bad_words_ids": [[5]], "num_beams": 3}))
    assert answers(folder) == plain and all(plain)


def test_a_models_own_end_tokens_still_end_an_answer(tmp_path: Path) -> None:
    folder = build_model(tmp_path / "tiny")
    settings = folder / "generation_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "eos_token_id": list(range(300))}))
    assert all(len(text) <= 1 for text in answers(folder))


@given(st.lists(st.integers(), max_size=30), st.one_of(st.none(), st.integers(1, 40)))
def test_the_end_of_a_text_is_the_last_to_go(ids: list[int], places: int | None) -> None:
    labels = [-number for number in ids]
    kept = Scored(ids, labels).end(places)
    assert len(kept.ids) == min(len(ids), places or len(ids))
    assert ids[len(ids) - len(kept.ids) :] == kept.ids and kept.labels == labels[len(ids) - len(kept.ids) :]
