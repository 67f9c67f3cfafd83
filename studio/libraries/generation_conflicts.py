"""Conflicts in generation settings (``GenerationConfig.validate`` and the logits processors that they lead to)."""

from __future__ import annotations

from collections.abc import Iterator

from studio.libraries.conflict import Conflict, Values, idle_unless, number, on
from studio.libraries.decided import NEW_TOKENS

NEUTRAL = {"temperature": (0, 1), "top_p": (1,), "top_k": (50, 0), "typical_p": (1,), "epsilon_cutoff": (0,)}
"""Values that say what is so anyway."""
SAMPLED_ONLY = ("temperature", "top_p", "top_k", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff")


def frozen_sampling(values: Values) -> Iterator[Conflict]:
    if values.get("do_sample") is True and values.get("temperature") == 0:
        yield Conflict("temperature", "temperature is 0, and do_sample is true", "write do_sample: false")


def length(values: Values) -> Iterator[Conflict]:
    least, most = number(values.get("min_new_tokens"), 0), number(values.get("max_new_tokens"), NEW_TOKENS)
    if least > most:
        message = f"min_new_tokens is {least:g}, above max_new_tokens, which is {most:g}"
        yield Conflict("min_new_tokens", message, f"write max_new_tokens: {least:g}")


def forced_and_suppressed(values: Values) -> Iterator[Conflict]:
    suppressed = values.get("suppress_tokens")
    for key in ("forced_bos_token_id", "forced_eos_token_id"):
        forced = values.get(key)
        tokens = forced if isinstance(forced, list) else [forced]
        if isinstance(suppressed, list) and forced is not None and all(token in suppressed for token in tokens):
            yield Conflict(key, f"{key} is one of suppress_tokens", "remove it from one of the two")


def greedy_sampling(values: Values) -> Iterator[Conflict]:
    """Jobs answer greedily unless they are told to sample."""
    if values.get("do_sample") is not True:
        for key in SAMPLED_ONLY:
            value = values.get(key)
            if value is not None and value not in NEUTRAL.get(key, ()):
                yield Conflict(
                    key, f"{key} has no effect without do_sample: true", f"write do_sample: true, or remove {key}"
                )


def _beams(values: Values) -> bool:
    return number(values.get("num_beams"), 1) > 1


CONTRADICTIONS = (frozen_sampling, length, forced_and_suppressed)
IDLE = (
    greedy_sampling,
    idle_unless("num_beams: 4", _beams, "early_stopping"),
    idle_unless("num_beams: 4", lambda values: _beams(values) or values.get("length_penalty") == 1, "length_penalty"),
    idle_unless(
        "use_cache: true", lambda values: values.get("use_cache") is not False, "cache_implementation", "cache_config"
    ),
    idle_unless(
        "return_dict_in_generate: true", lambda values: on(values.get("return_dict_in_generate")),
        "output_attentions", "output_hidden_states", "output_scores", "output_logits",
    ),
)  # fmt: skip
