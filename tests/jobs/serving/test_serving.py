"""A served model answers as it was evaluated, whoever asks it in whatever way."""

from __future__ import annotations

import os
import runpy
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import JobError
from studio.core.jobspec import ModelInput
from studio.jobs.model import generation
from studio.jobs.serving import answering, predicting, serving
from studio.jobs.serving.answering import Answer, Halt, Question, Reason
from studio.jobs.serving.refusals import Busy, Closing, Refusal, TimedOut
from studio.jobs.serving.requests import Ask
from studio.jobs.serving.serving import Served
from studio.jobs.serving.turns import Turns

from .. import workbench
from . import serving_bench
from .serving_bench import PROMPTS

SCRIPT = workbench.ROOT / "cml" / "predict.py"
LONG: dict[str, Any] = {"max_new_tokens": 200, "min_new_tokens": 200}


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return serving_bench.write_adapter(tiny_model, tmp_path_factory.mktemp("adapters") / "router")


@pytest.fixture(scope="module")
def served(tiny_model: Path, adapter: Path) -> Iterator[Served]:
    with serving.opened(serving_bench.spec_of(tiny_model, adapter)) as found:
        yield found


def ask(served: Served, prompt: str, **settings: Any) -> Answer:
    return served.answer(Ask(prompt, **settings), served.join(), Halt())


def evaluated(served: Served, **settings: Any) -> list[str]:
    """What an evaluation's code answers."""
    values = {**served.settings, **settings}
    config = generation.settings(values, served.tokenizer, served.model.generation_config)
    done = lambda _: None  # noqa: E731
    return list(generation.generate(served.model, served.tokenizer, PROMPTS, config, done).texts)


def test_a_prompt_gets_the_answer_that_an_evaluation_gives_it(served: Served) -> None:
    assert [ask(served, prompt).text for prompt in PROMPTS] == evaluated(served)
    assert any(text.strip() for text in evaluated(served))


def test_the_pieces_of_a_stream_are_the_answer(served: Served) -> None:
    for prompt in PROMPTS:
        pieces: list[str] = []
        answer = served.answer(Ask(prompt, max_tokens=40), served.join(), Halt(), pieces.append)
        assert "".join(pieces) == answer.text == ask(served, prompt, max_tokens=40).text
        assert answer.tokens <= 40 and all(pieces)


def test_the_adapter_is_on_while_it_is_served_and_off_again_afterwards(tiny_model: Path, served: Served) -> None:
    with serving.opened(serving_bench.spec_of(tiny_model)) as base:
        assert [ask(base, prompt).text for prompt in PROMPTS] == evaluated(base) != evaluated(served)


def test_an_answer_ends_before_a_stop_text_however_it_is_cut_into_tokens(served: Served) -> None:
    whole = ask(served, PROMPTS[0]).text
    for start in range(1, len(whole) - 3):
        stop = whole[start : start + 3]
        pieces: list[str] = []
        asked = Ask(PROMPTS[0], stop=("never to be seen", stop))
        answer = served.answer(asked, served.join(), Halt(), pieces.append)
        assert answer.text == "".join(pieces) == whole[: whole.index(stop)]
        assert answer.reason is Reason.STOP


def test_a_stop_text_ends_the_generation_and_not_only_the_text(served: Served) -> None:
    whole = ask(served, PROMPTS[0], max_tokens=100)
    early = ask(served, PROMPTS[0], max_tokens=100, stop=(whole.text[2:4],))
    assert early.tokens < whole.tokens


def test_stop_strings_of_the_settings_end_an_answer_and_an_evaluation_alike(served: Served) -> None:
    stop = ask(served, PROMPTS[0]).text[3:5]
    other = replace(served, settings={**served.settings, "stop_strings": [stop]})
    assert ask(other, PROMPTS[0]).reason is Reason.STOP
    assert [ask(other, prompt).text for prompt in PROMPTS] == evaluated(other)


def test_the_reason_says_whether_the_model_or_the_limit_ended_an_answer(served: Served) -> None:
    cut = ask(served, PROMPTS[0], max_tokens=1)
    assert cut.reason is Reason.LENGTH and cut.tokens == 1
    ends = served.tokenizer.eos_token_id
    config = generation.settings({"forced_eos_token_id": ends, "max_new_tokens": 3}, served.tokenizer, None)
    ended = answering.answer(served.model, served.tokenizer, Question([5, 6], config), Halt())
    assert ended.reason is Reason.STOP and ended.tokens == 3


