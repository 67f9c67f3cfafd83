"""What training will see: rows rendered through a prompt, their lengths, and a job's split and steps."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studio.core.errors import StudioError, UsageError
from studio.core.references import Ref
from studio.core.schedule import Schedule, schedule
from studio.core.splits import Sizes, sizes
from studio.core.suggest import did_you_mean
from studio.core.templates import TemplateError
from studio.load import data_folders, datasets, lengths, samples, token_counts
from studio.load.lengths import PERCENTILES, Lengths, Limit, Source, percentile
from studio.load.samples import Rows
from studio.load.token_counts import NotAtHand, Tokenizer
from studio.load.turns import Said, Turns
from studio.resources.dataset import Dataset, DatasetFacts, DatasetType
from studio.resources.fine_tuning_job import DEFAULT_EPOCHS, FineTuningJob, Framework
from studio.resources.model import Model
from studio.resources.prompt import PromptFacts
from studio.rules import measures
from studio.rules.base import View

HINT = "'studio validate' says more"


@dataclass(frozen=True, slots=True)
class Ask:
    """Random rows to show, the seed that draws them, and the Model whose tokenizer counts ("" for that of the jobs)."""

    rows: int = 3
    seed: int = 0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A rendered row. ``number`` counts from 1; what follows ``input`` is learnt, of a conversation the turns that
    count. Tokens are None when not counted."""

    number: int
    why: str
    input: str
    completion: str
    said: tuple[Said, ...] = ()
    tokens: int | None = None
    begins: int | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """Lengths of ``measured`` of ``total`` rows in ``unit``; ``cut`` and ``lost`` are None when nothing limits them."""

    unit: str
    measured: int
    total: int
    percentiles: Mapping[str, int]
    cut: int | None = None
    lost: int | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything worth knowing before a job spends its hours."""

    subject: Ref
    prompt: Ref
    dataset: Ref
    model: Ref | None
    chosen: str
    """Why this model, in words."""
    missing: NotAtHand | None
    """Why tokens are not counted."""
    end: str
    limit: Limit
    shown: tuple[Shown, ...]
    spread: Spread
    split: Sizes | None
    schedule: Schedule | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is looked at; ``job`` is one that trains with the prompt, whose settings are in force."""

    prompt: Ref
    dataset: Ref
    job: FineTuningJob | None
    arguments: Mapping[str, Any]


def subjects(view: View) -> list[Ref]:
    """What can be looked at."""
    return [ref for ref in view.graph.resources if ref.kind in ("Prompt", "FineTuningJob")]


def preview(view: View, ref: Ref, ask: Ask) -> Preview:
    """Look at a Prompt or a FineTuningJob; raises StudioError for what validate would report, and for hub data."""
    subject = _subject(view, ref)
    model, chosen = _model(view, subject, ask.model)
    tokenizer = _tokenizer(view, model)
    eos = tokenizer.eos if isinstance(tokenizer, Tokenizer) else ""
    rows, held_out = _rows(view, subject.dataset)
    texts = _texts(view, subject, rows, lengths.end(subject.arguments, eos))
    limit = lengths.limit(subject.arguments)
    measured = _measured(rows, texts, tokenizer, limit)
    missing = measured if isinstance(measured, NotAtHand) else None
    split, steps = _plan(subject, rows.total, held_out) if ref.kind == "FineTuningJob" else (None, None)
    return Preview(
        ref, subject.prompt, subject.dataset, model, chosen, missing, texts.end, limit,
        _shown(rows, texts, measured, None if missing else tokenizer, ask),
        _spread(rows, texts, measured, limit),
        split, steps, tuple(_notes(subject, texts, measured, limit)),
    )  # fmt: skip


