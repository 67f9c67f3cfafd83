"""The small parts that training and evaluation are made of."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset

from studio.core.errors import JobError
from studio.core.jobresult import CombinationOutput, EvaluationOutput
from studio.core.metric_names import EVALUATION_METRICS, OF_ROWS, RANGES
from studio.core.prompting import Templates
from studio.jobs.evaluation import comparison_table, metrics
from studio.jobs.evaluation.metrics import Answers
from studio.jobs.inputs import templating
from studio.jobs.model import batching, generation, scoring, tokenizers
from studio.jobs.training import checkpoints

from .workbench import build_tokenizer


def test_every_named_metric_can_be_computed() -> None:
    assert {*metrics.METRICS, *metrics.WHOLE} == set(EVALUATION_METRICS) == set(RANGES)
    assert set(metrics.METRICS) == set(OF_ROWS)


def answers(predictions: list[str], expected: list[str]) -> Answers:
    rows = len(expected)
    losses = [(math.log(4) * (row + 1), row + 1) for row in range(rows)]
    return Answers(tuple(predictions), tuple(expected), 2.0, lambda: losses, lambda: [len(p) for p in predictions])


def computed(names: tuple[str, ...], given: Answers) -> dict[str, float]:
    return metrics.compute(names, given, metrics.score(names, given))


def test_metrics_are_means_over_rows() -> None:
    names = tuple(name for name in EVALUATION_METRICS if name != "macro_f1")  # which is of classes
    values = computed(names, answers([" card ", "the loan"], ["card", "a loan"]))
    assert list(values) == [*names, "rows_per_second"] and values["token_count"] == 7
    assert values["exact_match"] == 0.5 and values["latency"] == 1.0 and values["rows_per_second"] == 1.0
    assert values["rouge1"] == pytest.approx(0.75) and values["perplexity"] == pytest.approx(4.0)


@pytest.mark.parametrize("text", ["возврат карты", "carte perdue", "Überweisung 3"])
def test_rouge_knows_every_script(text: str) -> None:
    assert computed(("rouge1",), answers([text], [text]))["rouge1"] == 1.0


def test_rouge_without_any_word_is_zero() -> None:
    assert computed(("rougeL",), answers([""], ["..."]))["rougeL"] == 0.0


def test_batches_hold_neighbours_in_length_within_their_budget() -> None:
    batches = batching.by_tokens([3, 10, 4, 9], tokens=20)
    assert [(batch.rows, batch.width) for batch in batches] == [((1, 3), 10), ((2, 0), 4)]
    assert batching.by_tokens([50], tokens=10)[0].rows == (0,)
    assert batching.by_tokens([], tokens=10) == []


def test_a_prompt_and_its_completion_are_tokenised_as_one_text() -> None:
    tokenizer = build_tokenizer()
    (row,) = scoring.encode(tokenizer, ["### lost"], [" card</s>"], None)
    assert tokenizer.decode(row.ids) == "### lost card</s>"
    counted = [id for id, label in zip(row.ids, row.labels, strict=True) if label != scoring.IGNORED]
    assert tokenizer.decode(counted) == " card</s>"


def test_rows_without_a_token_that_counts_are_not_asked_and_have_no_loss() -> None:
    (row,) = scoring.encode(build_tokenizer(), ["### lost my card"], [" card"], 2)
    assert not row.counts
    model = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: SimpleNamespace(vocab_size=300)))
    assert scoring.losses(model, [row], 0) == [(0.0, 0)] and scoring.mean_loss(model, [row], 0).tokens == 0


def test_a_templates_columns_are_dropped_so_that_none_of_them_is_taken_for_text() -> None:
    rows = Dataset.from_dict({"text": ["a", "b"], "queue": ["x", None]})
    made = templating.with_completion(rows, Templates(prompt="", input="{text}:", completion=" {queue}"), "</s>")
    assert made[:] == {"prompt": ["a:", "b:"], "completion": [" x</s>", " </s>"]}
    full = templating.with_full_text(rows, Templates(prompt="{{{text}}}"), "</s>")
    assert full[:] == {"prediction": ["{a}</s>", "{b}</s>"]}


PLAIN = ("<unk>", "<s>", "</s>", "<pad>")


@pytest.mark.parametrize(
    ("specials", "given", "expected"),
    [
        (PLAIN, "", "<pad>"),
        (("<unk>", "<s>", "</s>", "<mine>"), "<mine>", "<mine>"),
        (("<unk>", "<s>", "</s>"), "", "<unk>"),
        (("<s>", "</s>", "<|reserved_7|>"), "", "<|reserved_7|>"),
        (("<s>", "</s>"), "", "<s>"),
    ],
)
def test_the_pad_token_is_the_first_that_will_do(specials: tuple[str, ...], given: str, expected: str) -> None:
    tokenizer = build_tokenizer(300, specials)
    assert tokenizers.configure_padding(tokenizer, given, embeddings=len(tokenizer)) == expected
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_a_pad_token_equal_to_eos_is_replaced() -> None:
    tokenizer = build_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    assert tokenizers.configure_padding(tokenizer) == "<unk>"


def test_a_spare_row_of_the_embeddings_takes_a_new_pad_token() -> None:
    tokenizer = build_tokenizer(300, ("</s>",))
    size = len(tokenizer)
    token = tokenizers.configure_padding(tokenizer, embeddings=size + 4)
    assert tokenizer.convert_tokens_to_ids(token) == size


def test_an_ordinary_word_pads_only_as_a_last_resort_and_is_not_saved(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = build_tokenizer(300, ("</s>",))
    tokenizer.add_tokens(["padlock"])
    assert tokenizers.configure_padding(tokenizer, embeddings=len(tokenizer)) == "padlock"
    tokenizers.save(tokenizer, tmp_path)
    assert tokenizer.pad_token == "padlock"
    assert AutoTokenizer.from_pretrained(str(tmp_path)).pad_token is None


def test_a_tokenizer_with_nothing_but_eos_is_refused() -> None:
    tokenizer = build_tokenizer(300, ("</s>",))
    with pytest.raises(JobError, match="no token to pad with"):
        tokenizers.configure_padding(tokenizer, embeddings=len(tokenizer))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"do_sample": False, "max_new_tokens": 64}),
        ({"temperature": 0.5, "max_length": None}, {"do_sample": False, "max_new_tokens": 64}),
        (
            {"do_sample": True, "temperature": 0.5},
            {"do_sample": True, "max_new_tokens": 64, "temperature": 0.5, "top_k": 50, "top_p": 1.0},
        ),
    ],
)
def test_generation_settings_are_complete(values: dict[str, Any], expected: dict[str, Any]) -> None:
    assert generation.complete(values) == expected


def test_answers_stop_at_every_token_that_stops_the_model() -> None:
    from transformers import GenerationConfig

    config = generation.settings({}, build_tokenizer(), GenerationConfig(eos_token_id=[2, 7]))
    assert config.eos_token_id == [2, 7] and config.pad_token_id == 3


def test_a_checkpoint_counts_only_when_it_is_whole(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "optimizer.pt").write_bytes(b"x" * step)
        (folder / "training_args.bin").write_bytes(b"pickle")
    checkpoints.seal(tmp_path / "checkpoint-5", 1.0)
    checkpoints.seal(tmp_path / "checkpoint-10", 2.5)
    (tmp_path / "checkpoint-10" / "optimizer.pt").write_bytes(b"x")
    found = checkpoints.latest(tmp_path)
    assert found is not None and (found.step, found.seconds) == (5, 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]
    assert not (tmp_path / "checkpoint-5" / "training_args.bin").exists()


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert checkpoints.latest(tmp_path / "none") is None


def test_a_gain_is_an_improvement_whatever_the_direction(tmp_path: Path) -> None:
    rows = [
        CombinationOutput(model="m", metrics={"exact_match": 0.5, "latency": 2.0}),
        CombinationOutput(model="m", adapter="a", metrics={"exact_match": 0.75, "latency": 0.5}),
    ]
    text = (
        comparison_table.write(tmp_path / "table.csv", EvaluationOutput(combinations=tuple(rows), rows=1))
        .read_text()
        .splitlines()
    )
    assert text[2] == "m,a,,,1,0.75,0.5,0.25,1.5"
