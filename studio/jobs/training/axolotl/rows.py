"""The rows of a job as files that Axolotl reads: the same split as every training has, so that what evaluation calls
unseen was not seen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from studio.core.jobspec import JobSpec, TrainingWork
from studio.jobs.events import EventLog
from studio.jobs.inputs import rows
from studio.jobs.inputs.templating import COMPLETION, PROMPT, TEXT
from studio.jobs.training import corpus
from studio.jobs.training.corpus import IDS, LABELS

SEGMENTS = "input_output"
"""Axolotl's data set type of texts that are ready: pieces, each with its own word on whether it counts."""


@dataclass(frozen=True, slots=True)
class Files:
    """Training rows, and held-out rows for the loss; ``held_out_rows`` counts those that are not in the file too."""

    train: Path
    held_out: Path | None
    train_rows: int
    held_out_rows: int


def write(
    spec: JobSpec, work: TrainingWork, tokenizer: PreTrainedTokenizerBase, model: Path, folder: Path, events: EventLog
) -> Files:
    """Rows that the prompt made into texts, or, where no prompt is named, rows as they are for Axolotl to format."""
    if work.auto_prompt:
        loaded = rows.split(rows.load(work.dataset, spec), work.split)
        train, held_out = loaded.train, loaded.held_out
        total = len(held_out) if held_out else 0
        events.write("data", f"{len(train)} rows to train on, {total} held out")
    else:
        texts = corpus.load(spec, work, tokenizer, model, events)
        train, held_out, total = texts.train, texts.held_out, texts.held_out_rows
    begin = "" if work.auto_prompt else begins_with(tokenizer)
    files = Files(folder / "train.jsonl", folder / "held_out.jsonl" if total else None, len(train), total)
    _write(files.train, train, begin)
    if files.held_out and held_out:
        _write(files.held_out, held_out.select(range(min(corpus.MOST_HELD_OUT, len(held_out)))), begin)
    return files


def begins_with(tokenizer: PreTrainedTokenizerBase) -> str:
    """The token that a tokenizer puts before every text; Axolotl tokenises pieces without it."""
    ids = tokenizer("a")["input_ids"]
    return (
        str(tokenizer.bos_token) if tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id] else ""
    )


def _write(path: Path, dataset: Iterable[Mapping[str, Any]], begin: str) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for row in dataset:
            stream.write(json.dumps(_piecewise(row, begin), ensure_ascii=False, default=str) + "\n")


def _piecewise(row: Mapping[str, Any], begin: str) -> dict[str, Any]:
    """A row of texts in pieces; one of tokens with the mask by which Axolotl sees that it is ready."""
    if set(row) == {IDS, LABELS}:
        return {**row, "attention_mask": [1] * len(row[IDS])}
    if set(row) == {PROMPT, COMPLETION}:
        return {"segments": [_piece(begin + row[PROMPT], False), _piece(row[COMPLETION], True)]}
    if set(row) == {TEXT}:
        return {"segments": [_piece(begin + row[TEXT], True)]}
    return dict(row)


def _piece(text: str, counts: bool) -> dict[str, Any]:
    return {"label": counts, "text": text}
