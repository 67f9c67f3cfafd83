"""Export to MLflow's model registry (guide, Model Export & Registry; MLflow, Working with Large Models)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import transformers
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from studio.core.errors import JobError
from studio.core.fingerprints import file_digest, folder_digest, tree
from studio.core.jobresult import ExportOutput, GgufFile, Measures
from studio.core.jobspec import ExportWork, JobSpec
from studio.core.secrets import redact
from studio.jobs import tracking, versions
from studio.jobs.events import EventLog
from studio.jobs.export import converter, gguf, merge, model_card, registry
from studio.jobs.export.registry import Card
from studio.jobs.inputs import hub, locations
from studio.jobs.model import adapters, generation, tokenizers
from studio.jobs.result import Outcome
from studio.jobs.tracking import TrackedRun

MODEL = "model"
CHAT = "llm/v1/chat"


@dataclass(frozen=True, slots=True)
class Stored:
    """The version that was registered, the digest of its content, and the GGUF file in it."""

    version: str
    digest: str
    gguf: GgufFile | None = None


def run(spec: JobSpec, events: EventLog) -> Outcome:
    """Build, log and register the model, once. Raises JobError for what a user can mend."""
    work = spec.work
    if not isinstance(work, ExportWork):
        raise TypeError(f"export was given {type(work).__name__}")
    if work.gguf and work.weights != "merged":
        raise JobError(f"gguf is made of merged weights, and weights is {work.weights}", "use weights: merged")
    transformers.utils.logging.disable_progress_bar()
    generation.check(work.generation)
    with tracking.run(spec) as tracked:
        earlier = versions.find(tracked.client, work.model_name, spec.key, work.after)
        if earlier:
            events.write("register", f"an earlier attempt registered version {earlier}")
            return _outcome(work, Stored(earlier, "", model_card.gguf(spec.folder / MODEL)), tracked, Measures())
        tracked.log_params({"base_model": locations.public_name(work.model), "weights": work.weights})
        facts = model_card.provenance(spec, work)
        card = Card(model_card.text(work, facts), facts, locations.public_name(work.model))
        stored = WEIGHTS[work.weights](spec, work, card, tracked, events)
        events.write("register", f"{work.model_name} version {stored.version}")
    size = adapters.size(spec.folder / MODEL) + (stored.gguf.bytes if stored.gguf else 0)
    return _outcome(work, stored, tracked, Measures(device="cpu", bytes=size))


def _merged(spec: JobSpec, work: ExportWork, card: Card, tracked: TrackedRun, events: EventLog) -> Stored:
    """A whole checkpoint, logged from its folder without loading it, and the same as GGUF if that is asked for."""
    script = converter.find(os.environ) if work.gguf else None
    base = locations.model_folder(work.model, spec)
    adapter = adapters.folder(work.adapter, spec) if work.adapter else None
    tokenizer = _tokenizer(base, work, adapter)
    folder = spec.folder / MODEL
    building = folder.with_name(f".{MODEL}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    _write_settings(base, work, tokenizer, building)
    digests = _write_weights(base, adapter, building, events)
    made = gguf.convert(script, building, spec, work, events) if script else None
    if made:
        facts = {**card.provenance, "gguf": made.model_dump()}
        card = replace(card, text=model_card.text(work, facts), provenance=facts)
    model_card.write(building, card.text, card.provenance)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    file = gguf.folder(spec) / Path(made.path).name if made else None
    return Stored(registry.register(spec, work, str(folder), card, tracked, file), _digest(folder, digests), made)


def _digest(folder: Path, known: Mapping[str, str]) -> str:
    """That of the folder, without reading those files again whose own is known."""
    return folder_digest(tree(folder), lambda path: known.get(path.name) or file_digest(path))


def _write_weights(base: Path, adapter: Path | None, output: Path, events: EventLog) -> dict[str, str]:
    """SHA-256 by name of the files that hold weights."""
    if adapter is None:
        events.write("merge", "no adapter: the base weights as they are")
        return merge.copy(base, output)
    merged = merge.merge(base, adapter, output)
    plan = merged.plan
    merge.settle(plan, output)
    untied = "; the output weights are no longer the embedding's" if plan.unties else ""
    floats = "; the base is quantised, what is stored is not" if plan.unpacks else ""
    events.write("merge", f"{plan.changed} tensors merged{untied}{floats}")
    return merged.digests


def _write_settings(base: Path, work: ExportWork, tokenizer: PreTrainedTokenizerBase, output: Path) -> None:
    """Everything but weights: the model's configuration and code as they are, its tokenizer, how it generates."""
    for pattern in (locations.CONFIG, "*.safetensors.index.json", "*.py"):
        for file in sorted(base.glob(pattern)):
            shutil.copyfile(file, output / file.name)
            _hide_secrets(output / file.name)
    tokenizers.save(tokenizer, output)
    generation.settings(work.generation, tokenizer, generation.own(base)).save_pretrained(str(output))


