"""From conversations in a file to the batches that training sees: what counts, what is lost, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import JobError
from studio.core.jobspec import TrainingWork
from studio.jobs.model.scoring import IGNORED
from studio.jobs.training import batches, corpus, counts
from studio.jobs.training.corpus import Corpus

from ..chat_forms import CHATML, PLAIN, tokenizer
from ..conftest import spec_in
from ..workbench import training

TALK: dict[str, Any] = {"prompt": "", "chat": {"messages": "messages"}}
Load = Callable[..., "Loaded"]


def turns(*said: str) -> list[dict[str, str]]:
    return [dict(zip(("role", "content"), each.split(": ", 1), strict=True)) for each in said]


ROWS = [
    {"messages": turns(f"user: where is card {n}?", f"assistant: {n} is gone", "user: why?", "assistant: lost")}
    for n in range(10)
]


@dataclass(slots=True)
class Told:
    """Keeps what an event log is told."""

    messages: list[str] = field(default_factory=list)

    def write(self, phase: str, message: str = "") -> None:
        self.messages.append(message)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A corpus, its tokenizer, and what was told while it was made."""

    corpus: Corpus
    tokenizer: Any
    told: list[str] = field(default_factory=list)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load rows as a job does, with a tokenizer of a given chat template."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "generation_config.json").write_text(json.dumps({"eos_token_id": [5]}))  # <|im_end|>

    def loaded(rows: list[dict[str, Any]], template: str = CHATML, **work: Any) -> Loaded:
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        dataset = {"name": "chats", "type": "project_jsonl", "location": "rows.jsonl"}
        spec = spec_in(tmp_path, training(**{"dataset": dataset, "templates": TALK, **work}), "run")
        assert isinstance(spec.work, TrainingWork)
        made = tokenizer(template)
        heard = Told()
        found = corpus.load(spec, spec.work, made, tmp_path / "model", heard)  # type: ignore[arg-type]
        return Loaded(found, made, heard.messages)

    return loaded


def learnt(loaded: Loaded, labels: list[int]) -> str:
    return str(loaded.tokenizer.decode([label for label in labels if label != IGNORED]))


@pytest.mark.parametrize(
    ("loss", "counted"),
    [("completion", "lost<|im_end|>"), ("assistant", "{n} is gone<|im_end|>lost<|im_end|>")],
)
def test_the_loss_says_which_answers_count(load: Load, loss: str, counted: str) -> None:
    loaded = load(ROWS, loss=loss, split={"train": 0.8})
    texts = loaded.corpus
    assert (len(texts.train), texts.held_out_rows, texts.loss, texts.completion_only) == (8, 2, loss, False)
    for row in texts.train:
        number = loaded.tokenizer.decode(row["input_ids"]).partition("card ")[2][0]
        assert learnt(loaded, row["labels"]) == counted.format(n=number)


def test_the_full_text_counts_whole_and_ends_where_the_last_answer_does(load: Load) -> None:
    chat = [*ROWS[0]["messages"], *turns("user: thanks")]
    loaded = load([{"messages": chat}] * 2, loss="full", split={"train": 1.0})
    row = loaded.corpus.train[0]
    assert row["labels"] == row["input_ids"]
    assert loaded.tokenizer.decode(row["input_ids"]).endswith("assistant\nlost<|im_end|>")


def test_templates_make_turns_with_a_system_turn_before_them(load: Load) -> None:
    chat = {"messages": "", "system": "You know {n} queues"}
    templates = {"prompt": "", "input": "{text}", "completion": "{queue}", "chat": chat}
    rows = [{"text": f"lost {n}", "queue": "card", "n": n} for n in range(3)]
    loaded = load(rows, templates=templates, split={"train": 1.0})
    text = loaded.tokenizer.decode(loaded.corpus.train[0]["input_ids"])
    assert text == (
        "<|im_start|>system\nYou know 0 queues<|im_end|>\n<|im_start|>user\nlost 0<|im_end|>\n"
        "<|im_start|>assistant\ncard<|im_end|>"
    )
    assert learnt(loaded, loaded.corpus.train[0]["labels"]) == "card<|im_end|>"


def test_the_projects_template_is_in_force_and_stays_with_the_tokenizer(load: Load) -> None:
    loaded = load(ROWS, template=CHATML, templates={"prompt": "", "chat": {"messages": "messages", "template": PLAIN}})
    assert loaded.tokenizer.chat_template == PLAIN
    assert loaded.tokenizer.decode(loaded.corpus.train[0]["input_ids"]).startswith("USER: where")


