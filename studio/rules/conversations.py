"""FT and EV: jobs whose rows are conversations."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.references import Ref
from studio.load import chat_templates
from studio.resources.evaluation_job import EvaluationJob
from studio.resources.fine_tuning_job import FineTuningJob, Framework, Loss
from studio.resources.model import Model
from studio.resources.prompt import Prompt
from studio.rules.base import Breach, View, rule

HINT = "use a model made for chats, or write chat_template in the prompt: a Jinja file of the project"


def _prompt(view: View, job: Ref) -> Prompt | None:
    return view.get(view.graph.target(job, "spec", "prompt"), Prompt)


def _needs_template(view: View, prompt: Prompt | None) -> bool:
    """Whether conversations are left to the template of the model."""
    silent = prompt is not None and prompt.spec.is_chat and not prompt.spec.chat_template
    return prompt is not None and silent and not view.manifests[prompt.ref].is_damaged("chat_template")


def _mute(view: View, ref: Ref | None) -> Model | None:
    """A model that is known to have no chat template."""
    model = view.get(ref, Model)
    return model if model and chat_templates.has_own(model.spec, view.root) is False else None


@rule("FT-039", FineTuningJob)
def no_assistant_in_text(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The loss is to be taken on what the assistant says, and rows are texts without an assistant.

    Bad:
        kind: FineTuningJob
        spec:
          loss: assistant  # <-
    Good:
        kind: FineTuningJob
        spec:
          loss: completion
    """
    prompt = _prompt(view, job.ref)
    unsaid = prompt is not None and view.manifests[prompt.ref].is_damaged("chat", "messages")
    if job.spec.loss == Loss.ASSISTANT and prompt and not (prompt.spec.is_chat or unsaid):
        message = f"loss: assistant, but {prompt.ref} makes texts, in which nobody speaks"
        yield Breach("spec.loss", message, f"write loss: completion, or chat: true in {prompt.ref}")


@rule("FT-040", FineTuningJob)
def model_without_chat_template(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """Rows are conversations, and neither the base model nor the prompt has a template that makes text of them.

    Bad:
        kind: FineTuningJob
        spec:
          base_model: tiny-llama  # <-
          prompt: talk
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: ""
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
    """
    prompt, model = _prompt(view, job.ref), _mute(view, view.graph.target(job.ref, "spec", "base_model"))
    if model and _needs_template(view, prompt):
        yield Breach("spec.base_model", f"the tokenizer of {model.ref} has no chat template", HINT)


@rule("FT-041", FineTuningJob)
def conversations_for_axolotl(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A prompt makes conversations for Axolotl, which has its own way to read them.

    Axolotl reads conversations by the dataset type ``chat_template`` of its own configuration. A prompt would have to
    say the same thing once more, and what it says about templates would not count.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config: {datasets: [{path: data/tickets.csv, type: alpaca}]}
          prompt: talk  # <-
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: templates/chat.jinja
    Good:
        kind: FineTuningJob
        spec:
          framework_type: legacy
          prompt: talk
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: templates/chat.jinja
    """
    prompt = _prompt(view, job.ref)
    if prompt and prompt.spec.is_chat and job.spec.framework_type == Framework.AXOLOTL:
        message = f"{prompt.ref} makes conversations, which axolotl reads by its own dataset type"
        yield Breach("spec.prompt", message, "write framework_type: legacy, or remove the prompt")


@rule("EV-036", EvaluationJob)
def no_chat_template_to_ask_with(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """Rows are conversations, and a model of a combination has no template that makes text of them.

    An adapter that was trained with a chat template keeps it. The base model alone has only its own.

    Bad:
        kind: EvaluationJob
        spec:
          model_adapter_combinations:
            - base_model: tiny-llama  # <-
            - {base_model: tiny-llama, adapter: ticket-router}
          prompt: talk
        ---
        kind: Prompt
        metadata: {name: talk}
        spec:
          chat: true
          prompt_template: ""
          input_template: "{text}"
          completion_template: "{queue}"
          chat_template: ""
    Good:
        kind: EvaluationJob
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
    """
    prompt = _prompt(view, job.ref)
    if not _needs_template(view, prompt):
        return
    for index, combination in enumerate(job.spec.model_adapter_combinations):
        where = ("spec", "model_adapter_combinations", index, "base_model")
        model = _mute(view, view.graph.target(job.ref, *where)) if not combination.adapter else None
        if model:
            yield Breach(where, f"the tokenizer of {model.ref} has no chat template", HINT)