def test_sampling_repeats_with_a_seed_and_varies_without(served: Served) -> None:
    hot = {"temperature": 2.0, "max_tokens": 30}
    assert ask(served, "x", seed=7, **hot) == ask(served, "x", seed=7, **hot) != ask(served, "x", seed=-8, **hot)
    assert len({ask(served, "x", **hot).text for _ in range(4)}) > 1
    sampling = replace(served, settings={**served.settings, "do_sample": True, "temperature": 2.0})
    assert ask(sampling, "x", temperature=0) == ask(served, "x") == ask(served, "x", temperature=0)


def test_beams_answer_in_one_piece(served: Served) -> None:
    beams = replace(served, settings={**served.settings, "num_beams": 2})
    pieces: list[str] = []
    answer = beams.answer(Ask(PROMPTS[0]), beams.join(), Halt(), pieces.append)
    assert "".join(pieces) == answer.text == evaluated(beams)[0]


def test_a_prompt_that_the_model_has_no_room_for_is_refused_and_not_cut(served: Served) -> None:
    places = generation.positions(served.model)
    assert places == 256
    long = "card " * 400
    with pytest.raises(Refusal) as caught:
        ask(served, long)
    assert caught.value.code == "context_length_exceeded" and "the model has room for 256" in caught.value.words
    with pytest.raises(Refusal, match="asks for 256 more"):
        ask(served, "card", max_tokens=256)


def test_an_answer_without_a_limit_of_its_own_takes_what_room_there_is(served: Served) -> None:
    prompt = "card " * 30
    tokens = len(generation.token_ids(served.tokenizer, [prompt])[0])
    long = replace(served, settings=LONG)
    assert long.question(Ask(prompt)).config.max_new_tokens == min(200, 256 - tokens)


def test_an_answer_that_takes_too_long_is_ended(served: Served) -> None:
    slow = replace(served, settings=LONG, turns=Turns(1))
    began = time.monotonic()
    with pytest.raises(TimedOut):
        slow.answer(Ask("x"), slow.join(), Halt(began + 0.1))
    assert slow.turns.settle(0)


def test_an_answer_that_nobody_waits_for_is_ended(served: Served) -> None:
    slow, halt, told = replace(served, settings=LONG, turns=Turns(1)), Halt(), []

    def say(piece: str) -> None:
        told.append(piece)
        halt.cancel()

    with pytest.raises(Closing):
        slow.answer(Ask("x"), slow.join(), halt, say)
    assert len(told) < 10 and slow.turns.settle(0)


def test_a_full_queue_refuses_at_once_and_a_refused_question_leaves_its_place(served: Served) -> None:
    busy = replace(served, turns=Turns(0))
    ticket = busy.join()
    with pytest.raises(Busy):
        busy.join()
    with pytest.raises(Refusal):
        busy.answer(Ask("card " * 400), ticket, Halt())
    assert ask(busy, "x").text == ask(served, "x").text


