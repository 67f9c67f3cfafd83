"""PR: prompts (guide, Prompt Validation)."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.enumerations import members
from studio.core.references import Ref
from studio.core.suggest import did_you_mean
from studio.load.problems import Fault
from studio.resources.prompt import Prompt, PromptSpec, PromptType
from studio.rules.base import Breach, View, rule

NAME = ("metadata", "name")


@rule("PR-001")
def name_missing_or_taken(view: View) -> Iterator[Breach]:
    """The prompt has no name, or another prompt has the same one.

    Jobs refer to it by name.

    Bad:
        kind: Prompt
        metadata:
          name: ""  # <-
    Good:
        kind: Prompt
        metadata:
          name: route-ticket-briefly
    """
    message, hint = "the prompt has no name", "write metadata.name, such as route-ticket"
    for prompt, source in view.each(Prompt):
        if not prompt.metadata.name:
            yield Breach(NAME, message, hint, prompt.ref, source)
    for problem in view.problems:
        if problem.fault is not Fault.DUPLICATE_RESOURCE or not problem.resource or problem.resource.kind != "Prompt":
            continue
        if problem.resource == Ref("Prompt", ""):
            yield Breach(NAME, message, hint, source=problem.source)
        else:
            yield Breach("", "", "", problem=problem)


@rule("PR-002", Prompt)
def no_dataset(prompt: Prompt, view: View) -> Iterator[Breach]:
    """The prompt names no data set.

    Its placeholders are columns; without the data set nobody can check them.

    Bad:
        kind: Prompt
        spec:
          dataset: ""  # <-
    Good:
        kind: Prompt
        spec:
          dataset: tickets
    """
    if not prompt.spec.dataset:
        yield Breach("spec.dataset", "dataset is missing", did_you_mean("", view.graph.names("Dataset")))


def _missing(prompt: Prompt, view: View, field: str, hint: str) -> Iterator[Breach]:
    spec = prompt.spec
    damaged = {path[:2] for path in view.manifests[prompt.ref].damaged}
    if damaged & {("spec", "messages"), ("spec", "generate"), ("spec", "chat")}:
        return  # what was meant by it, once it is mended, decides whether templates are needed
    unneeded = spec.generate or spec.messages or (spec.chat and field == "prompt_template")
    if not unneeded and not getattr(spec, field).strip() and not names_no_column(spec):
        advice = _OF_CHATS[field] if spec.chat else f"{hint}; or write generate: true"
        yield Breach(f"spec.{field}", f"{field} is missing", advice)


_OF_CHATS = {
    "input_template": "write what the user says, with columns of the data set in braces",
    "completion_template": "write what the assistant answers, with columns of the data set in braces",
}


def names_no_column(spec: PromptSpec) -> bool:
    """Whether a column of conversations was meant, and left empty."""
    others = (spec.prompt_template, spec.input_template, spec.completion_template)
    return "messages" in spec.model_fields_set and not any((spec.messages, spec.chat, spec.generate, *others))


@rule("PR-003", Prompt)
def no_prompt_template(prompt: Prompt, view: View) -> Iterator[Breach]:
    """The prompt has no prompt_template, which is the whole text of a row.

    Bad:
        kind: Prompt
        spec:
          prompt_template: ""  # <-
    Good:
        kind: Prompt
        spec:
          prompt_template: "### CUSTOMER: {text}\\n### QUEUE: {queue}"
    """
    yield from _missing(prompt, view, "prompt_template", "write input and completion, one after the other")


@rule("PR-004", Prompt)
def no_input_template(prompt: Prompt, view: View) -> Iterator[Breach]:
    """The prompt has no input_template, which is what the model is shown.

    Bad:
        kind: Prompt
        spec:
          input_template: ""  # <-
    Good:
        kind: Prompt
        spec:
          input_template: "### CUSTOMER: {text}\\n### QUEUE:"
    """
    yield from _missing(prompt, view, "input_template", "write the part of prompt_template before the answer")


@rule("PR-005", Prompt)
def no_completion_template(prompt: Prompt, view: View) -> Iterator[Breach]:
    """The prompt has no completion_template, which is what the model must answer.

    Bad:
        kind: Prompt
        spec:
          completion_template: ""  # <-
    Good:
        kind: Prompt
        spec:
          completion_template: " {queue}"
    """
    yield from _missing(prompt, view, "completion_template", "write the answer's part of prompt_template")


@rule("PR-006", Prompt)
def unknown_type(prompt: Prompt, view: View) -> Iterator[Breach]:
    """The type of the prompt is unknown.

    Bad:
        kind: Prompt
        spec:
          type: inplace  # <-
    Good:
        kind: Prompt
        spec:
          type: in_place
    """
    found = prompt.spec.type
    if found not in members(PromptType):
        yield Breach("spec.type", f"type is {found!r}; it must be in_place", did_you_mean(found, PromptType))


@rule("PR-011", Prompt)
def templates_and_generate(prompt: Prompt, view: View) -> Iterator[Breach]:
    """Templates are written, and generate asks for derived ones.

    Only one of them can be in force, and nobody could tell which.

    Bad:
        kind: Prompt
        spec:
          generate: true  # <-
          input_template: "### CUSTOMER: {text}\\n### QUEUE:"
    Good:
        kind: Prompt
        spec:
          generate: false
          input_template: "### CUSTOMER: {text}\\n### QUEUE:"
    """
    spec = prompt.spec
    written = [f for f in ("prompt_template", "input_template", "completion_template") if getattr(spec, f)]
    if spec.generate and written:
        message = f"generate is true, and {' and '.join(written)} {'is' if len(written) == 1 else 'are'} written"
        yield Breach("spec.generate", message, "remove generate, or the templates")


@rule("PR-012", Prompt)
def nothing_to_generate_from(prompt: Prompt, view: View) -> Iterator[Breach]:
    """Templates are to be derived from a data set whose columns are not known.

    The columns of a file are read from it; those of a folder or of the hub must be declared.

    Bad:
        apiVersion: studio/v1
        kind: Dataset
        metadata: {name: replies}
        spec:
          type: huggingface
          huggingface_name: acme/replies
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
        ---
        apiVersion: studio/v1
        kind: Prompt
        metadata: {name: reply}
        spec:
          dataset: replies
          generate: true  # <-
    Good:
        apiVersion: studio/v1
        kind: Dataset
        metadata: {name: replies}
        spec:
          type: huggingface
          huggingface_name: acme/replies
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
          features: [text, reply]
        ---
        apiVersion: studio/v1
        kind: Prompt
        metadata: {name: reply}
        spec:
          dataset: replies
          generate: true
    """
    dataset = view.graph.target(prompt.ref, "spec", "dataset")
    if prompt.spec.generate and dataset and not view.unusable(dataset) and not view.columns(dataset):
        yield Breach("spec.generate", f"the columns of {dataset} are not known", f"declare the features of {dataset}")
