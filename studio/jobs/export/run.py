"""Export to MLflow's model registry (guide, Model Export & Registry; MLflow, Working with Large Models)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from studio.core.errors import JobError
from studio.core.jobresult import ExportOutput, Measures
from studio.core.jobspec import ExportWork, JobSpec
from studio.core.secrets import redact
from studio.jobs import tracking, versions
from studio.jobs.events import EventLog
from studio.jobs.export import merge, model_card, registry
from studio.jobs.export.registry import Card
from studio.jobs.inputs import hub, locations
from studio.jobs.model import adapters, generation, tokenizers
from studio.jobs.result import Outcome
from studio.jobs.tracking import TrackedRun

MODEL = "model"
CHAT = "llm/v1/chat"


def run(spec: JobSpec, events: EventLog) -> Outcome:
    """Build, log and register the model, once. Raises JobError for what a user can mend."""
    work = spec.work
    if not isinstance(work, ExportWork):
        raise TypeError(f"export was given {type(work).__name__}")
    transformers.utils.logging.disable_progress_bar()
    generation.check(work.generation)
    with tracking.run(spec) as tracked:
        earlier = versions.find(tracked.client, work.model_name, spec.key, work.after)
        if earlier:
            events.write("register", f"an earlier attempt registered version {earlier}")
            return _outcome(work, earlier, "", tracked, Measures())
        tracked.log_params({"base_model": locations.public_name(work.model), "weights": work.weights})
        facts = model_card.provenance(spec, work)
        card = Card(model_card.text(work, facts), facts, locations.public_name(work.model))
        version, digest = WEIGHTS[work.weights](spec, work, card, tracked, events)
        events.write("register", f"{work.model_name} version {version}")
    return _outcome(work, version, digest, tracked, Measures(device="cpu", bytes=adapters.size(spec.folder / MODEL)))


def _merged(spec: JobSpec, work: ExportWork, card: Card, tracked: TrackedRun, events: EventLog) -> tuple[str, str]:
    """A whole checkpoint, logged from its folder without loading it; version and content digest."""
    base = locations.model_folder(work.model, spec)
    adapter = adapters.folder(work.adapter, spec) if work.adapter else None
    tokenizer = _tokenizer(base, work, adapter)
    folder = spec.folder / MODEL
    building = folder.with_name(f".{MODEL}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    _write_settings(base, work, tokenizer, building)
    _write_weights(base, adapter, building, events)
    model_card.write(building, card.text, card.provenance)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return registry.register(spec, work, str(folder), card, tracked), adapters.digest(folder)


def _write_weights(base: Path, adapter: Path | None, output: Path, events: EventLog) -> None:
    if adapter is None:
        merge.copy(base, output)
        events.write("merge", "no adapter: the base weights as they are")
        return
    plan = merge.merge(base, adapter, output)
    merge.settle(plan, output)
    untied = "; the output weights are no longer the embedding's" if plan.unties else ""
    floats = "; the base is quantised, what is stored is not" if plan.unpacks else ""
    events.write("merge", f"{plan.changed} tensors merged{untied}{floats}")


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


def _adapter_only(
    spec: JobSpec, work: ExportWork, card: Card, tracked: TrackedRun, events: EventLog
) -> tuple[str, str]:
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
    return version, adapters.digest(adapter)


def _reference(spec: JobSpec, work: ExportWork, card: Card, tracked: TrackedRun, events: EventLog) -> tuple[str, str]:
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
    return registry.register(spec, work, {"model": model, "tokenizer": tokenizer}, card, tracked), work.model.digest


WEIGHTS: dict[str, Callable[[JobSpec, ExportWork, Card, TrackedRun, EventLog], tuple[str, str]]] = {
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


def _outcome(work: ExportWork, version: str, digest: str, tracked: TrackedRun, measures: Measures) -> Outcome:
    found = tracked.client.get_model_version(work.model_name, version)
    output = ExportOutput(
        model_name=work.model_name,
        model_version=version,
        uri=f"models:/{work.model_name}/{version}",
        digest=digest,
        source=str(found.source or ""),
        description=str(found.description or ""),
        versions=model_card.versions(),
    )
    return Outcome(output, tracked.run_id, tracked.experiment_id, measures)
