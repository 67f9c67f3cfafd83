"""EV and EX: adapters that are asked in another way than they were trained."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.core.references import Ref
from studio.graph import producer
from studio.load import chat_templates
from studio.resources.adapter import Adapter
from studio.resources.evaluation_job import EvaluationJob
from studio.resources.model import Model
from studio.resources.model_export import InferenceTask, ModelExport
from studio.resources.prompt import Prompt, PromptFacts
from studio.rules.base import Breach, View, rule


def _trained_with(view: View, adapter: Ref | None) -> Prompt | None:
    """The prompt of the job that makes an adapter, or that its manifest names."""
    if adapter is None:
        return None
    job = producer(view.graph, adapter)
    named = view.graph.target(job or adapter, "spec", "prompt") if job or view.get(adapter, Adapter) else None
    return view.get(named, Prompt)


@rule("EV-041", EvaluationJob, severity=Severity.WARNING)
def asked_otherwise_than_trained(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """An adapter is asked in another way than it was trained.

    What it learnt answers the text that it saw: with another input template, without the chat template, or with another
    system turn it gives worse answers, and nothing in the numbers says why. What a prompt is called does not count.

    Bad:
        kind: FineTuningJob
        spec: {prompt: talk}
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: templates/chat.jinja
        ---
        kind: ModelExport
        spec: {task: llm/v1/chat}
        ---
        kind: EvaluationJob
        spec:
          prompt: route-ticket  # <-
    Good:
        kind: FineTuningJob
        spec: {prompt: talk}
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: templates/chat.jinja
        ---
        kind: EvaluationJob
        spec:
          prompt: talk
    """
    prompt = view.get(view.graph.target(job.ref, "spec", "prompt"), Prompt)
    told: set[tuple[str, Ref]] = set()
    for index, combination in enumerate(job.spec.model_adapter_combinations if prompt else ()):
        adapter = view.graph.target(job.ref, "spec", "model_adapter_combinations", index, "adapter")
        trained = _trained_with(view, adapter)
        how = _deviation(view, prompt, trained) if prompt and trained and trained.ref != prompt.ref else ""
        if prompt and trained and how and (combination.adapter, trained.ref) not in told:
            told.add((combination.adapter, trained.ref))
            message = f"{combination.adapter} was trained with {trained.ref}, and is asked {how} by {prompt.ref}"
            yield Breach("spec.prompt", message, f"write prompt: {trained.ref.name}, unless this is what you measure")


def _deviation(view: View, asked: Prompt, trained: Prompt) -> str:
    """How a question differs from those of training; "" where it does not, or nothing is known."""
    now, then = (view.facts(each.ref, PromptFacts) for each in (asked, trained))
    if asked.spec.is_chat != trained.spec.is_chat:
        return "with conversations, not texts," if asked.spec.is_chat else "with texts, not conversations,"
    if now is None or then is None:
        return ""
    if now.chat and then.chat:
        if now.chat.system != then.chat.system and not (now.chat.messages or then.chat.messages):
            return "with another system turn"
        if now.chat.template != then.chat.template:
            return "with another chat template"
        if now.chat.messages or then.chat.messages:
            return ""  # what the rows say
    return "with another input_template" if now.input_template != then.input_template else ""


@rule("EX-025", ModelExport, severity=Severity.WARNING)
def task_of_another_form(export: ModelExport, view: View) -> Iterator[Breach]:
    """The adapter learnt conversations and is registered for texts, or the other way round.

    With ``text-generation`` a caller's text reaches the model without its chat template, with ``llm/v1/chat`` every
    question is written by one: in both cases the model gets what it never saw in training.

    Bad:
        kind: FineTuningJob
        spec: {prompt: talk}
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: templates/chat.jinja
        ---
        kind: EvaluationJob
        spec: {prompt: talk}
        ---
        kind: ModelExport
        spec:
          task: text-generation  # <-
    Good:
        kind: FineTuningJob
        spec: {prompt: talk}
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: templates/chat.jinja
        ---
        kind: EvaluationJob
        spec: {prompt: talk}
        ---
        kind: ModelExport
        spec:
          task: llm/v1/chat
    """
    prompt = _trained_with(view, view.graph.target(export.ref, "spec", "adapter"))
    tasks = [task.value for task in InferenceTask]
    if prompt is None or export.is_endpoint or export.spec.task not in tasks:
        return
    adapter, task = export.spec.adapter, export.spec.task
    if prompt.spec.is_chat and task != InferenceTask.CHAT:
        message = f"{adapter} learnt the conversations of {prompt.ref}, and task {task} asks it with texts"
        yield Breach("spec.task", message, "write task: llm/v1/chat")
    elif not prompt.spec.is_chat and task == InferenceTask.CHAT and not _is_mute(view, export):
        message = f"{adapter} learnt the texts of {prompt.ref}, and task {task} asks it with conversations"
        yield Breach(
            "spec.task", message, "write task: llm/v1/completions, or train with a prompt that says chat: true"
        )


def _is_mute(view: View, export: ModelExport) -> bool:
    """Whether there is no chat template at all, which is a fault of its own (EX-021)."""
    model = view.get(view.graph.target(export.ref, "spec", "base_model"), Model)
    return model is None or chat_templates.has_own(model.spec, view.root) is False