def _subject(view: View, ref: Ref) -> _Subject:
    job = view.get(ref, FineTuningJob)
    if job is None:
        users = [each for each, _ in view.each(FineTuningJob) if view.graph.target(each.ref, "spec", "prompt") == ref]
        job = next(iter(users), None)
        prompt, dataset = ref, view.graph.target(ref, "spec", "dataset")
    else:
        found = view.graph.target(ref, "spec", "prompt")
        if found is None:
            raise StudioError(f"{ref} names no prompt that is there", "name one in spec.prompt, and preview that")
        prompt, dataset = found, view.graph.target(ref, "spec", "dataset")
    if dataset is None:
        raise StudioError(f"{ref} names no data set that is there", HINT)
    arguments = measures.training_arguments(view, job)
    if arguments is None:
        raise StudioError(f"the training arguments of {job.ref if job else ref} are not readable", HINT)
    return _Subject(prompt, dataset, job, arguments)


def _model(view: View, subject: _Subject, named: str) -> tuple[Ref | None, str]:
    if named:
        ref = Ref("Model", named.removeprefix("Model/"))
        if view.get(ref, Model) is None:
            raise UsageError(f"no Model is named {ref.name!r}", did_you_mean(ref.name, view.graph.names("Model")))
        return ref, "as asked"
    if subject.job is None:
        return None, ""
    return view.graph.target(subject.job.ref, "spec", "base_model"), f"the base model of {subject.job.ref}"


def _tokenizer(view: View, ref: Ref | None) -> Tokenizer | NotAtHand:
    model = view.get(ref, Model)
    if model is None:
        return NotAtHand("no job uses this prompt, so no model is known", "name one with --model")
    return token_counts.of(model.spec, view.root)


def _rows(view: View, ref: Ref) -> tuple[Rows, int | None]:
    """Rows that are looked at, and how many the data set itself holds out."""
    dataset, facts = view.get(ref, Dataset), view.facts(ref, DatasetFacts)
    if unusable := view.unusable(ref):
        raise StudioError(f"{ref}: {unusable.message}", unusable.hint)
    if dataset and dataset.spec.type == DatasetType.HUGGINGFACE:
        raise StudioError(
            f"{ref} is on the hub, and preview opens no socket",
            f"fetch it (hf download {dataset.spec.huggingface_name} --repo-type dataset --local-dir data/{ref.name}), "
            "and preview a Dataset of that folder",
        )
    if dataset is None or facts is None:
        raise StudioError(f"the rows of {ref} are not known", HINT)
    if dataset.spec.type == DatasetType.PROJECT:
        folder = data_folders.read(view.root, dataset.spec.location)
        rows, held_out = folder.train, folder.held_out
    else:
        path = datasets.local_file(dataset.spec, view.root)
        found = samples.read(path, facts.rows) if path and facts.rows else None
        rows, held_out = found or Rows(range(0), (), 0), None
    if not rows.rows:
        raise StudioError(f"{ref} holds no rows", HINT)
    return rows, held_out


def _texts(view: View, subject: _Subject, rows: Rows, end: str) -> Source:
    facts = view.facts(subject.prompt, PromptFacts)
    if facts is None:
        raise StudioError(f"the templates of {subject.prompt} are not known", "declare the features of its data set")
    loss = subject.job.spec.loss if subject.job else "completion"
    try:
        found = lengths.source(facts, loss, end)
    except TemplateError as error:
        raise StudioError(f"{subject.prompt}: {error} (character {error.offset + 1})", "write {column}") from error
    columns = list(rows.rows[0])
    absent = next((field for field in found.columns() if field not in columns), None)
    if absent is not None:
        raise StudioError(
            f"{subject.prompt}: {{{absent}}} is not a column of the data set", did_you_mean(absent, columns)
        )
    return found


def _measured(rows: Rows, texts: Source, tokenizer: Tokenizer | NotAtHand, limit: Limit) -> Lengths | NotAtHand:
    if isinstance(tokenizer, NotAtHand):
        return tokenizer
    return lengths.measure(rows, texts, tokenizer, sys.maxsize if limit.tokens is None else limit.tokens)


