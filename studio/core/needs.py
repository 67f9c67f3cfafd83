"""What a job needs of the machine that runs it, beside its inputs, CPU, GPU and memory.

Its kind says so, ``jobs.needs`` looks for it with the functions that the job itself begins with. So ``doctor``,
``plan``, ``apply`` and the job say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from studio.core.findings import Path

Configs = Callable[[str, str | dict[str, Any] | None], Mapping[str, Any]]
"""Content of the configuration in force for a type and the value of a job's field; empty where nobody can tell."""


class What(StrEnum):
    LIBRARIES = "libraries"
    BITSANDBYTES = "bitsandbytes"
    AXOLOTL = "Axolotl"
    HARNESS = "lm_eval"
    GGUF = "GGUF"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Need:
    """``name`` is that of a judge's service, or of the work whose libraries are meant; ``path`` the field that asks for
    it. The same need of several jobs is one."""

    what: What
    name: str = ""
    path: Path = field(default=("spec",), compare=False)


TRAINING, ATTENDING, EVALUATION, EXPORT = "training", "attending", "evaluation", "export"
"""Names of work by the libraries that it imports. To attend is to have another program train."""
_OPTIMIZERS = frozenset({
    "adamw_8bit", "adamw_bnb_8bit", "ademamix", "ademamix_8bit", "lion_8bit", "lion_32bit", "rmsprop_bnb",
    "rmsprop_bnb_8bit", "rmsprop_bnb_32bit",
})  # fmt: skip


def is_of_bitsandbytes(optimizer: object) -> bool:
    """Whether transformers takes an optimizer from bitsandbytes (``Trainer.get_optimizer_cls_and_kwargs``, 5.17)."""
    return isinstance(optimizer, str) and (optimizer in _OPTIMIZERS or optimizer.startswith("paged_"))
