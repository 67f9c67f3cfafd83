"""A combination answers the questions, and its answers are measured."""

from __future__ import annotations

import time
from dataclasses import dataclass

from studio.core.jobspec import Combination
from studio.jobs.evaluation import asking, harness, judging, metrics
from studio.jobs.evaluation.asking import Loaded
from studio.jobs.evaluation.judgements import Judgement
from studio.jobs.evaluation.metrics import Answers, Scores
from studio.jobs.evaluation.session import Session
from studio.jobs.model import adapters, generation, lora, scoring, tokenizers


@dataclass(frozen=True, slots=True)
class Measured:
    """The answers of one combination, the scores of its rows, and its metrics."""

    answers: Answers
    scores: Scores
    metrics: dict[str, float]
    judgements: dict[str, dict[int, Judgement]]
    tasks: harness.Found


def measure(session: Session, combination: Combination, loaded: Loaded) -> Measured:
    adapter = combination.adapter
    if adapter is None:
        return _answer(session, loaded)
    folder = adapters.folder(adapter, session.spec)
    with lora.attached(loaded.model, folder, adapter.name) as adapted:
        template = tokenizers.template_in(folder)
        return _answer(session, Loaded(adapter.name, adapted, loaded.tokenizer, template))


def _answer(session: Session, loaded: Loaded) -> Measured:
    """Answers and their metrics, computed while the adapter is attached: perplexity asks the model again."""
    started = time.perf_counter()
    model, tokenizer, asked = loaded.model, loaded.tokenizer, session.questions
    config = generation.settings(session.work.generation, tokenizer, model.generation_config)
    put = asking.put(asked, session.work.templates.chat, loaded)
    generated = generation.generate(model, tokenizer, put.texts, config, session.answered, put.special)
    if generated.cut:
        session.events.write("evaluate", f"{generated.cut} prompts lost their beginning: the model has no room")

    def losses() -> list[tuple[float, int]]:
        fitting = [each.end(generation.positions(model)) for each in put.encoded()]
        return scoring.losses(model, fitting, int(tokenizer.pad_token_id))

    def tokens() -> list[int]:
        return [len(ids) for ids in tokenizer(list(generated.texts), add_special_tokens=False)["input_ids"]]

    answers = Answers(generated.texts, tuple(asked.expected), generated.seconds, losses, tokens)
    scores = metrics.score(session.work.metrics, answers)
    tasks = harness.evaluated(session.harness, loaded, session.events)  # may fail, and judges are paid
    judged = {each.work.name: judging.judged(each, asked.prompts, answers, session.events) for each in session.judges}
    scores |= {name: judging.scores(found, len(asked.prompts)) for name, found in judged.items()}
    computed = metrics.compute((*session.work.metrics, *judged), answers, scores)
    session.working_seconds += time.perf_counter() - started
    return Measured(answers, scores, computed | tasks.metrics, judged, tasks)
