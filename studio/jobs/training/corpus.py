"""The texts a training run learns from, and how many of them survive its limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from studio.core.errors import JobError
from studio.core.jobspec import JobSpec, TrainingWork
from studio.jobs.events import EventLog
from studio.jobs.inputs import rows, templating

MOST_HELD_OUT = 512
"""Held-out rows that the loss is measured on; more would cost time and say little more."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts with columns ``prompt`` and ``completion``, or ``prediction`` alone."""

    train: Dataset
    held_out: Dataset | None
    held_out_rows: int
    completion_only: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """What trl made of the texts: rows it dropped, rows it cut before their end, tokens, and tokens that count."""

    dropped: int
    cut: int
    tokens: int
    unmasked: int


def load(spec: JobSpec, work: TrainingWork, eos: str, events: EventLog) -> Corpus:
    """Rows, split and rendered. Completion-only loss needs both templates; without them the full text counts."""
    parts = work.templates
    completion_only = bool(parts.trained(work.loss)[0])
    if work.loss == "completion" and not completion_only:
        events.write("data", "the prompt has no input and completion templates: the loss is taken on the full text")
    if completion_only and parts.input + parts.completion != parts.prompt:
        events.write("data", "prompt_template is not input + completion: training on input + completion")
    loaded = rows.split(rows.load(work.dataset, spec), work.split)
    render = templating.with_completion if completion_only else templating.with_full_text
    held_out = loaded.held_out
    texts = Corpus(
        train=render(loaded.train, parts, eos),
        held_out=render(held_out.select(range(min(MOST_HELD_OUT, len(held_out)))), parts, eos) if held_out else None,
        held_out_rows=len(held_out) if held_out else 0,
        completion_only=completion_only,
    )
    events.write("data", f"{len(texts.train)} rows to train on, {texts.held_out_rows} held out")
    return texts


def count(prepared: Dataset, rows_before: int, eos: int, packed: bool) -> Counts:
    """Count tokens of a dataset that trl prepared. Raises JobError when no row is left.

    A row was cut when its last token is not EOS; packed rows hold several texts, so neither count applies to them.
    """
    if not len(prepared):
        raise JobError(
            f"none of the {rows_before} rows has a completion within max_length: nothing to learn from",
            "raise max_length in the training arguments, or shorten the input template",
        )
    table = prepared.with_format("arrow")[:]
    ids = table["input_ids"].combine_chunks()
    labels = table["labels"].combine_chunks().flatten().to_numpy()
    ends = ids.value_lengths().to_numpy().cumsum() - 1
    return Counts(
        dropped=0 if packed else rows_before - len(prepared),
        cut=0 if packed else int((ids.flatten().to_numpy()[ends] != eos).sum()),
        tokens=len(labels),
        unmasked=int(np.count_nonzero(labels != -100)),
    )


def report(counts: Counts, events: EventLog) -> None:
    """Say what was lost: trl drops and cuts in silence."""
    if counts.dropped:
        events.write("data", f"{counts.dropped} rows dropped: max_length leaves nothing of their completion")
    if counts.cut:
        events.write("data", f"{counts.cut} rows cut at max_length: they do not teach the model to stop")
    share = counts.unmasked / max(counts.tokens, 1)
    events.write("data", f"{counts.tokens} tokens, {share:.1%} of them count for the loss")