def test_threads_that_ask_at_once_get_what_they_would_get_alone(served: Served) -> None:
    alone, found = evaluated(served), {}
    crowd = replace(served, turns=Turns(len(PROMPTS)))

    def put(number: int) -> None:
        found[number] = ask(crowd, PROMPTS[number]).text

    threads = [threading.Thread(target=put, args=(number,)) for number in range(len(PROMPTS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [found[number] for number in range(len(PROMPTS))] == alone


MESSAGES = ({"role": "system", "content": "Be short"}, {"role": "user", "content": "card"})


def test_without_a_chat_template_messages_are_joined_and_one_alone_is_the_prompt(served: Served) -> None:
    assert served.tokenizer.chat_template is None
    assert served.question(Ask(messages=MESSAGES)).ids == served.question(Ask("Be short\n\ncard")).ids
    assert served.question(Ask(messages=MESSAGES[1:])).ids == served.question(Ask("card")).ids
    with pytest.raises(Refusal, match="the messages are empty"):
        served.question(Ask(messages=({"role": "user", "content": ""},)))


def templated(served: Served, template: str) -> Served:
    import copy

    tokenizer = copy.deepcopy(served.tokenizer)
    tokenizer.chat_template = template
    return replace(served, tokenizer=tokenizer)


def test_a_chat_template_makes_the_prompt_special_tokens_and_all(served: Served) -> None:
    asked = templated(served, serving_bench.CHAT).question(Ask(messages=MESSAGES))
    text = "<s>system: Be short\n<s>user: card\nassistant:"
    assert asked.ids == served.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert asked.ids.count(served.tokenizer.bos_token_id) == 2


def test_messages_that_a_chat_template_refuses_are_the_clients_fault(served: Served) -> None:
    strict = templated(served, "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(Refusal, match="roles must alternate") as caught:
        strict.question(Ask(messages=MESSAGES))
    assert caught.value.param == "messages" and caught.value.status == 400


def test_settings_that_do_not_exist_are_found_when_the_model_is_loaded(tiny_model: Path) -> None:
    for wrong, words in ({"max_new_token": 3}, "max_new_token"), ({"num_return_sequences": 2}, "num_return_sequences"):
        with pytest.raises(JobError, match=words), serving.opened(serving_bench.spec_of(tiny_model, generation=wrong)):
            raise AssertionError("it was served")


# The predict script of a CML model endpoint


def variables(**values: str) -> dict[str, str]:
    names = {"base": predicting.BASE, "adapter": predicting.ADAPTER, "settings": predicting.GENERATION}
    return {names[key]: value for key, value in values.items()}


def script(monkeypatch: pytest.MonkeyPatch, folder: Path, **values: str) -> Any:
    """The script as CML runs it, in the project's folder; its ``predict``."""
    for name, value in variables(**{"base": "", "adapter": "", "settings": "", **values}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return runpy.run_path(str(SCRIPT))["predict"]


def test_the_predict_script_answers_as_the_evaluation_does(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    tiny_model: Path,
    adapter: Path,
    served: Served,
) -> None:
    (tmp_path / "models").symlink_to(tiny_model.parent)
    shutil.copytree(adapter, tmp_path / "adapters" / "router")
    settings = '{"max_new_tokens": 12, "do_sample": false}'
    predict = script(
        monkeypatch, tmp_path, base=f"models/{tiny_model.name}", adapter="adapters/router", settings=settings
    )
    assert [predict({"request": {"prompt": prompt}}) for prompt in PROMPTS] == evaluated(served)
    assert predict({"prompt": PROMPTS[0]}) == evaluated(served)[0]
    with pytest.raises(Refusal, match="unknown key 'promt'"):
        predict({"promt": "x"})
    assert "with the adapter adapters/router" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, f"{predicting.BASE} is not set"),
        ({"base": "./nowhere"}, f"{predicting.BASE}: the folder"),
        ({"base": "models/tiny", "adapter": "adapters/nowhere"}, f"{predicting.ADAPTER}: the folder"),
        ({"base": "models/tiny", "settings": "{"}, f"{predicting.GENERATION} is not JSON: "),
        ({"base": "models/tiny", "settings": "[1]"}, f"{predicting.GENERATION} is not a JSON object"),
        ({"base": "models/tiny", "settings": '{"max_new_token": 1}'}, "unknown key 'max_new_token'"),
        ({"base": "models/tiny", "adapter": "models"}, "has no adapter_config.json"),
        ({"base": "models"}, "has no config.json"),
    ],
)
def test_the_predict_script_says_at_its_start_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, project: Path, values: dict[str, str], words: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        script(monkeypatch, project, **values)
    assert str(caught.value).startswith("error: ") and words in str(caught.value)


def test_a_misspelt_variable_leads_to_the_one_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        predicting.spec_of({"FINE_TUNING_STUDIO_BASE_MODEL_HF_NAM": "x"}, tmp_path)
    assert caught.value.hint == "FINE_TUNING_STUDIO_BASE_MODEL_HF_NAM is set: was it misspelt?"


def test_a_name_on_the_hub_may_carry_a_revision(tmp_path: Path) -> None:
    found = predicting.spec_of(variables(base="owner/name@abc123"), tmp_path).model
    assert found == ModelInput(
        name="owner/name@abc123", type="huggingface", huggingface_name="owner/name", revision="abc123"
    )


def test_a_replica_computes_with_the_cores_it_was_given(tmp_path: Path) -> None:
    environ = variables(base="owner/name")
    assert predicting.spec_of({**environ, "CDSW_CPU_CORES": "3"}, tmp_path).resources.cpu == 3
    assert predicting.spec_of(environ, tmp_path).resources.cpu >= (os.cpu_count() or 1)
