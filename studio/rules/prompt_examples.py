"""PR: examples of what templates make of a row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from studio.core.suggest import did_you_mean
from studio.core.templates import Template, TemplateError, parse
from studio.resources.prompt import Prompt, PromptExample, PromptFacts
from studio.rules.base import Breach, View, rule

TEXTS = ("prompt", "input", "completion")
SHOWN = 24
"""Characters that are quoted from the first difference on."""


@rule("PR-017", Prompt)
def example_differs(prompt: Prompt, view: View) -> Iterator[Breach]:
    """An example is not what the templates make of its row.

    Examples say in the pull request what the model will see, to the last space. A template that changed without its
    examples was changed by mistake, or its examples have to follow.

    Bad:
        kind: Prompt
        spec:
          examples:
            - row: {text: my card is gone, queue: card}
              completion: "card"  # <-
    Good:
        kind: Prompt
        spec:
          examples:
            - row: {text: my card is gone, queue: card}
              input: "### CUSTOMER: my card is gone\\n### QUEUE:"
              completion: " card"
    """
    facts = view.facts(prompt.ref, PromptFacts)
    columns = view.columns(view.graph.target(prompt.ref, "spec", "dataset"))
    for index, example in enumerate(prompt.spec.examples):
        where = f"spec.examples.{index}"
        if all(getattr(example, text) is None for text in TEXTS):
            hint = f"write one of {', '.join(TEXTS)}: what the row must become"
            yield Breach(where, "the example expects nothing", hint)
        for name in example.row if columns else ():
            if name not in columns:
                message = f"the row has {name!r}, which is not a column of {prompt.spec.dataset!r}"
                yield Breach((*_path(index), "row", name), message, did_you_mean(name, columns))
        if facts:
            yield from _differences(example, facts, index)


def _differences(example: PromptExample, facts: PromptFacts, index: int) -> Iterator[Breach]:
    for text in TEXTS:
        expected = getattr(example, text)
        written = getattr(facts, f"{text}_template")
        template = _parsed(written) if written else None  # PR-003 to PR-005 report templates that are not there
        if expected is None or template is None:
            continue
        absent = [field for field in template.fields if field not in example.row]
        if absent:
            message = f"the row has no {absent[0]!r}, which {text}_template uses"
            yield Breach((*_path(index), "row"), message, f"add {absent[0]} to the row")
        elif (rendered := template.render(example.row)) != expected:
            yield Breach((*_path(index), text), _told(text, expected, rendered), "correct the example or the template")


def _told(text: str, expected: str, rendered: str) -> str:
    """The first difference, with the character at which it is."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(expected, rendered, strict=False))
    at = sum(1 for _ in same)
    told = [f"{part[at : at + SHOWN]!r}" if part[at:] else "nothing more" for part in (rendered, expected)]
    return f"{text}, character {at + 1}: the template gives {told[0]}, the example expects {told[1]}"


def _path(index: int) -> tuple[str | int, ...]:
    return ("spec", "examples", index)


def _parsed(text: str) -> Template | None:
    try:
        return parse(text)
    except TemplateError:
        return None
