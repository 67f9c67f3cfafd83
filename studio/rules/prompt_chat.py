"""PR: prompts that make conversations."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.suggest import did_you_mean
from studio.load import chat_templates, conversations, datasets
from studio.load.observation import Defect
from studio.resources.dataset import Dataset, DatasetFacts
from studio.resources.prompt import Prompt, PromptFacts, PromptSpec
from studio.rules.base import Breach, View, rule
from studio.rules.prompts import names_no_column

TEMPLATES = ("prompt_template", "input_template", "completion_template")
WRITTEN = (*TEMPLATES, "generate", "chat", "system", "examples")
"""What says how a row becomes text, where no column holds a conversation."""


@rule("PR-020", Prompt)
def forms_mixed(prompt: Prompt, view: View) -> Iterator[Breach]:
    """The prompt says two things about how rows become conversations.

    There are three forms: the three templates make one text; ``messages`` names a column that holds conversations; and
    ``chat: true`` makes one of input_template, what the user says, and completion_template, what the assistant answers,
    with ``system`` before them if it is written. The chat template writes the whole, so there is no prompt_template.

    Bad:
        kind: Dataset
        metadata: {name: chats}
        spec: {type: project_jsonl, location: data/chats.jsonl}
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          dataset: chats
          messages: messages
          prompt_template: "{messages}"  # <-
          input_template: ""
          completion_template: ""
    Good:
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          system: "Name the queue that answers this customer."
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
    """
    spec = prompt.spec
    for field in _superfluous(spec):
        if spec.messages:
            yield Breach(f"spec.{field}", f"messages and {field}: a row's conversation is made in one way", _REMOVE)
        else:
            yield Breach(f"spec.{field}", f"{field} has no place beside chat: true", _HINTS[field])
    unsaid = view.manifests[prompt.ref].is_damaged("chat", "messages")
    for field in ("system", "chat_template") if not (spec.is_chat or unsaid) else ():
        if getattr(spec, field):
            message = f"{field} without {'chat' if field == 'system' else 'a conversation'}: it would be in no row"
            yield Breach(f"spec.{field}", message, "write chat: true, and remove prompt_template; or remove it")
    for index, example in enumerate(spec.examples if spec.chat and not spec.messages else ()):
        if example.prompt is not None:
            message = "the whole text of a conversation is the chat template's"
            yield Breach(("spec", "examples", index, "prompt"), message, "write what input and completion become")


_REMOVE = "remove one of them"
_HINTS = {
    "prompt_template": "remove it: the chat template writes the whole text",
    "generate": "write input_template and completion_template: a generated input is no turn of a user",
}


def _superfluous(spec: PromptSpec) -> list[str]:
    if spec.messages:
        return [field for field in WRITTEN if getattr(spec, field)]
    written = any(getattr(spec, field) for field in TEMPLATES)  # PR-011 reports generate beside them
    return [f for f in _HINTS if spec.chat and getattr(spec, f) and not (f == "generate" and written)]


@rule("PR-021", Prompt)
def no_column_of_conversations(prompt: Prompt, view: View) -> Iterator[Breach]:
    """The column that should hold conversations is not one of the data set.

    Bad:
        kind: Dataset
        metadata: {name: chats}
        spec: {type: project_jsonl, location: data/chats.jsonl}
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          dataset: chats
          messages: mesages  # <-
          prompt_template: ""
          input_template: ""
          completion_template: ""
    Good:
        kind: Dataset
        metadata: {name: chats}
        spec: {type: project_jsonl, location: data/chats.jsonl}
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          dataset: chats
          messages: messages
          prompt_template: ""
          input_template: ""
          completion_template: ""
    """
    columns = view.columns(view.graph.target(prompt.ref, "spec", "dataset"))
    column = prompt.spec.messages
    if column and columns and column not in columns:
        message = f"{column!r} is not a column of {prompt.spec.dataset!r}"
        yield Breach("spec.messages", message, did_you_mean(column, columns))
    elif names_no_column(prompt.spec):
        yield Breach("spec.messages", "messages names no column", did_you_mean(column, columns))


@rule("PR-022", Prompt)
def row_without_conversation(prompt: Prompt, view: View) -> Iterator[Breach]:
    """A row holds no conversation that could be learnt from.

    A conversation is a list of turns, each with a role (system, developer, user, assistant or tool) and content, which
    is text. Somebody asks before the assistant answers, and the assistant answers at least once. Nothing else may be in
    a turn, because it would not be read.

    Bad:
        kind: Dataset
        metadata: {name: torn-chats}
        spec: {type: project_jsonl, location: data/torn-chats.jsonl}
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          dataset: torn-chats
          messages: messages  # <-
          prompt_template: ""
          input_template: ""
          completion_template: ""
    Good:
        kind: Dataset
        metadata: {name: chats}
        spec: {type: project_jsonl, location: data/chats.jsonl}
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          dataset: chats
          messages: messages
          prompt_template: ""
          input_template: ""
          completion_template: ""
    """
    ref, column = view.graph.target(prompt.ref, "spec", "dataset"), prompt.spec.messages
    dataset, facts = view.get(ref, Dataset), view.facts(ref, DatasetFacts)
    path = datasets.local_file(dataset.spec, view.root) if dataset and facts and facts.rows else None
    if dataset is None or path is None or column not in facts.features:
        return
    if path.suffix == ".csv":
        message = f"{dataset.spec.location!r} is a CSV file, whose cells are text: {column!r} holds no list of turns"
        yield Breach("spec.messages", message, "keep conversations in a JSON lines file, type: project_jsonl")
        return
    found = conversations.faults(path, dataset.spec.location, column)
    if found is None:
        return
    more = f" ({found.bad:,} of {found.rows:,} rows hold none)" if found.bad > len(found.told) else ""
    for number, (message, hint) in enumerate(found.told, 1):
        yield Breach("spec.messages", message + (more if number == len(found.told) else ""), hint)


@rule("PR-023", Prompt)
def unreadable_chat_template(prompt: Prompt, view: View) -> Iterator[Breach]:
    """The file of the chat template cannot be read.

    It is a Jinja file in the project, as UTF-8 text of at most 64 KiB. Nothing of it runs before a job does, and there
    in a sandbox.

    Bad:
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: templates/chat.jinja2  # <-
    Good:
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: templates/chat.jinja
    """
    unusable = view.unusable(prompt.ref)
    if unusable and unusable.defect is not Defect.OUTSIDE:  # SEC-001 reports that
        yield Breach("spec.chat_template", unusable.message, unusable.hint)


@rule("PR-024", Prompt)
def broken_chat_template(prompt: Prompt, view: View) -> Iterator[Breach]:
    """The chat template is no Jinja, or asks for something that chat templates do not have.

    It is parsed here, and nothing of it runs. The job would end at its first row, without the name of the file. Other
    templates cannot be included: a chat template stands alone. Filters, tests and tags are those of transformers.

    Bad:
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: templates/broken.jinja  # <-
    Good:
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: templates/chat.jinja
    """
    facts = view.facts(prompt.ref, PromptFacts)
    text = facts.chat.template if facts and facts.chat else ""
    found = chat_templates.flaw(text, prompt.spec.chat_template) if text else None
    if found:
        yield Breach("spec.chat_template", *found)
