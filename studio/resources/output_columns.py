"""Names that output columns usually have, best first (guide, Auto-Generation from Dataset Columns)."""

from __future__ import annotations

import re

_PLAIN = (
    "answer", "response", "output", "completion", "target", "label", "reply", "solution", "result", "summary",
    "translation", "prediction", "expected", "gold", "reference", "ground_truth", "truth", "assistant", "bot", "chosen",
    "accepted", "generation", "generated_text", "class", "category", "intent", "queue", "tag", "topic", "sentiment",
    "rating", "score", "verdict", "decision", "conclusion", "explanation", "rationale", "headline", "title",
    "highlights", "abstract", "sql", "code", "program", "y",
)  # fmt: skip
"""Words that name an output by themselves; the later ones may name an input as well."""
_UNCOUNTED = {"expected", "gold", "ground_truth", "truth", "chosen", "accepted", "highlights", "sql", "code", "y"}
_STEMS = (
    "answer", "response", "output", "completion", "target", "label", "reply", "solution", "result", "summary",
    "translation", "prediction", "generation", "class", "category", "intent", "text", "message", "sentence", "code",
)  # fmt: skip
"""Words that the forms below turn into names of outputs."""
_FORMS = (
    "expected_{}", "correct_{}", "gold_{}", "true_{}", "target_{}", "reference_{}", "ground_truth_{}", "ideal_{}",
    "best_{}", "final_{}", "accepted_{}", "chosen_{}", "preferred_{}", "assistant_{}", "bot_{}", "model_{}",
    "generated_{}", "predicted_{}",
)  # fmt: skip
_ENDINGS = ("{}_text", "{}_value", "{}_name", "{}_label", "{}_content", "{}_string")
_ENDED = _STEMS[: _STEMS.index("text")]
"""``text_text`` and its like name nothing."""


def _plural(word: str) -> str:
    if word[-1] == "y" and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word[-1] == "s" else f"{word}s"


def _ranked() -> tuple[str, ...]:
    names = [*_PLAIN, *(_plural(word) for word in _PLAIN if word not in _UNCOUNTED)]
    names += [form.format(stem) for stem in _STEMS for form in _FORMS]
    names += [ending.format(stem) for stem in _ENDED for ending in _ENDINGS]
    return tuple(dict.fromkeys(names))


OUTPUT_COLUMNS = _ranked()
_RANK = {name: rank for rank, name in enumerate(OUTPUT_COLUMNS)}
_JOINT = re.compile(r"[\s\-]+|(?<=[a-z0-9])(?=[A-Z])")


def output_column(columns: tuple[str, ...]) -> str:
    """The column with the best-ranked name, else the last one. ``Best Answer`` and ``bestAnswer`` are ``best_answer``;
    among equals the first column wins."""
    ranked = [(_RANK[name], index) for index, name in enumerate(map(_folded, columns)) if name in _RANK]
    return columns[min(ranked)[1]] if ranked else columns[-1]


def _folded(column: str) -> str:
    return _JOINT.sub("_", column.strip()).lower()
