"""CF: values that the library behind a configuration does not take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studio.core.findings import format_path
from studio.libraries.fitting import Fault, Misfit
from studio.libraries.types import Record, Type
from studio.libraries.words import expected, instead, wanted, written
from studio.rules.base import Breach, View, rule
from studio.rules.configurations import Configuration, library_table
from studio.rules.library_breach import breach


@rule("CF-010")
def wrong_type(view: View) -> Iterator[Breach]:
    """The value has another type than the library expects.

    Few classes check types when they are made: text where a number belongs fails in the middle of a training, or
    compares in a way that nobody meant.

    Bad:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            weight_decay: "1e-2"  # <-
    Good:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            weight_decay: 1e-2
    """
    yield from _found(view, Fault.WRONG_TYPE)


@rule("CF-011")
def value_not_taken(view: View) -> Iterator[Breach]:
    """The library does not take this value: it is not one of its choices, or out of range.

    BitsAndBytesConfig accepts every text as a type of quantisation; the job then fails on the first layer.

    Bad:
        kind: FineTuningJob
        spec:
          model_bnb_config:
            load_in_4bit: true
            bnb_4bit_quant_type: nf5  # <-
    Good:
        kind: FineTuningJob
        spec:
          model_bnb_config:
            load_in_4bit: true
            bnb_4bit_quant_type: nf4
    """
    yield from _found(view, Fault.NOT_TAKEN)


def _found(view: View, fault: Fault) -> Iterator[Breach]:
    for each in view.configurations:
        for misfit in each.misfits:
            if misfit.fault is fault:
                fits = wanted(misfit.value, misfit.type)
                message = f"{format_path(misfit.path)} is {written(misfit.value)}; it must be {fits}"
                yield breach(each, misfit.path, message, instead(misfit.value, misfit.type, _default(each, misfit)))


def _default(each: Configuration, misfit: Misfit) -> Any:
    """The library's default for the key at fault, when it is not below a list."""
    found: Type = library_table(each.type).root
    for step in misfit.path[:-1]:
        if not isinstance(found, Record) or not isinstance(step, str) or step not in found.keys:
            return None
        found = found.keys[step].type
    key = misfit.path[-1]
    return found.keys[key].default if isinstance(found, Record) and isinstance(key, str) and key in found.keys else None


@rule("CF-012")
def missing_key(view: View) -> Iterator[Breach]:
    """A mapping within the configuration lacks a key that the library insists on.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            lr_groups:
              - name: embeddings  # <-
                modules: [embed_tokens]
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            lr_groups:
              - name: embeddings
                modules: [embed_tokens]
                lr: 1.0e-5
    """
    for each in view.configurations:
        for misfit in each.misfits:
            if misfit.fault is Fault.MISSING_KEY:
                key, record = misfit.path[-1], misfit.type
                what = expected(record.keys[str(key)].type) if isinstance(record, Record) else "a value"
                yield breach(each, misfit.path, f"{format_path(misfit.path)} is missing", f"write {key}: and {what}")
