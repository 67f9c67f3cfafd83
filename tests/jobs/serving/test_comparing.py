"""A base model and what was made of it, asked the same: each answers as it does alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from studio.core.errors import JobError
from studio.core.servingspec import ServingSpec
from studio.jobs.serving import comparing, serving
from studio.jobs.serving.answering import Halt
from studio.jobs.serving.comparing import Pair, Telling, Told
from studio.jobs.serving.requests import Ask

from .serving_bench import CHAT, PROMPTS, spec_of, write_adapter

ASKS = [Ask(prompt, temperature=0, seed=1) for prompt in PROMPTS[:3]]


def compared(
    subject: ServingSpec, base: ServingSpec | None = None, asks: Sequence[Ask] = ASKS
) -> tuple[dict[Pair, Told], list[str]]:
    """What was told at last, and everything that happened, in its order."""
    told: dict[Pair, Told] = {}
    log: list[str] = []
    comparing.compare(
        subject,
        base,
        asks,
        Telling(
            begin=lambda pair: log.append(f"begin {pair}"),
            say=lambda pair, text: log.append(text),
            end=lambda pair, answer: told.update({pair: answer}),
        ),
    )
    return told, log


def alone(spec: ServingSpec, asks: Sequence[Ask] = ASKS) -> list[str]:
    with serving.opened(spec) as served:
        return [served.answer(ask, served.join(), Halt()).text for ask in asks]


def test_both_answer_as_they_do_alone_and_tell_it_as_it_grows(tiny_model: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tiny_model, tmp_path / "adapter")
    told, log = compared(spec_of(tiny_model, adapter))
    assert [told[(number, False)].text for number in range(3)] == alone(spec_of(tiny_model))
    assert [told[(number, True)].text for number in range(3)] == alone(spec_of(tiny_model, adapter))
    order = [(number, made) for made in (False, True) for number in range(3)]
    assert list(told) == order and [line for line in log if line.startswith("begin (")] == [f"begin {p}" for p in order]
    assert "".join(line for line in log if not line.startswith("begin (")) == "".join(t.text for t in told.values())
    assert all(each.tokens and each.seconds > 0 for each in told.values())


def test_a_base_whose_biases_the_adapter_replaces_answers_with_its_own(tmp_path: Path) -> None:
    from ..workbench import build_model

    base = build_model(tmp_path / "base", attention_bias=True)
    adapter = write_adapter(base, tmp_path / "adapter", bias="all")
    weights = {
        n: w + 3 if n.endswith("bias") else w for n, w in load_file(adapter / "adapter_model.safetensors").items()
    }
    save_file(weights, adapter / "adapter_model.safetensors")
    told, _ = compared(spec_of(base, adapter))
    assert [told[(number, False)].text for number in range(3)] == alone(spec_of(base))
    assert [told[(number, True)].text for number in range(3)] == alone(spec_of(base, adapter))
    assert told[(0, False)].text != told[(0, True)].text


def test_both_are_asked_through_the_chat_template_that_the_adapter_was_trained_with(
    tiny_model: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(tiny_model, tmp_path / "adapter")
    (adapter / "chat_template.jinja").write_text(CHAT)
    spec = spec_of(tiny_model, adapter)
    asks = [Ask(messages=({"role": "user", "content": "card"},), temperature=0)]
    told, _ = compared(spec, asks=asks)
    with serving.opened(spec) as served:
        assert served.tokenizer.chat_template == CHAT
        assert served.answer(asks[0], served.join(), Halt()).text == told[(0, True)].text
    assert told[(0, False)].tokens


def test_a_prompt_that_is_too_long_costs_only_its_own_answer(tiny_model: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tiny_model, tmp_path / "adapter")
    told, _ = compared(spec_of(tiny_model, adapter), asks=[Ask("card " * 5000), ASKS[0]])
    assert "the model has room for" in told[(0, False)].fault and told[(0, True)].fault
    assert told[(1, True)].text and not told[(1, True)].fault


def test_a_base_model_alone_has_nothing_beside_it(tiny_model: Path) -> None:
    with pytest.raises(JobError, match="nothing to compare it with"):
        compared(spec_of(tiny_model))