def test_an_end_that_ends_nothing_is_made_good_and_said(load: Load) -> None:
    loaded = load(ROWS, template=PLAIN)
    assert all(row["input_ids"][-1] == loaded.tokenizer.eos_token_id for row in loaded.corpus.train)
    assert all(row["labels"][-1] == loaded.tokenizer.eos_token_id for row in loaded.corpus.train)
    assert any("8 of 8 last answers" in each and "</s> is added" in each for each in loaded.told)
    assert not any("is added" in each for each in load(ROWS).told)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("hello", "text in place of a list of turns"),
        (None, "there is no conversation"),
        (turns("user: a", "asistant: b"), "turn 2: the role 'asistant' is unknown"),
        (turns("user: a", "assistant:  "), "turn 2: its content is empty"),
        (turns("user: a"), "no turn is the assistant's"),
        (turns("assistant: a"), "it begins with the assistant"),
        ([{"from": "human", "value": "a"}], "'from' and 'value'"),
    ],
)
def test_a_row_without_a_conversation_is_named(load: Load, value: Any, fault: str) -> None:
    column = [row["messages"] for row in ROWS]
    held = [value] * 2 if value is None or isinstance(value, str) else [column[0], value, column[1]]
    rows = [{"messages": each} for each in held] if not isinstance(value, str) else [{"messages": value}]
    with pytest.raises(JobError, match=f"dataset chats, split train, row [12] is no conversation: .*{fault}") as caught:
        load(rows)
    assert caught.value.hint


def test_a_missing_column_and_a_blank_turn_of_a_template_are_named(load: Load) -> None:
    with pytest.raises(JobError, match="no column 'mesages'") as caught:
        load(ROWS, templates={"prompt": "", "chat": {"messages": "mesages"}})
    assert "did you mean 'messages'" in caught.value.hint
    rows = [{"text": "a", "queue": "b"}, {"text": "a", "queue": " "}]
    templates = {"prompt": "", "input": "{text}", "completion": "{queue}", "chat": {}}
    with pytest.raises(JobError, match="row 2 is no conversation: turn 2: its content is empty"):
        load(rows, templates=templates, split={"train": 1.0})


@cache
def tiny() -> Any:
    """A model that nobody trains: trl wants one to prepare rows."""
    from transformers import LlamaConfig, LlamaForCausalLM

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=400, eos_token_id=2, pad_token_id=3, bos_token_id=1, **small))


def trainer(loaded: Loaded, folder: Path, **arguments: Any) -> Any:
    from trl import SFTConfig, SFTTrainer

    values = {"per_device_train_batch_size": 2, "use_cpu": True, "bf16": False, "report_to": "none", **arguments}
    config = SFTConfig(output_dir=str(folder), completion_only_loss=False, **values)
    return SFTTrainer(model=tiny(), args=config, train_dataset=loaded.corpus.train, processing_class=loaded.tokenizer)


def settled(loaded: Loaded, folder: Path, **arguments: Any) -> tuple[counts.Counts, str, Any]:
    made, heard = trainer(loaded, folder, **arguments), Told()
    return batches.settle(made, loaded.corpus, heard), "\n".join(heard.messages), made  # type: ignore[arg-type]


def test_batches_are_looked_at_and_the_share_that_counts_is_told(load: Load, tmp_path: Path) -> None:
    loaded = load(ROWS, loss="assistant", split={"train": 1.0})
    counted, heard, _ = settled(loaded, tmp_path)
    assert (counted.rows, counted.made, counted.dropped, counted.mute, counted.cut) == (10, 10, 0, 0, 0)
    assert f"{counted.tokens} tokens, {counted.share:.1%} of them count" in heard
    assert f"5 batches looked at: {counted.share:.1%} of their tokens count" in heard
    assert "10 of 10 texts teach the model to stop" in heard


def test_looking_at_batches_changes_nothing_of_what_comes(load: Load, tmp_path: Path) -> None:
    import torch

    loaded = load(ROWS, split={"train": 1.0})
    made = trainer(loaded, tmp_path)
    torch.manual_seed(7)
    plain = [batch["input_ids"].tolist() for batch in made.get_train_dataloader()]
    torch.manual_seed(7)
    batches.settle(made, loaded.corpus, Told())  # type: ignore[arg-type]
    assert [batch["input_ids"].tolist() for batch in made.get_train_dataloader()] == plain


@pytest.mark.parametrize("loss", ["completion", "assistant", "full"])
def test_packing_keeps_every_row_and_its_labels(load: Load, tmp_path: Path, loss: str) -> None:
    loaded = load(ROWS, loss=loss, split={"train": 1.0})
    apart, _, _ = settled(loaded, tmp_path)
    packed, heard, made = settled(loaded, tmp_path, packing=True, max_length=150)
    assert (packed.tokens, packed.unmasked, packed.dropped, packed.cut) == (apart.tokens, apart.unmasked, 0, 0)
    assert packed.made < 10 and f"packing (bfd) made {packed.made} rows of 10" in heard
    assert "10 of 10 texts teach the model to stop" in heard
    texts = [learnt(loaded, row["labels"]) for row in made.train_dataset]
    assert sorted("".join(texts)) == sorted("".join(learnt(loaded, row["labels"]) for row in loaded.corpus.train))


