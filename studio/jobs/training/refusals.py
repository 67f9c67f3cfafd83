"""Settings that a library refuses, once it sees them together: a fault of the manifest, said in the library's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from studio.core.errors import JobError
from studio.core.jobspec import TrainingWork
from studio.libraries.tables import table

LIBRARIES = ("transformers", "trl", "peft", "accelerate", "torch.optim")
REFUSING = (ValueError, NotImplementedError, ImportError)
"""What they raise for settings. Anything else, a TypeError among them, is a fault of whoever calls them."""
TABLES_OF = {"training_arguments_config": "training_arguments", "lora_config": "lora_config"}
LONGEST = 500
"""Characters of a library's sentence."""


@contextmanager
def told(work: TrainingWork) -> Iterator[None]:
    """Raises JobError in place of an error with which one of the libraries refuses settings; others pass."""
    try:
        yield
    except REFUSING as error:
        library = _origin(error.__traceback__)
        if not library or isinstance(error, (ModuleNotFoundError, UnicodeError)):
            raise
        sentence = " ".join(str(error).split())[:LONGEST] or type(error).__name__
        named = _named(sentence, work)
        what = "refuses these settings" if named else f"ended the training with {type(error).__name__}"
        raise JobError(f"{library} {what}: {sentence}", _hint(named, work)) from error


def _lacking(field: str) -> set[str]:
    """Keys that a library may miss; words such as ``seed`` may only be words."""
    known = table(TABLES_OF.get(field, ""))
    return {key for key in known.root.keys if "_" in key} if known else set()


def _origin(trace: TracebackType | None) -> str:
    """The library whose own line raised; "" for another's."""
    while trace and trace.tb_next:
        trace = trace.tb_next
    module = str(trace.tb_frame.f_globals.get("__name__", "")) if trace else ""
    return next((each for each in LIBRARIES if module == each or module.startswith(f"{each}.")), "")


def _named(sentence: str, work: TrainingWork) -> str:
    """The settings that a sentence names; "" for none, as when it is about a row."""
    words = set(re.findall(r"\w+", sentence))
    concerned = {field: sorted(words & (set(values) | _lacking(field))) for field, values in _said(work).items()}
    return " and ".join(f"{', '.join(keys)} of spec.{field}" for field, keys in concerned.items() if keys)


def _hint(named: str, work: TrainingWork) -> str:
    if named:
        return f"correct {named}; the log has the traceback"
    given = " and ".join(f"spec.{field}" for field, values in _said(work).items() if values)
    return f"the log has the traceback; where it is about settings, compare {given or 'what the job asks for'}"


def _said(work: TrainingWork) -> dict[str, Mapping[str, Any]]:
    return {
        "training_arguments_config": work.training_arguments,
        "lora_config": work.lora,
        "model_bnb_config": work.model_quantization or {},
        "adapter_bnb_config": work.adapter_quantization or {},
    }
