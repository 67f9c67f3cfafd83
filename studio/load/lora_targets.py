"""Which modules of a model a LoRA configuration adapts, found as PEFT 0.21 finds them (tuners_utils)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from studio.core.patterns import NotUnderstood, matching
from studio.load.model_shape import HEAD
from studio.memory import Adapted
from studio.resources.model import ModelShape, Module

RANK = 8
"""Of a LoraConfig that says nothing."""
MOST = 1 << 16
"""A rank beyond this is no rank."""
MOST_PATTERNS = 256
"""Of ranks; each may take a quarter of a second, and a stranger may write thousands."""
ALL_LINEAR = "all-linear"
ROOTS = frozenset({"model", "transformer", "gpt_neox"})
"""Outermost modules of complete models. Files of a bare backbone lack them, and the loaded model adds them."""
_NOT_LINEAR = frozenset({"wte", "wpe", HEAD})
"""What all-linear leaves out, besides embeddings of other names."""
_VALUES_AND_QUERIES = ("q_proj", "v_proj")
DEFAULTS: dict[str, tuple[str, ...]] = {
    "gpt2": ("c_attn",),
    "bloom": ("query_key_value",),
    "gpt_neox": ("query_key_value",),
    "falcon": ("query_key_value",),
    "phi": ("q_proj", "v_proj", "fc1", "fc2"),
    "mpt": ("Wqkv",),
    "gpt_bigcode": ("c_attn",),
} | dict.fromkeys(
    ("opt", "gptj", "gpt_neo", "llama", "mistral", "mixtral", "stablelm", "gemma", "gemma2", "gemma3_text", "qwen2",
     "qwen3"),
    _VALUES_AND_QUERIES,
)  # fmt: skip
"""What PEFT adapts when nothing is said, by the model's type (its LORA_TARGET_MODULES_MAPPING)."""


@dataclass(frozen=True, slots=True)
class Index:
    """A model's modules, ready to be asked."""

    matrices: tuple[Module, ...]
    names: frozenset[str]
    endings: frozenset[str]
    """Every name, and what follows each of its dots."""
    by_last: Mapping[str, tuple[Module, ...]]
    complete: bool
    """Whether names begin as they do in the loaded model."""

    def has(self, name: str) -> bool:
        """Whether PEFT would find a module for an entry of target_modules."""
        return name in self.endings or (not self.complete and any(tail in self.names for tail in _tails(name)))

    def ending_in(self, name: str) -> Iterable[Module]:
        return (each for each in self.by_last.get(name.rpartition(".")[2], ()) if _ends(each.name, name))


@lru_cache(maxsize=256)
def index(shape: ModelShape) -> Index:
    """The modules of a model; the head is one of them even where it shares the weights of the embedding."""
    held = list(shape.matrices)
    if all(_last(each) != HEAD for each in held):
        held.append(Module(HEAD, shape.vocabulary, shape.hidden))
    by_last: dict[str, list[Module]] = {}
    for each in held:
        by_last.setdefault(_last(each), []).append(each)
    modules = shape.modules or frozenset()
    endings = frozenset(ending for name in modules for ending in (name, *_tails(name)))
    grouped = {last: tuple(group) for last, group in by_last.items()}
    return Index(tuple(held), modules, endings, grouped, any(root in modules for root in ROOTS))


def _tails(name: str) -> Iterable[str]:
    """What follows each dot."""
    while "." in name:
        name = name.partition(".")[2]
        yield name


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


def _last(module: Module) -> str:
    return module.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A LoRA configuration; its text is its identity, so that many jobs with the same one are counted once."""

    text: str
    lora: Mapping[str, Any] = field(compare=False)


def adapted(shape: ModelShape, lora: Mapping[str, Any]) -> Adapted | None:
    """What the adapter adds; None where its size cannot be told."""
    return _adapted(shape, _Wanted(repr(lora), lora))


@lru_cache(maxsize=4096)
def _adapted(shape: ModelShape, wanted: _Wanted) -> Adapted | None:
    lora = wanted.lora
    rank, patterns = lora.get("r", RANK), lora.get("rank_pattern")
    if isinstance(patterns, dict) and len(patterns) > MOST_PATTERNS:
        return None
    if type(rank) is not int or not 0 < rank <= MOST or lora.get("use_dora") or lora.get("target_parameters"):
        return None
    found = _targets(shape, lora.get("target_modules"))
    if not found:
        return None
    ranks = _ranks(found, rank, patterns)
    layers = lora.get("layers_to_transform")
    if layers is not None:
        chosen = layers if isinstance(layers, list) else [layers]
        found = [each for each in found if _layer(each.name) in chosen]
    shared = {(each.name.rpartition(".")[0], each.columns) for each in found}
    return Adapted(
        parameters=sum(ranks[each] * (each.rows + each.columns) for each in found) + _saved(shape, lora),
        inputs=sum(each.columns for each in found),
        shared_inputs=sum(width for _, width in shared),
        ranks=sum(ranks[each] for each in found),
    )


def _targets(shape: ModelShape, wanted: Any) -> list[Module]:
    known = index(shape)
    if wanted is None:
        wanted = list(DEFAULTS.get(shape.type, ()))
    if isinstance(wanted, list):
        names = {name for name in wanted if isinstance(name, str)}
        return sorted({each for name in names for each in known.ending_in(name)}, key=lambda each: each.name)
    if not isinstance(wanted, str):
        return []
    if wanted.lower() == ALL_LINEAR:
        return [each for each in known.matrices if "embed" not in _last(each) and _last(each) not in _NOT_LINEAR]
    try:
        matched = set(matching(wanted, (each.name for each in known.matrices)))
    except NotUnderstood:
        return []
    return [each for each in known.matrices if each.name in matched]


def _ranks(found: Iterable[Module], rank: int, patterns: Any) -> dict[Module, int]:
    """The rank of each module: that of the first pattern that matches the end of its name, else the common one."""
    ranks = dict.fromkeys(found, rank)
    for pattern, own in reversed(patterns.items() if isinstance(patterns, dict) else ()):
        if not isinstance(pattern, str) or type(own) is not int or not 0 < own <= MOST:
            continue
        try:
            hit = set(matching(rf"(.*\.)?({pattern})", (each.name for each in ranks)))
        except NotUnderstood:
            continue
        ranks |= {each: own for each in ranks if each.name in hit}
    return ranks


def _layer(name: str) -> int:
    """The first number in a name: the layer that the module is in; -1 outside the layers."""
    return next((int(part) for part in name.split(".") if part.isdecimal()), -1)


def _saved(shape: ModelShape, lora: Mapping[str, Any]) -> int:
    """Numbers of the modules that are trained in full, as copies."""
    wanted = lora.get("modules_to_save")
    names = {name for name in wanted if isinstance(name, str)} if isinstance(wanted, list) else set()
    return sum(each.rows * each.columns for name in names for each in index(shape).ending_in(name))
