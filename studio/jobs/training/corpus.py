"""What a training run learns from: texts that trl turns into tokens, or conversations that are tokens already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from datasets import Dataset, DatasetDict
from transformers import PreTrainedTokenizerBase

from studio.core.jobspec import JobSpec, TrainingWork
from studio.core.prompting import Chat
from studio.jobs.events import EventLog
from studio.jobs.inputs import conversations, rows, templating
from studio.jobs.model import chat, generation
from studio.jobs.model.chat import Encoded, Speech
from studio.jobs.model.scoring import Scored

MOST_HELD_OUT = 512
"""Held-out rows that the loss is measured on; more would cost time and say little more."""
IDS, LABELS = "input_ids", "labels"
"""Columns of rows that are tokens: trl leaves such rows as they are, and cuts, drops and packs them like others."""
NUMBER = "studio row number"
"""A column that is there while rows are split, so that messages can name them."""
ROWS_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True)
class Corpus:
    """Rows with columns ``prompt`` and ``completion``, with ``prediction`` alone, or with IDS and LABELS.

    ``loss`` says which tokens count; ``ends`` are the tokens that end a row which was not cut.
    """

    train: Dataset
    held_out: Dataset | None
    held_out_rows: int
    loss: str
    ends: frozenset[int]

    @property
    def completion_only(self) -> bool:
        """Whether trl is to find out where completions begin."""
        return templating.COMPLETION in self.train.column_names


def load(
    spec: JobSpec, work: TrainingWork, tokenizer: PreTrainedTokenizerBase, folder: Path, events: EventLog
) -> Corpus:
    """Rows, split and rendered; ``folder`` is the base model's. Raises JobError for rows that cannot be."""
    loaded = rows.load(work.dataset, spec)
    if work.templates.chat:
        ends = generation.own_ends(folder, work.model.trust_remote_code)
        speech = chat.speech(tokenizer, work.templates.chat.template, ends, work.model.name)
        tokenizer.chat_template = speech.template  # saved with the adapter: it will be asked as it was taught
        texts = _conversations(loaded, work, work.templates.chat, speech, events)
    else:
        texts = _texts(loaded, work, str(tokenizer.eos_token), int(tokenizer.eos_token_id), events)
    events.write("data", f"{len(texts.train)} rows to train on, {texts.held_out_rows} held out")
    return texts


def _texts(loaded: DatasetDict, work: TrainingWork, eos: str, end: int, events: EventLog) -> Corpus:
    """Completion-only loss needs both templates; without them the full text counts."""
    parts = work.templates
    completion_only = bool(parts.trained(work.loss)[0])
    if work.loss == "completion" and not completion_only:
        events.write("data", "the prompt has no input and completion templates: the loss is taken on the full text")
    if completion_only and parts.input + parts.completion != parts.prompt:
        events.write("data", "prompt_template is not input + completion: training on input + completion")
    found = rows.split(loaded, work.split)
    render = templating.with_completion if completion_only else templating.with_full_text
    held_out = _few(found.held_out)
    return Corpus(
        train=render(found.train, parts, eos),
        held_out=render(held_out, parts, eos) if held_out else None,
        held_out_rows=len(found.held_out) if found.held_out else 0,
        loss="completion" if completion_only else "full",
        ends=frozenset({end}),
    )


def _conversations(loaded: DatasetDict, work: TrainingWork, how: Chat, speech: Speech, events: EventLog) -> Corpus:
    conversations.check(loaded, how, work.dataset.name)
    found = rows.split(_numbered(loaded), work.split)
    held_out = _few(found.held_out)
    train = _encoded(found.train, work, how, speech)
    if train.completed:
        events.write(
            "data",
            f"the chat template ends {train.completed} of {len(train.rows)} last answers with no token that ends an "
            f"answer: {speech.tokenizer.eos_token} is added, which teaches the model to stop",
        )
    if train.joined:
        events.write("data", f"in {train.joined} rows the answer's first token begins within the question")
    return Corpus(
        train=_dataset(train),
        held_out=_dataset(_encoded(held_out, work, how, speech)) if held_out else None,
        held_out_rows=len(found.held_out) if found.held_out else 0,
        loss=work.loss,
        ends=speech.ends,
    )


def _encoded(held: Dataset, work: TrainingWork, how: Chat, speech: Speech) -> Encoded:
    return chat.encode(speech, conversations.of(held, held[NUMBER][:], work.templates, how), work.loss)


def _numbered(loaded: DatasetDict) -> DatasetDict:
    """Rows that know their number in their split."""
    return DatasetDict({name: held.add_column(NUMBER, [*range(1, len(held) + 1)]) for name, held in loaded.items()})


def _few(held_out: Dataset | None) -> Dataset | None:
    return held_out.select(range(min(MOST_HELD_OUT, len(held_out)))) if held_out else None


def _dataset(encoded: Encoded) -> Dataset:
    """In Arrow's memory, where a token takes four bytes."""
    schema = pa.schema([(name, pa.list_(pa.int32())) for name in (IDS, LABELS)])
    return Dataset(pa.Table.from_batches(_batches(encoded.rows, schema), schema))


def _batches(held: list[Scored], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(held), ROWS_AT_A_TIME):
        part = held[start : start + ROWS_AT_A_TIME]
        yield pa.RecordBatch.from_pydict(
            {IDS: [row.ids for row in part], LABELS: [row.labels for row in part]}, schema=schema
        )
