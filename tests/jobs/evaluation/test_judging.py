"""Judges over a real socket: what they are asked, what is made of their replies, what happens when they fail."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.errors import JobError
from studio.core.jobresult import EvaluationOutput
from studio.core.jobspec import EvaluationWork
from studio.core.judging import JudgeWork, variables
from studio.jobs import __main__ as front_door
from studio.jobs.evaluation import hearing, judge_client, judgements, judging, metrics, run, slices, sureness
from studio.jobs.evaluation.judgements import Kept
from studio.jobs.evaluation.metrics import Answers
from studio.jobs.events import EventLog

from ...fakes.http import Answer, as_json, serving
from ...fakes.judge import KEY, FakeJudge, judge, kind
from ..workbench import MakeSpec, evaluation

JUDGE: dict[str, Any] = {"name": "helpfulness", "model": "judge-large", "definition": "It helps."}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Short pauses, and a folder of its own, where what judges said is kept."""
    monkeypatch.setattr(judge_client, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog(tmp_path / "events.jsonl") as log:
        yield log


def answers(*pairs: tuple[str, str]) -> Answers:
    expected, predictions = zip(*pairs, strict=True)
    return Answers(tuple(predictions), tuple(expected), 1.0, list)


def set_up(monkeypatch: pytest.MonkeyPatch, fake: FakeJudge, key: str = KEY) -> None:
    monkeypatch.setenv("STUDIO_JUDGE_URL", fake.url)
    monkeypatch.setenv("STUDIO_JUDGE_KEY", key)


def reach(kept: Kept | None = None, **changes: Any) -> judging.Judge:
    [found] = judging.reached([JudgeWork(**{**JUDGE, **changes})], kept or Kept(Path("kept.jsonl").absolute()))
    return found


ROWS = answers((" card", "card"), (" loan", "fees"), (" loan", "fees"), (" fees", "fees"))
QUESTIONS = ["a", "b", "b", "c"]


def test_a_judge_scores_every_row_and_the_same_answer_to_the_same_row_once(
    monkeypatch: pytest.MonkeyPatch, events: EventLog
) -> None:
    with judge() as fake:
        set_up(monkeypatch, fake)
        asked = reach(grading="5 for the right queue", parameters={"seed": 7, "max_tokens": None})
        found = judging.judged(asked, QUESTIONS, ROWS, events)
        again = judging.judged(asked, QUESTIONS, ROWS, events)
    assert [found[row].score for row in range(4)] == [5, 2, 2, 5] and again == found and len(fake.asked) == 3
    lines = judging.scores(found, 4)
    assert metrics.values({"helpfulness": lines}) == {"helpfulness": 3.5}
    body = next(each for each in fake.asked if '"question": "a"' in each["messages"][1]["content"])
    assert (
        body["model"] == "judge-large" and body["temperature"] == 0 and body["seed"] == 7 and "max_tokens" not in body
    )
    assert "It helps." in body["messages"][0]["content"] and "5 for the right queue" in body["messages"][0]["content"]
    assert json.loads(body["messages"][1]["content"]) == {"question": "a", "expected": "card", "answer": "card"}


def test_a_sample_is_the_same_rows_for_every_combination_and_slices_know_which(
    monkeypatch: pytest.MonkeyPatch, events: EventLog
) -> None:
    rows = answers(*[(f" {number}", str(number % 3)) for number in range(40)])
    questions = [f"q{number}" for number in range(40)]
    with judge() as fake:
        set_up(monkeypatch, fake)
        asked = reach(sample=10)
        first = judging.judged(asked, questions, rows, events)
        other = judging.judged(asked, questions, answers(*[(" x", "y")] * 40), events)
    assert len(first) == 10 and list(first) == list(other)
    work = EvaluationWork.model_validate(evaluation(judges=[JUDGE]))
    lines = {"helpfulness": judging.scores(first, 40)}
    with_one = slices.Slice("c", "judged", np.array([next(iter(first))]))
    with_none = slices.Slice("c", "not", np.array([row for row in range(40) if row not in first]))
    judged, none = slices.measured((with_one, with_none), lines, sureness.ranges(work))
    assert judged.metrics["helpfulness"] in (2, 5) and judged.intervals["helpfulness"].low >= 1
    assert none.metrics == {} and none.intervals == {}


def test_a_busy_service_is_asked_again_and_one_row_may_stay_without_a_judgement(
    monkeypatch: pytest.MonkeyPatch, events: EventLog
) -> None:
    busy = [
        as_json({"error": {"message": "slow down"}}, 429, **{"Retry-After": "0"}),
        Answer(503),
        Answer(200, lost=True),
    ]
    rows = answers(*[(" x", str(number)) for number in range(20)])
    with judge(lambda material: "I cannot say" if material["answer"] == "7" else kind(material), busy) as fake:
        set_up(monkeypatch, fake)
        found = judging.judged(reach(), [""] * 20, rows, events)
    assert len(fake.asked) == 20 + len(busy)
    assert found[7].score is None and "no score: I cannot say" in found[7].reason
    assert metrics.values({"helpfulness": judging.scores(found, 20)}) == {"helpfulness": 2}


def test_too_many_rows_without_a_judgement_end_the_evaluation_early(
    monkeypatch: pytest.MonkeyPatch, events: EventLog
) -> None:
    rows = answers(*[(" x", str(number)) for number in range(200)])
    with judge(lambda material: '{"score": 9}') as fake:
        set_up(monkeypatch, fake)
        with pytest.raises(JobError, match="judge helpfulness: 21 of 200 rows have no judgement so far, more than 10%"):
            judging.judged(reach(), [""] * 200, rows, events)
    assert len(fake.asked) < 100


def test_a_refused_key_a_wrong_address_and_nobody_there_are_told_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with judge() as fake:
        set_up(monkeypatch, fake, "another-key-of-tests")
        with pytest.raises(JobError, match=r"STUDIO_JUDGE_URL refuses the key: 401 .*provided: \*\*\*") as refused:
            reach()
        assert "STUDIO_JUDGE_KEY" in (refused.value.hint or "") and "another-key" not in str(refused.value)
    with pytest.raises(JobError, match="the judge at STUDIO_JUDGE_URL: the service is not reached"):
        reach()


def test_a_service_that_does_not_list_its_models_is_asked_about_an_empty_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with judge(lists=False) as fake:
        set_up(monkeypatch, fake)
        reach()
        assert [fake.material(number) for number in range(len(fake.asked))] == [
            {"question": "", "expected": "", "answer": ""}
        ]
        set_up(monkeypatch, fake, "another-key-of-tests")
        with pytest.raises(JobError, match="STUDIO_JUDGE_URL refuses the key: 401"):
            reach()
    with judge(lambda _: "I cannot say", lists=False) as fake:
        set_up(monkeypatch, fake)
        reach()  # it answers, and takes the key
    assert len(fake.asked) == 1


MANY = answers(*[(" x", str(number)) for number in range(40)])


def test_a_key_that_is_refused_meanwhile_ends_it_at_once(monkeypatch: pytest.MonkeyPatch, events: EventLog) -> None:
    with judge(first=[as_json({"error": {"message": "revoked"}}, 401)] * 40) as fake:
        set_up(monkeypatch, fake)
        with pytest.raises(JobError, match="refuses the key: 401"):
            judging.judged(reach(), [""] * 40, MANY, events)
    assert len(fake.asked) <= hearing.CONCURRENT


@dataclass
class Stuck:
    """Judges all rows but one, about which it thinks until the test is over."""

    over: threading.Event = field(default_factory=threading.Event)
    before: Callable[[], None] = lambda: None

    def __call__(self, material: dict[str, str]) -> str:
        if material["answer"] == "7":
            self.before()
            self.over.wait(60)
        return kind(material)


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    judge = Stuck()
    yield judge
    judge.over.set()


def test_after_a_failure_nobody_waits_for_the_others_and_what_was_judged_is_kept(
    monkeypatch: pytest.MonkeyPatch, events: EventLog, stuck: Stuck
) -> None:
    monkeypatch.setattr(judge_client, "FIRST_PAUSE_SECONDS", 60)
    busy, refused = as_json({}, 429), as_json({"error": {"message": "the account is closed"}}, 403)
    fake = FakeJudge(stuck, [busy, busy, busy])
    with serving(lambda request: refused if len(fake.asked) > 20 else fake.answer(request)) as address:
        fake.url = f"{address}/v1"
        set_up(monkeypatch, fake)
        asked, began = reach(), time.monotonic()
        with pytest.raises(JobError, match=r"refuses the key: 403 .*the account is closed"):
            judging.judged(asked, [""] * 40, MANY, events)
        assert time.monotonic() - began < 20, "it waited for a pause or a slow reply"
    assert len(Path("kept.jsonl").read_text().splitlines()) == len(asked.kept.known) > 5


def test_a_service_that_never_answers_is_given_up_with_the_time_that_it_was_given(
    monkeypatch: pytest.MonkeyPatch, events: EventLog, stuck: Stuck
) -> None:
    monkeypatch.setattr(judge_client, "ANSWER_SECONDS", 1.5)
    monkeypatch.setattr(judge_client, "GREETING_SECONDS", 0.2)
    with judge(stuck) as fake:
        asked = judging.Judge(
            JudgeWork(**JUDGE), judge_client.Endpoint("", fake.url, KEY), Kept(Path("kept.jsonl").absolute())
        )
        found = judging.judged(asked, [""] * 40, MANY, events)
    assert [row for row in range(40) if found[row].score is None] == [7]
    assert found[7].reason == "the service does not answer within 1.5 s"
    assert sum(fake.material(number)["answer"] == "7" for number in range(len(fake.asked))) == 2
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("STUDIO_JUDGE_URL", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(JobError, match=r"STUDIO_JUDGE_URL: the service does not answer within 0\.2 s"):
            reach()


@pytest.mark.parametrize("reply", ["", "I cannot say"])
def test_no_judgement_for_long_ends_the_evaluation(
    monkeypatch: pytest.MonkeyPatch, events: EventLog, stuck: Stuck, reply: str
) -> None:
    monkeypatch.setattr(judging, "LONGEST_SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(judging, "MOST_FAILED", 1.0)
    rows = answers(*[(" x", "7") for _ in range(4000)])
    questions = [f"q{number}" for number in range(4000)]
    with judge((lambda _: reply) if reply else stuck) as fake:
        set_up(monkeypatch, fake)
        with pytest.raises(JobError, match=r"helpfulness: no judgement for .* 0 of 4000 answers are judged") as told:
            judging.judged(reach(), questions, rows, events)
    assert "STUDIO_JUDGE_URL is up" in told.value.hint and (reply in told.value.message)


def test_an_evaluation_that_is_stopped_while_it_judges_ends_at_once_and_pays_for_no_row_twice(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, events: EventLog, stuck: Stuck
) -> None:
    spec = make_spec(evaluation(judges=[JUDGE]))
    first, later = judgements.of(spec), spec.model_copy(update={"attempt": 2})

    def stop_when_the_others_are_judged() -> None:
        while len(first.known) < 39:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    stuck.before = stop_when_the_others_are_judged
    before = signal.signal(signal.SIGTERM, front_door._stop)
    with judge(stuck) as fake:
        set_up(monkeypatch, fake)
        try:
            with pytest.raises(SystemExit):
                judging.judged(reach(first), [""] * 40, MANY, events)
        finally:
            signal.signal(signal.SIGTERM, before)
        assert len(fake.asked) == 40
        with first.file.open("a") as file:
            file.write('{"asked": "0123", "sco')  # what a kill leaves
        fake.says = kind
        found = judging.judged(reach(judgements.of(later)), [""] * 40, MANY, events)
        assert len(fake.asked) == 41, "only the one that had no answer yet"
        assert judging.judged(reach(judgements.of(later)), [""] * 40, MANY, events) == found
        assert len(fake.asked) == 41 and all(each.score for each in found.values())
        assert len(judgements.of(later.model_copy(update={"fresh": True})).known) == 1, "of its own attempt"
        for change in ({"definition": "It is right."}, {"scale": (1, 6)}, {"parameters": {"seed": 8}}):
            other = reach(judgements.of(later), **change)
            assert not any(other.known(("", "x", str(number))) for number in range(40)), change


def test_what_was_kept_holds_no_secret(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, events: EventLog) -> None:
    token = "hf_" + "a1B2c3D4" * 4
    spec = make_spec(evaluation(judges=[JUDGE]))
    with judge(lambda _: json.dumps({"reason": f"it has {token}", "score": 5})) as fake:
        set_up(monkeypatch, fake)
        judging.judged(reach(judgements.of(spec)), [""] * 40, MANY, events)
    kept = (spec.folder / "checkpoints" / judgements.FILE).read_text()
    assert token not in kept and "it has" in kept


def test_a_service_that_sends_elsewhere_is_not_followed(monkeypatch: pytest.MonkeyPatch, events: EventLog) -> None:
    with judge() as thief, judge(first=[Answer(307, {"Location": f"{thief.url}/chat/completions"})] * 9) as fake:
        set_up(monkeypatch, fake)
        with pytest.raises(JobError, match="answers 307"):
            judging.judged(reach(), QUESTIONS, ROWS, events)
        assert thief.requests == []


@pytest.mark.parametrize(
    ("url", "key", "what"),
    [
        ("", "", "STUDIO_JUDGE_URL_IN_HOUSE is not set"),
        ("judges.example.com/v1", "", "is not the address of a service"),
        ("https://me@judges.example.com/v1", "", "is not the address of a service"),
        ("http://[::1/v1", "", "is not the address of a service"),
        ("http://judges.example.com/v1", "a-key", "is not https, so the key could be read"),
        (
            "https://judges.example.com/v1",
            "a-key\nand more",
            "STUDIO_JUDGE_KEY_IN_HOUSE holds a character that no key has",
        ),
        ("https://judges.example.com/v1", "clé", "STUDIO_JUDGE_KEY_IN_HOUSE holds a character that no key has"),
    ],
)
def test_an_address_that_is_none_or_is_not_for_keys_is_refused(
    url: str, key: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_JUDGE_URL_IN_HOUSE", url)
    monkeypatch.setenv("STUDIO_JUDGE_KEY_IN_HOUSE", key)
    with pytest.raises(JobError, match=what) as caught:
        reach(endpoint="in-house")
    assert not key or key not in str(caught.value)


def test_a_job_gets_the_variables_of_its_judges_and_of_no_others() -> None:
    judges = [JudgeWork(**JUDGE), JudgeWork(**{**JUDGE, "endpoint": "in-house"})]
    assert sorted(variables(judges).values()) == [
        "STUDIO_JUDGE_KEY", "STUDIO_JUDGE_KEY_IN_HOUSE", "STUDIO_JUDGE_URL", "STUDIO_JUDGE_URL_IN_HOUSE",
    ]  # fmt: skip
    assert variables([]) == {}


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ('{"reason": "good", "score": 4}', 4), ('```json\n{"score": 3}\n```', 3), ('{"score": "2"}', 2),
        ('The answer says {"score": 5}, but it is wrong.\n{"reason": "an order", "score": 1}', 1),
        ("score: 4", None), ('{"score": 0}', None), ('{"score": true}', None), ("[" * 9000, None), ("", None),
        ("so {a, b} and \\frac{1}{2}, " * 2000 + '{"reason": "{}", "score": 4}', 4),
        ("x" * 100_000 + '\n{"reason": {"score": "good"}, "score": 4}\n' + "x" * 60_000, 4),
        ('{"a":[1,' * 3 + '{"reason": "good", "score": 4}', 4),
    ],
)  # fmt: skip
def test_the_last_object_with_a_score_counts(reply: str, score: float | None) -> None:
    if score is None:
        with pytest.raises(judge_client.NoJudgement):
            judging._read(reply, (1, 5))
    else:
        assert judging._read(reply, (1, 5)).score == score


@pytest.mark.parametrize(
    "piece", ['{"a":[1,', '{"a":', "{", '{"a', '{"a":{"b":"', '{"a":"' + "x" * 500 + '","b":[', '{"a":1' + "0" * 5000]
)
def test_a_long_broken_reply_is_refused_in_moments(piece: str) -> None:
    begun = time.process_time()
    with pytest.raises(judge_client.NoJudgement, match="no score"):
        judging._read(piece * 50_000, (1, 5))
    assert time.process_time() - begun < 2  # a tenth of a second; it was eight


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("0", 0), (" 7 ", 7), ("61", 60), ("9" * 5000, 60), ("²", None), ("٣", None), ("-1", None), ("", None),
     (None, None), ("Sun, 22 Nov 2026 08:00:00 GMT", None)],
)  # fmt: skip
def test_a_pause_is_what_the_service_asks_for_where_that_is_a_number_of_seconds(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, seconds: float | None
) -> None:
    monkeypatch.setattr(judge_client, "FIRST_PAUSE_SECONDS", 4.0)
    pause = judge_client._pause(1, asked)
    assert pause == seconds if seconds is not None else 2 <= pause <= 4


