"""What rules measure of data: what columns hold, and what ``max_length`` leaves of a job's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from studio.core.references import Ref
from studio.core.templates import Template, TemplateError, parse
from studio.load import configs, datasets, lengths, samples, token_counts
from studio.load.lengths import Lengths, Limit, Source
from studio.load.samples import Profile
from studio.load.token_counts import NotAtHand, Tokenizer
from studio.load.witness import doubt
from studio.resources.dataset import Dataset, DatasetFacts
from studio.resources.fine_tuning_job import FineTuningJob, Framework
from studio.resources.model import Model, ModelFacts
from studio.resources.prompt import PromptFacts
from studio.rules.base import View


@dataclass(frozen=True, slots=True)
class Cut:
    """The limit of a job's rows, and their lengths; some row exceeds it. Of conversations the lengths are ``bare``:
    without what a chat template adds."""

    limit: Limit
    lengths: Lengths
    bare: bool = False


def profile(view: View, ref: Ref | None) -> Profile | None:
    """What the columns of a file of the project hold; None for other data sets."""
    return view.once("profile", ref, lambda: _profile(view, ref))


def _profile(view: View, ref: Ref | None) -> Profile | None:
    dataset, facts = view.get(ref, Dataset), view.facts(ref, DatasetFacts)
    path = datasets.local_file(dataset.spec, view.root) if dataset and facts and facts.rows else None
    return samples.profile(path, facts.digest, facts.rows) if path else None


def template(text: str, known: Profile) -> Template | None:
    """A template whose fields are all columns of the data set."""
    try:
        parsed = parse(text)
    except TemplateError:
        return None
    return parsed if all(field in known.columns for field in parsed.fields) else None


def training_arguments(view: View, job: FineTuningJob | None) -> dict[str, Any] | None:
    """Those in force, for a job that is not known yet the default ones; None where rules report what is wrong."""
    model = view.facts(view.graph.target(job.ref, "spec", "base_model"), ModelFacts) if job else None
    value, family = job.spec.training_arguments_config if job else None, model.family if model else ""
    try:
        return configs.in_force(view.graph.resources, view.default_configs, "training_arguments", value, family)[1]
    except (KeyError, ValueError):
        return None


def cut(job: FineTuningJob, view: View) -> Cut | None:
    """What ``max_length`` does to a job's rows; None where nothing exceeds it, or nothing can be measured offline."""
    return view.once("cut", job.ref, lambda: _cut(job, view))


def _cut(job: FineTuningJob, view: View) -> Cut | None:
    spec = job.spec
    data, model = (view.graph.target(job.ref, "spec", field) for field in ("dataset", "base_model"))
    known, prompt = profile(view, data), view.facts(view.graph.target(job.ref, "spec", "prompt"), PromptFacts)
    if spec.framework_type != Framework.LEGACY or spec.user_script or known is None or prompt is None:
        return None
    arguments, facts = training_arguments(view, job), view.facts(model, ModelFacts)
    texts = _source(prompt, spec.loss, known)
    if arguments is None or facts is None or texts is None or lengths.fits(known, texts, lengths.limit(arguments)):
        return None
    found = _lengths(view, data, model, texts, arguments)
    allowed = lengths.limit(arguments)
    return Cut(allowed, found, prompt.chat is not None) if found and found.over(allowed) else None


def _lengths(
    view: View, data: Ref | None, model: Ref | None, texts: Source, arguments: Mapping[str, Any]
) -> Lengths | None:
    dataset, base = view.get(data, Dataset), view.get(model, Model)
    path = datasets.local_file(dataset.spec, view.root) if dataset else None
    tokenizer = token_counts.in_project(base.spec, view.root) if base else None
    if path is None or base is None or not isinstance(tokenizer, Tokenizer):
        return None
    facts, digest = view.facts(data, DatasetFacts), view.facts(model, ModelFacts).digest
    ended = replace(texts, end=lengths.end(arguments, tokenizer.eos))
    begins_over = lengths.limit(arguments).tokens or 0
    given_up: list[Ref] = view.once("tokenizers given up", None, list)
    if base.ref in given_up:  # half a minute for each job would be hours for hundreds
        return None
    found = lengths.of_file(path, facts.digest, facts.rows, ended, tokenizer, digest, begins_over)
    if isinstance(found, NotAtHand):
        given_up.append(base.ref)
        doubt(found.reason)
        return None
    return found


def _source(prompt: PromptFacts, loss: str, known: Profile) -> Source | None:
    """What a job makes of rows, without what ends it."""
    try:
        found = lengths.source(prompt, loss)
    except TemplateError:
        return None
    return found if all(column in known.columns for column in found.columns()) else None
