"""CF: keys that the library behind a configuration does not know (any more)."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.core.suggest import did_you_mean, nearest
from studio.libraries.fitting import Fault, Misfit
from studio.libraries.removed import FAMILIAR, REMOVED, SUCCESSORS
from studio.libraries.types import Record
from studio.libraries.words import written
from studio.rules.base import Breach, View, rule
from studio.rules.configurations import Configuration, library_table
from studio.rules.library_breach import breach, help_for, owner


@rule("CF-007")
def unknown_key(view: View) -> Iterator[Breach]:
    """The library that reads the configuration does not know this key.

    trl and peft stop with a TypeError, after the model was loaded. GenerationConfig, BitsAndBytesConfig and Axolotl
    say nothing at all: the setting silently does not happen. The keys are those of the versions that the tables of this
    program were extracted from.

    Bad:
        kind: FineTuningJob
        spec:
          lora_config:
            r: 16
            lora_dropuot: 0.05  # <-
    Good:
        kind: FineTuningJob
        spec:
          lora_config:
            r: 16
            lora_dropout: 0.05
    """
    for each in view.configurations:
        for misfit in each.misfits:
            if misfit.fault is Fault.UNKNOWN_KEY and not _of_a_plugin(each, misfit):
                key = str(misfit.path[-1])
                message = f"{owner(each.type, misfit.path)} has no key {key!r}"
                yield breach(each, misfit.path, message, _hint(each, misfit, key), at_key=True)


def _of_a_plugin(each: Configuration, misfit: Misfit) -> bool:
    """Axolotl's plugins add keys of their own; those of plugins from elsewhere cannot be known here."""
    plugins = each.values.get("plugins") or ()
    if each.type != "axolotl" or len(misfit.path) > 1:
        return False
    foreign = any(not str(name).startswith("axolotl.integrations.") for name in plugins)
    return foreign or misfit.path[0] in library_table("axolotl").facts["plugin_keys"]


def _hint(each: Configuration, misfit: Misfit, key: str) -> str:
    if len(misfit.path) == 1 and key.lower() in FAMILIAR.get(each.type, {}):
        return f"here it is called {FAMILIAR[each.type][key.lower()]}"
    if not isinstance(misfit.type, Record):
        return "remove it"
    near = nearest(key, misfit.type.keys)
    if near is None and len(misfit.type.keys) > 20:
        return "remove it; no known key is like it"
    return did_you_mean(key, misfit.type.keys) + (help_for(misfit.type, near) if near else "")


@rule("CF-008")
def removed_key(view: View) -> Iterator[Breach]:
    """The library took this key in an older version, and does so no more.

    Recipes from the web are full of them: ``warmup_ratio``, ``evaluation_strategy``, ``max_seq_length``. Most stop the
    job with a TypeError; some are accepted and ignored.

    Bad:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            lr_scheduler_type: cosine
            warmup_ratio: 0.03  # <-
    Good:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            lr_scheduler_type: cosine
            warmup_steps: 0.03
    """
    for each in view.configurations:
        removed = REMOVED.get(each.type, {})
        for key in each.values.keys() & removed.keys():
            value, fate = each.values[key], removed[key]
            if not any(value is harmless or value == harmless for harmless in fate.harmless):
                name = library_table(each.type).name.rpartition(".")[2]
                yield breach(each, (key,), f"{name} takes {key!r} no more", fate.hint(value), at_key=True)


@rule("CF-009", severity=Severity.WARNING)
def deprecated_key(view: View) -> Iterator[Breach]:
    """The library still takes this key, and has announced that it will not for long.

    The next version may refuse it, or ignore it.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            flash_attention: true  # <-
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            attn_implementation: flash_attention_2
    """
    for each in view.configurations:
        successors, keys = SUCCESSORS.get(each.type, {}), library_table(each.type).root.keys
        for key, value in each.values.items():
            deprecated = key in successors or (key in keys and keys[key].deprecated)
            if deprecated and value not in (None, False):
                message = f"{key!r} is deprecated (its value is {written(value)})"
                line = successors.get(key, "")
                yield breach(each, (key,), message, f"write {_line(line, value)}" if line else "remove it", at_key=True)


def _line(successor: str, value: object) -> str:
    return successor if ":" in successor else f"{successor}: {written(value)}"