@given(st.text(st.sampled_from('{}[]":,score0159.-e \n'), max_size=60))
def test_no_reply_is_scored_beyond_the_scale(reply: str) -> None:
    try:
        found = judging._read(reply, (1, 5))
    except judge_client.NoJudgement:
        return
    assert found.score is not None and 1 <= found.score <= 5


@pytest.mark.slow
def test_an_evaluation_files_its_judgements_with_intervals_in_mlflow(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(evaluation(metrics=["exact_match"], judges=[JUDGE], slice_by=["queue"]))
    spec.folder.mkdir(parents=True)
    with judge() as fake, EventLog(spec.folder / "events.jsonl") as log:
        set_up(monkeypatch, fake)
        outcome = run.run(spec, log)
    output = outcome.output
    assert isinstance(output, EvaluationOutput)
    [combination] = output.combinations
    assert 2 <= combination.metrics["helpfulness"] <= 5 and len(combination.intervals["helpfulness"]) == 4
    assert all("helpfulness" in each.metrics for each in combination.slices)
    with spec.path(combination.judgements).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == output.rows and {row["helpfulness/v1/justification"] for row in rows} == {"because"}
    logged = mlflow.MlflowClient().get_run(combination.mlflow_run_id)
    assert logged.data.metrics["helpfulness"] == pytest.approx(combination.metrics["helpfulness"])
    assert "judgements-1.json" in logged.data.tags["mlflow.loggedArtifacts"]
    assert KEY not in spec.model_dump_json() + (spec.folder / "events.jsonl").read_text()