def _hide_secrets(settings: Path) -> None:
    """What the base model's settings happen to hold must not be published with the export."""
    try:
        text = settings.read_text("utf-8")
    except UnicodeDecodeError:
        return
    if redact(text) != text:
        settings.write_text(redact(text), "utf-8")


def _adapter_only(spec: JobSpec, work: ExportWork, card: Card, tracked: TrackedRun, events: EventLog) -> Stored:
    """Adapter and tokenizer, with a reference to the base on the hub.

    MLflow can refer to nothing but the hub: over a local base it would store weights that reload as noise.
    """
    if work.adapter is None:
        raise JobError("weights: adapter needs an adapter", "name one, or use weights: merged")
    _need_hub_model(work)
    adapter = adapters.folder(work.adapter, spec)
    model, tokenizer = _from_hub(spec, work, adapter)
    adapted = PeftModel.from_pretrained(model, str(adapter))
    version = registry.register(spec, work, {"model": adapted, "tokenizer": tokenizer}, card, tracked)
    return Stored(version, adapters.digest(adapter))


def _reference(spec: JobSpec, work: ExportWork, card: Card, tracked: TrackedRun, events: EventLog) -> Stored:
    """A pointer to a hub model at its commit; its weights are stored only when they are to persist."""
    if work.adapter is not None:
        raise JobError(
            f"weights: reference stores the base model alone, so the adapter {work.adapter.name} would be lost",
            "use weights: merged or weights: adapter",
        )
    _need_hub_model(work)
    if work.persist:
        return _merged(spec, work, card, tracked, events)
    model, tokenizer = _from_hub(spec, work, None)
    version = registry.register(spec, work, {"model": model, "tokenizer": tokenizer}, card, tracked)
    return Stored(version, work.model.digest)


WEIGHTS: dict[str, Callable[[JobSpec, ExportWork, Card, TrackedRun, EventLog], Stored]] = {
    "merged": _merged,
    "adapter": _adapter_only,
    "reference": _reference,
}
"""``weights`` to what is stored."""


def _need_hub_model(work: ExportWork) -> None:
    if work.model.type != locations.HUB:
        raise JobError(
            f"weights: {work.weights} refers to a base model on the hub, but {work.model.name} is of type "
            f"{work.model.type}",
            "use weights: merged",
        )


def _from_hub(spec: JobSpec, work: ExportWork, adapter: Path | None) -> tuple[Any, PreTrainedTokenizerBase]:
    """Loaded by its hub name, because MLflow takes the reference from the loaded model."""
    folder = locations.model_folder(work.model, spec)
    tokenizer = _tokenizer(folder, work, adapter)
    name, revision = work.model.huggingface_name, work.model.revision or None
    with hub.explained(name, work.model.revision):
        model = AutoModelForCausalLM.from_pretrained(
            name,
            revision=revision,
            token=hub.token(spec),
            dtype="auto",
            use_safetensors=True,
            trust_remote_code=work.model.trust_remote_code,
        )
    tokenizer.name_or_path = name
    return model, tokenizer


def _tokenizer(folder: Path, work: ExportWork, adapter: Path | None) -> PreTrainedTokenizerBase:
    tokenizer = tokenizers.load(folder, work.model, adapter)
    tokenizers.configure_padding(tokenizer)
    if work.inference_task == CHAT and not tokenizer.chat_template:
        raise JobError(
            f"task {CHAT} needs a chat template, and the tokenizer of {work.model.name} has none",
            "use task: text-generation or llm/v1/completions",
        )
    return tokenizer


def _outcome(work: ExportWork, stored: Stored, tracked: TrackedRun, measures: Measures) -> Outcome:
    found = tracked.client.get_model_version(work.model_name, stored.version)
    output = ExportOutput(
        model_name=work.model_name,
        model_version=stored.version,
        uri=f"models:/{work.model_name}/{stored.version}",
        digest=stored.digest,
        gguf=stored.gguf,
        source=str(found.source or ""),
        description=str(found.description or ""),
        versions=model_card.versions(),
    )
    return Outcome(output, tracked.run_id, tracked.experiment_id, measures)
