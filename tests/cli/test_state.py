"""Records looked at and edited by hand: what changes, what stays, what is refused, and what is noted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from studio.core.errors import LeaseLostError
from studio.core.references import Ref
from studio.state.base import Record, RecordStatus, Run, RunStatus

from .front_door import ask
from .states import reading, writing

TICKETS, TIX, TRAIN = Ref("Dataset", "tickets"), Ref("Dataset", "tix"), Ref("FineTuningJob", "train")


def rename(root: Path, old: str, new: str) -> None:
    file = root / "manifests" / "all.yaml"
    file.write_text(file.read_text().replace(f'"{old}"', f'"{new}"'))


# Looking


def test_list_tells_each_record_and_json_tells_the_same(applied: Path) -> None:
    answer, data = ask(applied, "state", "list"), json.loads(ask(applied, "state", "list", "--json").out)
    assert [f"{each['kind']}/{each['name']}" for each in data] == [
        "Config/lora", "Dataset/tickets", "Model/tiny", "Prompt/route",
    ]  # fmt: skip
    for line, each in zip(answer.out.splitlines(), data, strict=True):
        assert line.split() == [f"{each['kind']}/{each['name']}", each["status"], each["uid"], each["updated_at"]]


def test_looking_at_nothing_makes_no_state(data_only: Path) -> None:
    assert "Nothing is recorded yet" in ask(data_only, "state", "list").out
    for words in (["show", "Dataset/a"], ["mv", "Dataset/a", "Dataset/b"], ["rm", "Dataset/a", "--yes"]):
        answer = ask(data_only, "state", *words)
        assert answer.code == 64 and "'Dataset/a'" in answer.err, words
    assert not (data_only / ".studio" / "state.db").exists()


def test_show_prints_the_whole_record_and_only_one_that_is_there(applied: Path) -> None:
    shown = json.loads(ask(applied, "state", "show", "Dataset/tickets").out)
    with reading(applied) as state:
        record = state.records()[TICKETS]
    assert shown["ref"] == "Dataset/tickets" and shown["uid"] == record.uid and shown["facts"] == record.facts
    assert set(shown) == set(Record.__dataclass_fields__)
    answer = ask(applied, "state", "show", "Dataset/ticket")
    assert answer.code == 64 and "did you mean 'Dataset/tickets'?" in answer.err


# Moving


def test_after_a_move_and_a_rename_in_the_manifests_there_is_nothing_to_do(trained: Path) -> None:
    for old, new in ((TICKETS, TIX), (Ref("Config", "lora"), Ref("Config", "small")), (TRAIN, Ref(TRAIN.kind, "fit"))):
        with reading(trained) as state:
            uid = state.records()[old].uid
        answer = ask(trained, "state", "mv", str(old), str(new))
        assert answer.code == 0, answer.err
        with reading(trained) as state:
            assert old not in state.records() and state.records()[new].uid == uid
    for old, new in (("tickets", "tix"), ("lora", "small"), ("train", "fit")):
        rename(trained, old, new)
    plan = ask(trained, "plan", "--detailed-exitcode")
    assert plan.code == 0, plan.out
    with reading(trained) as state:
        assert [run.ref.name for run in state.runs(Ref(TRAIN.kind, "fit"))] == ["fit", "fit"] and not state.runs(TRAIN)


def test_a_move_names_the_records_that_follow_and_leaves_others_alone(trained: Path) -> None:
    with reading(trained) as state:
        before = state.records()
    answer = ask(trained, "state", "mv", "Dataset/tickets", "Dataset/tix")
    assert answer.out.splitlines() == [
        "Dataset/tickets: moved to Dataset/tix",
        "EvaluationJob/compare: names Dataset/tix now",
        "FineTuningJob/train: names Dataset/tix now",
        "Prompt/route: names Dataset/tix now",
    ]
    with reading(trained) as state:
        after = state.records()
    untouched = {"Config/lora", "Model/tiny", "ModelExport/release"}
    assert {str(ref) for ref in after if after[ref] == before.get(ref)} == untouched


@pytest.mark.parametrize(
    ("old", "new", "words", "hint"),
    [
        ("Dataset/tickets", "Dataset/tickets", "has that name already", "what it should be called"),
        ("Dataset/ticket", "Dataset/b", "nothing recorded is called 'Dataset/ticket'", "did you mean"),
        ("Dataset/tickets", "Model/tickets", "cannot become a Model", "write Dataset/tickets"),
        ("Dataset/tickets", "Dataset/Big Data", "is no name", "lower-case"),
        ("Dataset/tickets", "Dataset/b\n", "is no name", "lower-case"),
        ("Datset/tickets", "Datset/b", "there is no kind 'Datset'", "did you mean 'Dataset'?"),
        ("tickets", "Dataset/b", "is not of the form Kind/name", "studio state list"),
        ("Dataset/tickets", "Dataset/", "is not of the form Kind/name", "studio state list"),
    ],
)
def test_a_move_that_cannot_be_is_refused_and_changes_nothing(
    applied: Path, old: str, new: str, words: str, hint: str
) -> None:
    with reading(applied) as state:
        before = state.records(), state.lineage(), state.operations()
    answer = ask(applied, "state", "mv", old, new)
    assert answer.code == 64 and words in answer.err and hint in answer.err
    with reading(applied) as state:
        assert (state.records(), state.lineage(), state.operations()) == before


def test_an_occupied_name_and_a_job_under_way_refuse_the_move(trained: Path) -> None:
    with writing(trained) as state:
        state.save_record(replace(state.records()[TICKETS], ref=TIX))
        state.save_run(Run("key", 3, "default", TRAIN, "f" * 64, "local", RunStatus.SUBMITTED))
    occupied = ask(trained, "state", "mv", str(TICKETS), str(TIX))
    assert occupied.code == 64 and "Dataset/tix is recorded already" in occupied.err
    running = ask(trained, "state", "mv", str(TRAIN), "FineTuningJob/fit")
    assert running.code == 64 and "the job of FineTuningJob/train is not over: key" in running.err


def test_a_record_of_another_version_stops_no_move(trained: Path) -> None:
    old = Record(Ref("Prompt", "old"), "u", {"dataset": "tickets", "gone": 1}, {}, "", {}, RecordStatus.READY)
    odd = replace(old, ref=Ref("Gizmo", "odd"), inputs={"Dataset/tickets": "f"})
    with writing(trained) as state:
        state.save_record(old)
        state.save_record(odd)
    assert ask(trained, "state", "mv", str(TICKETS), str(TIX)).code == 0
    with reading(trained) as state:
        assert state.records()[old.ref] == old
        assert state.records()[odd.ref].inputs == {"Dataset/tix": "f"}


# Forgetting


def test_rm_forgets_the_records_and_leaves_the_things(applied: Path) -> None:
    answer = ask(applied, "state", "rm", "Dataset/tickets", "Model/tiny", "Dataset/tickets", "--yes")
    assert answer.code == 0 and answer.out == "Dataset/tickets: forgotten\nModel/tiny: forgotten\n"
    assert "Dataset/tickets is still named by Prompt/route" in answer.err
    assert (applied / "data" / "tickets.csv").exists()
    with reading(applied) as state:
        assert [str(ref) for ref in state.records()] == ["Config/lora", "Prompt/route"]


def test_rm_asks_on_a_terminal_only_and_elsewhere_wants_yes(applied: Path) -> None:
    answer = ask(applied, "state", "rm", "Dataset/tickets")
    assert answer.code == 64 and "say --yes" in answer.err
    with reading(applied) as state:
        assert TICKETS in state.records()


def test_what_is_protected_or_at_work_is_forgotten_by_force_alone(trained: Path) -> None:
    with writing(trained) as state:
        record = state.records()[TICKETS]
        state.save_record(replace(record, metadata={**record.metadata, "protect": True}))
        state.save_run(Run("key", 3, "default", TRAIN, "f" * 64, "local", RunStatus.INTENT))
    for ref, words in ((TICKETS, "protected: Dataset/tickets"), (TRAIN, "is not over")):
        refused = ask(trained, "state", "rm", "Model/tiny", str(ref), "--yes")
        assert refused.code == 64 and words in refused.err
    with reading(trained) as state:
        assert Ref("Model", "tiny") in state.records()
    assert ask(trained, "state", "rm", str(TICKETS), str(TRAIN), "--yes", "--force").code == 0


# What every edit has in common

EDITS = (["mv", "Dataset/tickets", "Dataset/tix"], ["rm", "Dataset/tickets", "--yes"])


@pytest.mark.parametrize("words", EDITS, ids=" ".join)
def test_an_edit_is_noted_with_who_did_what(applied: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "ada")
    monkeypatch.setenv("GITHUB_SHA", "c0ffee")
    assert ask(applied, "state", *words).code == 0
    with reading(applied) as state:
        noted = next(each for each in state.operations() if each.command == f"state {words[0]}")
    assert (noted.actor, noted.commit, noted.outcome, noted.plan) == ("ada", "c0ffee", "succeeded", "")
    assert "Dataset/tickets" in noted.summary and noted.started_at <= noted.finished_at


@pytest.mark.parametrize("words", EDITS, ids=" ".join)
def test_an_edit_waits_for_nobody_it_exits_with_3_and_names_the_holder(applied: Path, words: list[str]) -> None:
    with writing(applied) as state:
        before = state.records()
        answer = ask(applied, "state", *words)
        assert answer.code == 3 and "is locked by" in answer.err
        assert state.records() == before


@pytest.mark.parametrize("words", [["list"], ["show", "Dataset/tickets"], *EDITS], ids=" ".join)
def test_with_broken_settings_nobody_guesses_where_state_is(applied: Path, words: list[str]) -> None:
    (applied / "studio.yaml").write_text("apiVersion: studio/v1\nkind: Project\nspec: {state: 7}\n")
    answer = ask(applied, "state", *words)
    assert answer.code == 1 and "studio.yaml has errors" in answer.err


# The lock


def test_unlock_shows_the_holder_who_can_write_no_more(applied: Path) -> None:
    with writing(applied) as state:
        asked = ask(applied, "state", "unlock")
        assert asked.code == 64 and "say --yes" in asked.err and "is locked by 'studio apply', process" in asked.out
        assert "last sign of life was 0 s ago" in asked.out
        state.save_record(state.records()[TICKETS])
        answer = ask(applied, "state", "unlock", "--yes")
        assert answer.code == 0 and answer.out.endswith("Unlocked.\n")
        with pytest.raises(LeaseLostError, match="studio state unlock"):
            state.save_record(state.records()[TICKETS])
        assert ask(applied, "state", "rm", str(TICKETS), "--yes").code == 0
    with reading(applied) as state:
        unlock = next(each for each in state.operations() if each.command == "state unlock")
    assert unlock.summary["lock"].startswith("taken from 'studio apply', process")


def test_where_nobody_holds_the_lock_there_is_nothing_to_unlock(applied: Path, data_only: Path) -> None:
    before = ask(applied, "history", "--json").out
    for root in (applied, data_only):
        answer = ask(root, "state", "unlock", "--yes")
        assert answer.code == 0 and answer.out == "Environment 'default' is not locked.\n"
    assert ask(applied, "history", "--json").out == before
