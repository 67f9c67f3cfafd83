"""What is counted before training is what training sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from studio.core.prompting import Templates
from studio.core.schedule import schedule
from studio.core.templates import parse
from studio.load import lengths, samples, token_counts
from studio.load.lengths import Lengths, Texts
from studio.load.token_counts import Tokenizer
from studio.resources.model import ModelSpec

from .. import workbench
from ..workbench import MakeSpec, training

TEXTS = ("lost my card", " leading", "größe 名前 😀", "tabs\tand\nlines  ", "<s> in the text</s>", "ﷺ ①", "", "x" * 500)


def of_folder(folder: Path) -> Tokenizer:
    found = token_counts.in_project(ModelSpec(type="project", location="."), folder)
    assert isinstance(found, Tokenizer)
    return found


def byte_level(folder: Path) -> None:
    workbench.build_tokenizer().save_pretrained(str(folder))


def with_begin_token(folder: Path) -> None:
    from tokenizers import processors

    made = workbench.build_tokenizer()
    made._tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    made.save_pretrained(str(folder))


def word_pieces(folder: Path) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

    backend = Backend(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    backend.train_from_iterator(workbench.TEXTS, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="[SEP]", unk_token="[UNK]").save_pretrained(str(folder))


def sentence_pieces(folder: Path) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers

    vocabulary = [
        ("<unk>", 0.0),
        ("</s>", 0.0),
        ("▁", -2.0),
        ("▁lost", -3.0),
        ("card", -3.0),
        *((letter, -4.0) for letter in "acdlorst"),
    ]
    backend = Backend(models.Unigram(vocabulary, unk_id=0))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    made = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
    made.save_pretrained(str(folder))


@pytest.mark.parametrize("build", [byte_level, with_begin_token, word_pieces, sentence_pieces])
def test_tokens_are_those_of_the_tokenizer_that_training_loads(tmp_path: Path, build: Any) -> None:
    build(tmp_path)
    theirs = AutoTokenizer.from_pretrained(str(tmp_path))
    pairs = [(shown, answer + str(theirs.eos_token)) for shown in TEXTS for answer in TEXTS]
    ours = token_counts.count(of_folder(tmp_path), pairs, -1)
    assert isinstance(ours, list)
    assert [count.tokens for count in ours] == [len(theirs(shown + answer)["input_ids"]) for shown, answer in pairs]
    assert all(len(theirs(shown + answer)["input_ids"]) <= samples.most_tokens(shown + answer) + samples.MARGIN
               for shown, answer in pairs)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["completion", "full"])
@pytest.mark.parametrize("max_length", [None, 15, 12])
def test_rows_tokens_cuts_and_steps_are_those_of_the_trainer(
    make_spec: MakeSpec, loss: str, max_length: int | None
) -> None:
    arguments = {"max_length": max_length, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 3}
    split = {"fraction": 1.0, "train": 1.0}
    spec = make_spec(training(loss=loss, split=split, training_arguments=arguments, epochs=1.5))
    trainer, before = prepared(spec)
    found = ours(spec, loss, arguments)
    limit = lengths.limit(arguments)
    assert max_length is None or 0 < found.over(limit) < 25
    assert bool(found.lost(limit)) == (max_length == 12 and loss == "completion")
    theirs = [len(row) for row in trainer.train_dataset["input_ids"]]
    kept = [min(tokens, max_length or tokens) for tokens, begins in zip(found.tokens, found.begins, strict=True)
            if not (max_length and tokens > max_length <= begins)]  # fmt: skip
    assert theirs == kept
    assert before - len(theirs) == found.lost(limit)
    if max_length is None:
        masked = [sum(label == -100 for label in row) for row in trainer.train_dataset["labels"]]
        assert masked == list(found.begins)
    dataloader = trainer.get_train_dataloader()
    steps = trainer.set_initial_training_values(trainer.args, dataloader)[-1]
    assert schedule(len(theirs), arguments, 1, 1.5).steps == steps


def prepared(spec: Any) -> tuple[Any, int]:
    """The trainer of a job, and the number of its rows before it prepared them."""
    from studio.jobs.events import EventLog
    from studio.jobs.training import sft

    spec.folder.mkdir(parents=True, exist_ok=True)
    with EventLog(spec.folder / "events.jsonl") as events:
        setup = sft._set_up(spec, spec.work, events)
    return setup.trainer, len(setup.texts.train)


def ours(spec: Any, loss: str, arguments: dict[str, Any]) -> Lengths:
    tokenizer = of_folder(Path(spec.project_dir, "models", "tiny").resolve())
    rows = samples.read(Path(spec.project_dir, "data", "tickets.csv"), 25)
    shown, answer = Templates(**workbench.TEMPLATES).trained(loss)
    texts = Texts(parse(shown), parse(answer), lengths.end(arguments, tokenizer.eos))
    assert rows is not None
    found = lengths.measure(rows, texts, tokenizer, -1)
    assert isinstance(found, Lengths)
    return found
