"""Where an Axolotl configuration names code: modules that Axolotl imports, kernels that it fetches and runs.

Rules say so before a job runs; ``studio/jobs`` acts on the same functions. What Axolotl ships is taken, unless jobs
have no use for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from studio.core.findings import Path
from studio.libraries.decided import MLFLOW, SUPERVISED, WHOLE
from studio.libraries.tables import table

OWN = "axolotl.integrations."
NO_USE: Mapping[str, str] = {
    "hatchery": "it trains in a service elsewhere",
    "llm_compressor": WHOLE,
    "lm_eval": "it evaluates with tasks of its own; write an EvaluationJob with tasks",
    "mora": "jobs train LoRA adapters",
    "nemo_gym": SUPERVISED,
    "spectrum": WHOLE,
    "swanlab": MLFLOW,
}
"""Axolotl's own integrations that are refused, and why."""
ATTENTION, PLUGINS, TYPE = "attn_implementation", "plugins", "type"
MODULES = (("trainer_cls",), ("trl", "reward_funcs"), ("trl", "rollout_func"), ("vllm", "serve_module"))
"""Keys whose value is the dotted name of something that is imported."""
ATTENTIONS = ((ATTENTION,), ("model_kwargs", ATTENTION), ("overrides_of_model_kwargs", ATTENTION))
"""Keys whose value may be the name of a kernel on the hub: compiled code."""
PREFERENCES = ("rl", "reward_model", "process_reward_model")
"""Settings under which data set types are those of another kind of training; jobs refuse them."""
HINT = "remove it: a training that needs code of its own is a user_script"


@dataclass(frozen=True, slots=True)
class Code:
    """Code that is named at ``path`` of a configuration, and why it is not run."""

    path: Path
    message: str
    hint: str = HINT


def named(values: Mapping[str, Any]) -> Iterator[Code]:
    """What is refused of a configuration."""
    yield from _plugins(values.get(PLUGINS))
    for path in MODULES:
        if said := _at(values, path):
            yield Code(path, f"{'.'.join(path)} imports {_shown(said)}: jobs run no code that a configuration names")
    for path in ATTENTIONS:
        said = _at(values, path)
        if isinstance(said, str) and "/" in said:
            message = f"{said!r} is a kernel on the hub: jobs run no code that a configuration names"
            yield Code(path, message, "write sdpa, eager, or flash_attention_2")
    if not any(map(values.get, PREFERENCES)):
        yield from _strategies(values.get("datasets"))


def _plugins(said: Any) -> Iterator[Code]:
    accepted = table("axolotl")
    shipped = accepted.facts[PLUGINS] if accepted else ()
    for index, name in enumerate(said if isinstance(said, list) else ()):
        if not isinstance(name, str):
            continue  # a value of the wrong type is another rule's
        full = name if name.startswith(OWN) else OWN + name
        integration = full.removeprefix(OWN).partition(".")[0]
        if full != name and full in shipped:
            yield Code((PLUGINS, index), f"the plugin {name!r} may be another module's", f"write {full}")
        elif full not in shipped:
            message = f"the plugin {name!r} is none of Axolotl's own: jobs run no code that a configuration names"
            yield Code((PLUGINS, index), message, f"{HINT}; Axolotl has {', '.join(_usable(shipped))}")
        elif why := NO_USE.get(integration):
            yield Code((PLUGINS, index), f"the plugin {name!r} is refused: {why}", "remove it")


def _usable(shipped: Iterable[str]) -> list[str]:
    """By the shortest name of each."""
    names = (name for name in shipped if name.count(".") == OWN.count(".") + 1)
    return [name for name in names if name.removeprefix(OWN).partition(".")[0] not in NO_USE]


def _strategies(datasets: Any) -> Iterator[Code]:
    for index, dataset in enumerate(datasets if isinstance(datasets, list) else ()):
        said = dataset.get(TYPE) if isinstance(dataset, dict) else None
        if isinstance(said, str) and is_module(said):
            message = f"the data set type {said!r} is a module of your own: jobs run no code that a configuration names"
            yield Code(("datasets", index, TYPE), message, "write a Prompt that makes the texts, and no type")


def is_module(type: str) -> bool:
    """Whether Axolotl would look for a data set type outside itself. ``alpaca:chat`` is alpaca in a style of its own;
    what begins with a type of Axolotl's is a misspelt one of those."""
    accepted = table("axolotl")
    known = set(accepted.facts["dataset_types"]) if accepted else set()
    head, dot, _ = type.partition(".")
    if type in known or (type.partition(":")[0] in known and ":load" not in type):
        return False
    return bool(dot) and head not in {name.partition(".")[0] for name in known} and not head.startswith("sharegpt")


def _at(values: Any, path: Iterable[str]) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _shown(said: Any) -> str:
    return ", ".join(map(str, said)) if isinstance(said, list) else str(said)
