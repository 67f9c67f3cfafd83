"""Keys by which a training is watched, and which decide nothing about what comes out of it.

A change of one of them makes no job run again. What decides when to evaluate or to save is not among them: both may
touch random numbers or choose the weights that are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studio.libraries.decided import IGNORED

LOGGED = "says how often, or how, the losses are written down"
SHOWN = "says what is printed while it trains"
COUNTED = "says what is counted beside the training"

WATCHING: Mapping[str, Mapping[str, str]] = {
    "training_arguments": {
        "logging_steps": LOGGED,
        "logging_strategy": LOGGED,
        "logging_first_step": LOGGED,
        "logging_dir": LOGGED,
        "logging_nan_inf_filter": LOGGED,
        "log_level": SHOWN,
        "log_level_replica": SHOWN,
        "log_on_each_node": SHOWN,
        "disable_tqdm": SHOWN,
        "report_to": LOGGED,
        "include_num_input_tokens_seen": COUNTED,
        "include_tokens_per_second": COUNTED,
        "skip_memory_metrics": COUNTED,
    },
    "axolotl": {"logging_steps": LOGGED},
}
"""Config type to key to why it determines nothing."""


def determining(type: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration determines an outcome: without what only watches, and what jobs decide themselves."""
    left = {*WATCHING.get(type, ()), *IGNORED.get(type, ())}
    return {key: value for key, value in content.items() if key not in left}