def _shown(
    rows: Rows, texts: Source, measured: Lengths | NotAtHand, tokenizer: Tokenizer | NotAtHand | None, ask: Ask
) -> tuple[Shown, ...]:
    """The first row, the longest, and random ones; none twice."""
    if isinstance(measured, Lengths):
        longest = max(zip(measured.tokens, (-number for number in measured.numbers), strict=True))[1] * -1
    else:
        longest = (
            max((sum(map(len, texts.pair(row))), -number) for number, row in zip(rows.numbers, rows.rows, strict=True))[
                1
            ]
            * -1
        )
    drawn = random.Random(ask.seed).sample(rows.numbers, min(ask.rows, len(rows.numbers)))
    reasons: dict[int, str] = {rows.numbers[0]: "the first"}
    for number, why in ((longest, "the longest"), *((number, "random") for number in drawn)):
        reasons.setdefault(number, why)
    chosen = [rows.rows[rows.numbers.index(number)] for number in reasons]
    pairs = [texts.pair(row) for row in chosen]
    counts = token_counts.count(tokenizer, pairs, -1) if isinstance(tokenizer, Tokenizer) else None
    return tuple(
        Shown(number + 1, why, *pair, texts.said(row), *((count.tokens, count.begins) if count else (None, None)))
        for (number, why), row, pair, count in zip(
            reasons.items(), chosen, pairs, counts if isinstance(counts, list) else [None] * len(pairs), strict=True
        )
    )


def _spread(rows: Rows, texts: Source, measured: Lengths | NotAtHand, limit: Limit) -> Spread:
    if isinstance(measured, NotAtHand):
        values = [sum(map(len, texts.pair(row))) for row in rows.rows]
        return Spread("characters", len(values), rows.total, _percentiles(values))
    limited = limit.tokens is not None
    return Spread(
        "tokens", len(measured.tokens), rows.total, _percentiles(list(measured.tokens)),
        measured.over(limit) if limited else None, measured.lost(limit) if limited else None,
    )  # fmt: skip


def _percentiles(values: list[int]) -> dict[str, int]:
    return {**{f"p{share}": percentile(values, share) for share in PERCENTILES}, "max": max(values)}


def _plan(subject: _Subject, rows: int, held_out: int | None) -> tuple[Sizes | None, Schedule | None]:
    """Rows on each side and steps of a job that trains with trl."""
    job = subject.job
    if job is None or _own_way(job) or not (0 < job.spec.dataset_fraction <= 1 and 0 < job.spec.train_test_split <= 1):
        return None, None
    spec = job.spec
    parts = sizes(rows, spec.dataset_fraction, spec.train_test_split if held_out is None else 1.0)
    devices = spec.num_workers if spec.num_workers > 1 else max(1, spec.num_gpu)
    epochs = float(spec.num_epochs or subject.arguments.get("num_train_epochs") or DEFAULT_EPOCHS)
    split = parts if held_out is None else Sizes(parts.train, held_out)
    return split, schedule(parts.train, subject.arguments, devices, epochs)


def _own_way(job: FineTuningJob) -> bool:
    """Whether something else than trl trains."""
    return job.spec.framework_type != Framework.LEGACY or bool(job.spec.user_script)


def _notes(subject: _Subject, texts: Source, measured: Lengths | NotAtHand, limit: Limit) -> list[str]:
    notes = []
    if subject.job and _own_way(subject.job):
        notes.append(f"{subject.job.ref} does not train with trl: its own settings decide what is cut")
    if isinstance(measured, Lengths) and limit.tokens and measured.lost(limit) and not subject.arguments.get("packing"):
        notes.append("rows that lose their whole completion are dropped: there will be fewer steps")
    if subject.arguments.get("packing") is True:
        notes.append("packing puts several rows into one: the number of steps is known when training starts")
    if isinstance(texts, Turns):
        notes.append(
            "lengths are of what is said: the chat template adds its own tokens, and training counts those too"
        )
    return notes