def test_packed_rows_do_not_see_each_other(load: Load, tmp_path: Path) -> None:
    """On CPU too, where no kernel knows of borders: positions that begin anew keep texts apart."""
    import torch

    loaded = load(ROWS, loss="full", split={"train": 1.0})
    made = trainer(loaded, tmp_path, packing=True, max_length=150, per_device_train_batch_size=1)
    batch = next(iter(made.get_train_dataloader()))
    length = int((batch["position_ids"][0] == 0).nonzero()[1])  # of the first text
    model = tiny().eval()
    with torch.inference_mode():
        together = model(**{name: batch[name] for name in ("input_ids", "position_ids")}, use_cache=False).logits[0]
        second = int(batch["position_ids"][0][length:].argmin()) + length
        end = next(iter((batch["position_ids"][0][second + 1 :] == 0).nonzero().flatten().tolist()), None)
        until = second + 1 + end if end is not None else None
        alone = model(input_ids=batch["input_ids"][:, second:until]).logits[0]
    torch.testing.assert_close(together[second:until], alone, rtol=1e-3, atol=1e-4)


def test_rows_whose_answers_do_not_fit_are_counted_and_teach_nothing(load: Load, tmp_path: Path) -> None:
    long = {"messages": turns("user: " + "zq" * 100, "assistant: no")}
    loaded = load([*ROWS, long], split={"train": 1.0})
    limits = {"max_length": 150, "per_device_train_batch_size": 1}
    counted, heard, _ = settled(loaded, tmp_path, **limits)
    assert (counted.dropped, counted.cut) == (1, 0) and "1 rows dropped" in heard
    packed, heard, made = settled(loaded, tmp_path, packing=True, **limits)
    assert (packed.mute, packed.cut) == (1, 1) and "1 rows teach nothing" in heard
    assert len(made.train_dataset) == packed.made - 1  # it filled a row of its own
    split, heard, _ = settled(loaded, tmp_path, packing=True, packing_strategy="bfd_split", **limits)
    assert (split.cut, split.tokens) == (len(loaded.corpus.train[-1]["input_ids"]) // 150, sum(
        len(row["input_ids"]) for row in loaded.corpus.train
    ))  # fmt: skip
    assert "go on in another row" in heard
    _, heard, _ = settled(loaded, tmp_path, packing=True, packing_strategy="wrapped", **limits)
    assert "texts are cut wherever a row is full" in heard


def test_nothing_that_fits_is_an_error(load: Load, tmp_path: Path) -> None:
    loaded = load(ROWS, split={"train": 1.0})
    for packing in (False, True):
        with pytest.raises(JobError, match="none of the 10 rows"):
            settled(loaded, tmp_path, packing=packing, max_length=8)


def test_a_batch_that_teaches_nothing_is_an_error_before_the_first_step() -> None:
    import torch

    ids, mask = torch.tensor([[5, 6, 7], [5, 6, 3]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    good = {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([[-100, 6, 7], [-100, -100, -100]])}
    seen = batches.look(iter([good]), frozenset({7}))
    assert (seen.counted, seen.tokens, seen.places, seen.texts, seen.stopping, seen.least) == (2, 5, 6, 2, 1, 2)
    first_only = {**good, "labels": torch.tensor([[5, -100, -100], [5, -100, -100]])}
    with pytest.raises(JobError, match="no token of batch 2 counts for the loss: its 2 texts"):
        batches.look(iter([good, first_only]), frozenset({7}))
    padding = {**good, "labels": torch.tensor([[-100, 6, 7], [-100, 6, 3]])}
    with pytest.raises(JobError, match="batch 1 would learn its padding"):
        batches.look(iter([padding]), frozenset({7}))


def test_padding_is_never_eos_and_eos_is_never_masked_by_it(load: Load, tmp_path: Path) -> None:
    from studio.jobs.model import tokenizers

    loaded = load(ROWS, template=PLAIN, split={"train": 1.0})
    loaded.tokenizer.pad_token = loaded.tokenizer.eos_token
    tokenizers.configure_padding(loaded.tokenizer)
    assert loaded.tokenizer.pad_token_id != loaded.tokenizer.eos_token_id
    _, heard, made = settled(loaded, tmp_path)
    assert "10 of 10 texts teach the model to stop" in heard
    for batch in made.get_train_dataloader():
        last = batch["attention_mask"].sum(dim=1) - 1
        ends = batch["labels"].gather(1, last[:, None]).flatten().tolist()
        assert ends == [loaded.tokenizer.eos_token_id] * len(ends)
