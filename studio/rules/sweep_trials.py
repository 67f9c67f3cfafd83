"""FT: what the trials of a sweep are called, and whether each is a training of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studio.core.findings import Path
from studio.core.fingerprints import canonical
from studio.core.references import Ref
from studio.libraries.observing import determining
from studio.load import configs
from studio.resources.base import LONGEST_NAME, SLUG, marks
from studio.resources.fine_tuning_job import (
    DEFAULT_EPOCHS,
    DEFAULT_LEARNING_RATE,
    SWEPT,
    FineTuningJob,
    FineTuningJobSpec,
    Framework,
    Trial,
    trials,
)
from studio.resources.matrix import Point
from studio.resources.model import ModelFacts
from studio.rules.base import Breach, View, rule
from studio.rules.library_decisions import FIELDS

DEFAULTS = {"num_epochs": DEFAULT_EPOCHS, "learning_rate": DEFAULT_LEARNING_RATE}


@rule("FT-050", FineTuningJob)
def taken_trial_name(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A trial's name is too long, or another resource has it; or another job produces an adapter of its name.

    A trial is named after its sweep and its values, and so is its adapter: `router` with a learning rate of 1.0e-4
    makes `router-learning-rate-1e-4`. Names have at most 253 characters.

    Bad:
        kind: FineTuningJob
        metadata: {name: router-num-epochs-3}
        spec:
          adapter_name: another
        ---
        kind: FineTuningJob
        spec:
          matrix:  # <-
            num_epochs: [1, 3]
    Good:
        kind: FineTuningJob
        metadata: {name: router-long}
        spec:
          adapter_name: another
        ---
        kind: FineTuningJob
        spec:
          matrix:
            num_epochs: [1, 3]
    """
    if not job.is_sweep:
        return
    points = dict(trials(job))
    long = sorted((name for name in points if not SLUG.match(name)), key=len)
    if long and SLUG.match(job.metadata.name):
        message = f"the trial's name {long[-1]!r} has {len(long[-1])} characters; at most {LONGEST_NAME} are allowed"
        yield Breach("spec.matrix", _and_more(message, len(long)), "give the sweep a shorter name", at_key=True)
    found = [words for name, point in points.items() if name not in long and (words := _taken(job, name, point, view))]
    if found:
        message, hint = found[0]
        yield Breach("spec.matrix", _and_more(message, len(found)), hint, at_key=True)


def _and_more(message: str, count: int) -> str:
    """What is wrong with the first of several trials."""
    return f"{message}; so with {count - 1} more of its trials" if count > 1 else message


def _taken(job: FineTuningJob, name: str, point: Point, view: View) -> tuple[str, str] | None:
    """Who has a trial's name, or that of its adapter, and what to do."""
    there = view.graph.resources.get(Ref(job.kind, name))
    if there is not None and not (isinstance(there, Trial) and there.sweep == job.metadata.name):
        return f"a trial would be {job.kind}/{name}, which is there already", "rename that, or the sweep"
    adapter = f"{job.spec.adapter_name}-{point.slug}"
    others = [ref for ref in view.graph.producers.get(adapter, ()) if ref.name != name]
    alike = len(view.graph.producers.get(job.spec.adapter_name, ())) > 1  # then another rule says so of the sweeps
    if others and not alike:
        return f"a trial's adapter would be {adapter!r}, which {others[0]} produces", "rename that, or adapter_name"
    return None


@rule("FT-063", FineTuningJob)
def identical_trials(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """Two trials of a sweep would be the same training.

    Their values look different and come to the same: two Configs with the same content, a name and the mapping that it
    stands for, a setting that only says how often losses are logged, an argument that a field of the job replaces.
    Nothing would be compared.

    Bad:
        kind: Config
        metadata: {name: lora-again}
        spec:
          type: lora_config
          config: {r: 64, lora_alpha: 128}
        ---
        kind: FineTuningJob
        spec:
          matrix:
            lora_config:
              - {r: 64, lora_alpha: 128}
              - lora-again  # <-
    Good:
        kind: FineTuningJob
        spec:
          matrix:
            lora_config:
              - {r: 64, lora_alpha: 128}
              - {r: 32, lora_alpha: 128}
    """
    seen: dict[str, Trial] = {}
    told: set[Path] = set()
    for name, _ in trials(job) if job.is_sweep else ():
        trial = view.get(Ref(job.kind, name), Trial)
        work = _work(trial, view) if trial and trial.sweep == job.metadata.name else None
        if trial is None or work is None or view.manifests[trial.ref].damaged:  # then other rules report a value
            continue
        first = seen.setdefault(work, trial)
        key = next((key for key in sorted(trial.places) if trial.places[key] != first.places[key]), "")
        path: Path = ("spec", "matrix", key, trial.places.get(key, 0))
        if key and path not in told:
            told.add(path)
            message = f"this value of {key} makes the same training as {_shown(first.values[key])}: {first.ref}"
            yield Breach(path, message, _cure(job, key))


def _shown(value: Any) -> str:
    text = canonical(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _cure(job: FineTuningJob, key: str) -> str:
    """What to do about a value that changes nothing; of an argument that a field of the job replaces, which one."""
    matrix = job.spec.matrix or {}
    for name, field, inner in FIELDS:
        if key == f"{field}.{inner}" and (name in matrix or getattr(job.spec, name) is not None):
            return (
                f"remove one of spec.{'matrix.' if name in matrix else ''}{name}, which counts, and spec.matrix.{key}"
            )
    return "remove it, or write the value that was meant"


def _work(trial: Trial, view: View) -> str | None:
    """What of a trial's training can differ from that of another trial of its sweep; None where other rules report that
    it cannot be known."""
    model = view.facts(view.graph.target(trial.ref, "spec", "base_model"), ModelFacts)
    held: dict[str, Any] = {}
    for mark in marks(FineTuningJobSpec):
        if mark.name not in SWEPT:
            continue
        value = getattr(trial.spec, mark.name)
        if not mark.config:
            held[mark.name] = value
        elif value or mark.default_config:
            try:
                family = model.family if model else ""
                content = configs.in_force(view.graph.resources, view.default_configs, mark.config, value, family)[1]
            except (KeyError, ValueError):
                return None
            held[mark.name] = determining(mark.config, content)
    return canonical(held if trial.spec.user_script else _replaced(trial, held))


def _replaced(trial: Trial, held: dict[str, Any]) -> dict[str, Any]:
    """The same with the numbers that count: those of the job before those of its configuration."""
    used = "axolotl_config" if trial.spec.framework_type == Framework.AXOLOTL else "training_arguments_config"
    said = dict(held.get(used) or {})
    numbers: dict[str, Any] = {}
    for name, field, key in FIELDS:
        if field == used:
            again = said.pop(key, None)
            counts = held[name] or again or DEFAULTS[name]
            numbers[name] = float(counts) if isinstance(counts, int) else counts
    return {**held, used: said, **numbers}
