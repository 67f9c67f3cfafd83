"""An evaluation shared by several jobs: the same result as of one job, however its parts end."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from studio.core import parts
from studio.core.event import Event
from studio.core.jobresult import CombinationOutput, EvaluationOutput, Failure, JobResult, Measures
from studio.core.jobspec import EVENTS_FILE, SPEC_FILE, EvaluationWork, JobSpec
from studio.jobs import __main__ as front_door
from studio.jobs import tracking
from studio.jobs.evaluation import comparison, differences, gathering
from studio.jobs.events import EventLog
from studio.jobs.result import Outcome, read_result, told, write_result

from ...fakes.judge import KEY, judge
from ..workbench import MODEL, MakeSpec, evaluation, events, messages, perform, start

TIMED = {"latency", "rows_per_second"}
JUDGE = {"name": "helpfulness", "model": "judge-large", "definition": "It helps."}
AGAIN = {"model": {**MODEL, "name": "again"}}


def whole(spec: JobSpec) -> JobResult:
    result = read_result(spec.whole_folder)
    assert result is not None, "the parts were not gathered"
    return result


def ask(spec: JobSpec) -> int:
    """The front door, in this process: the seconds that importing the libraries takes are spared."""
    spec.folder.mkdir(parents=True, exist_ok=True)
    path = spec.folder / SPEC_FILE
    path.write_text(spec.model_dump_json())
    before = signal.getsignal(signal.SIGTERM)
    try:
        return front_door.main([str(path)])
    finally:
        signal.signal(signal.SIGTERM, before)


def output(result: JobResult) -> EvaluationOutput:
    assert isinstance(result.output, EvaluationOutput), result.failure
    return result.output


def client(spec: JobSpec) -> MlflowClient:
    return MlflowClient(f"sqlite:///{spec.path('.studio/mlflow.db')}")


def compared(spec: JobSpec) -> list[list[str]]:
    """The comparison table without what depends on the clock."""
    header, *rows = [line.split(",") for line in (spec.whole_folder / "comparison.csv").read_text().splitlines()]
    kept = [number for number, name in enumerate(header) if name.removesuffix("_gain") not in TIMED]
    return [[row[number] for number in kept] for row in (header, *rows)]


def lasting(combination: CombinationOutput) -> dict[str, float]:
    return {name: value for name, value in combination.metrics.items() if name not in TIMED}


@pytest.mark.slow
def test_parts_in_processes_of_their_own_make_what_one_job_makes(
    make_spec: MakeSpec, router: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = evaluation(router, selected_features=["text"], slice_by=["queue"], judges=[{**JUDGE, "sample": 15}])
    work["combinations"].append(AGAIN)
    one, shared = make_spec(work, "one"), make_spec(work, "shared")
    with judge() as fake:
        monkeypatch.setenv("STUDIO_JUDGE_URL", fake.url)
        monkeypatch.setenv("STUDIO_JUDGE_KEY", KEY)
        running = [start(each) for each in parts.parts(shared)]
        write_result(one.folder, perform(one))
        assert [each.wait(timeout=300) for each in running] == [0, 0, 0]
    expected, made = output(whole(one)), output(whole(shared))
    assert [(each.model, each.adapter) for each in made.combinations] == [
        ("tiny", ""), ("tiny", "router"), ("again", ""),
    ]  # fmt: skip
    assert [each.slices for each in made.combinations] == [each.slices for each in expected.combinations]
    assert made.differences == expected.differences and len(made.differences) == 4 * 3
    assert [each.intervals for each in made.combinations] == [each.intervals for each in expected.combinations]
    assert made.combinations[1].slices and list(map(lasting, made.combinations)) == list(
        map(lasting, expected.combinations)
    )
    assert (made.rows, made.selection) == (expected.rows, expected.selection) and made.selection
    assert compared(shared) == compared(one) and shared.path(made.chart).read_bytes().startswith(b"\x89PNG")
    for mine, theirs in zip(made.combinations, expected.combinations, strict=True):
        assert shared.path(mine.predictions).read_bytes() == one.path(theirs.predictions).read_bytes()
        judged = shared.path(mine.judgements).read_text()
        assert judged == one.path(theirs.judgements).read_text() and judged.count("because") == 15
    assert sum("gather" in [e.phase for e in events(each)] for each in parts.parts(shared)) == 1
    assert "attempt 1, part 2 of 3: combination 2 (tiny with router)" in messages(parts.part(shared, 2))
    assert [(e.step, e.total) for e in events(parts.part(shared, 2)) if e.phase == "evaluate"] == [(25, 25)]
    mlflow_agrees(shared, one)


def mlflow_agrees(shared: JobSpec, one: JobSpec) -> None:
    runs, result, other = client(shared), whole(shared), whole(one)
    above, expected = runs.get_run(result.mlflow_run_id), runs.get_run(other.mlflow_run_id)
    assert above.data.params == expected.data.params and above.info.status == "FINISHED"
    assert above.info.run_name == "shared" and "mlflow.parentRunId" not in above.data.tags
    assert {each.path for each in runs.list_artifacts(above.info.run_id)} == {"comparison.csv", "comparison.png"}
    pairs = zip(output(result).combinations, output(other).combinations, strict=True)
    for number, (mine, theirs) in enumerate(pairs, start=1):
        run, known = runs.get_run(mine.mlflow_run_id), runs.get_run(theirs.mlflow_run_id)
        assert run.data.tags["mlflow.parentRunId"] == result.mlflow_run_id
        assert run.data.tags["studio.combination"] == known.data.tags["studio.combination"] == str(number)
        assert (run.info.run_name, run.data.params) == (known.info.run_name, known.data.params)
        assert set(run.data.metrics) == set(known.data.metrics) and run.info.status == "FINISHED"
        assert above.info.start_time <= run.info.start_time
        held = {file.path for file in runs.list_artifacts(mine.mlflow_run_id)}
        assert held == {
            f"predictions-{number}.csv", f"confusion-{number}.csv", f"confusion-{number}.png",
            f"judgements-{number}.csv", f"judgements-{number}.json",
        }  # fmt: skip


@pytest.mark.slow
def test_a_part_that_failed_is_named_and_the_next_attempt_does_only_that_one(
    make_spec: MakeSpec, router: str, project: Path
) -> None:
    hidden = project / "elsewhere"
    shutil.move(project / router, hidden)
    spec = make_spec(evaluation(router))
    first, second = parts.parts(spec)
    assert ask(first) == 0 and ask(second) == 1
    failed = whole(spec)
    assert failed.failure and failed.failure.message.startswith("combination 2 (tiny with router): ")
    assert "does not exist" in failed.failure.message and not failed.failure.bug and failed.output is None
    shutil.move(hidden, project / router)
    again = spec.model_copy(update={"attempt": 2})
    assert [ask(each) for each in parts.parts(again)] == [0, 0]
    assert "an earlier attempt evaluated combination 1 (tiny)" in messages(first)
    assert "an earlier attempt" not in messages(second)
    made = whole(spec)
    assert made.attempt == 2 and [each.adapter for each in output(made).combinations] == ["", "router"]
    assert made.measures.earlier_seconds > made.measures.working_seconds > 0 and made.measures.parts == 2


@pytest.mark.slow
def test_rows_that_changed_between_two_parts_are_asked_again_by_the_next_attempt(
    make_spec: MakeSpec, project: Path
) -> None:
    """A data set without a digest: nobody else would notice."""
    work = evaluation()
    work["combinations"].append(AGAIN)
    spec = make_spec(work)
    first, second = parts.parts(spec)
    assert ask(first) == 0
    rows = project / "data" / "tickets.csv"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:-1]))
    assert ask(second) == 1, "it could not put the parts together"
    refused = whole(spec).failure
    assert refused and "combination 2 (again) was asked other rows than combination 1 (tiny)" in refused.message
    again = [each.model_copy(update={"attempt": 2}) for each in (first, second)]
    assert [ask(each) for each in again] == [0, 0]
    assert "an earlier attempt" not in messages(first) and "an earlier attempt" in messages(second)
    assert output(whole(spec)).rows == 24


# What gathers, without models: parts that ended are made by hand.


def end(spec: JobSpec, fault: str = "", selection: str = "rows", device: str = "cpu") -> JobResult:
    """A part that ended as its job leaves it: a run in MLflow, predictions, a result."""
    spec.folder.mkdir(parents=True, exist_ok=True)
    ended: Outcome | Failure = Failure(message=fault, hint=f"mend {fault}")
    if not fault:
        with tracking.run(spec, "part", {"studio.combination": str(spec.part)}) as run:
            (spec.folder / "predictions.csv").write_text("prompt\n")
            rows = [[float(row < spec.part), 1.0] for row in range(7)]
            differences.keep(spec.folder / "scores.npz", {"exact_match": np.array(rows)})
        combination = CombinationOutput(
            model="tiny",
            adapter="router" if spec.part > 1 else "",
            metrics={"exact_match": spec.part / 10},
            predictions=parts.location(spec, "predictions.csv"),
            scores=parts.location(spec, "scores.npz"),
            judgements=_judged(spec),
            mlflow_run_id=run.run_id,
        )
        made = EvaluationOutput(combinations=(combination,), rows=7, selection=selection)
        measures = Measures(device=device, rows=7, working_seconds=2, parameters=spec.part * 1000)
        ended = Outcome(made, run.run_id, run.experiment_id, measures)
    result = told(spec, ended, datetime.now(UTC), 3.0)
    write_result(spec.folder, result)
    return result


def _judged(spec: JobSpec) -> str:
    if not (isinstance(spec.work, EvaluationWork) and spec.work.judges):
        return ""
    (spec.folder / "judgements.csv").write_text("row\n")
    return parts.location(spec, "judgements.csv")


def gather(spec: JobSpec) -> Failure | None:
    with EventLog(spec.folder / EVENTS_FILE) as log:
        return gathering.gather(spec, log)


@pytest.fixture
def two(make_spec: MakeSpec) -> Iterator[tuple[JobSpec, JobSpec]]:
    first, second = parts.parts(make_spec(evaluation("adapters/router")))
    yield first, second


def runs_above(spec: JobSpec) -> list[str]:
    """The runs of the whole: those that are no child of another, and of no combination."""
    found = client(spec).search_runs([each.experiment_id for each in client(spec).search_experiments()])
    return [run.info.status for run in found if "studio.combination" not in run.data.tags]


def test_nothing_is_gathered_before_all_parts_of_the_attempt_have_ended(two: tuple[JobSpec, JobSpec]) -> None:
    first, second = two
    end(second)
    later = first.model_copy(update={"attempt": 2})
    end(later)
    assert gather(later) is None and read_result(first.whole_folder) is None
    end(second.model_copy(update={"attempt": 2}))
    assert gather(later) is None and whole(first).attempt == 2


def test_seconds_are_those_of_all_parts_and_rows_are_counted_once(two: tuple[JobSpec, JobSpec]) -> None:
    for each in two:
        end(each)
    gather(two[0])
    made = whole(two[0])
    assert (made.seconds, made.measures.working_seconds, made.measures.parts) == (6.0, 4.0, 2)
    assert (made.measures.rows, made.measures.parameters, made.measures.device) == (7, 2000, "cpu")


def test_parts_on_unlike_devices_foretell_nothing(two: tuple[JobSpec, JobSpec]) -> None:
    for each, device in zip(two, ("cpu", "NVIDIA H100"), strict=True):
        end(each, device=device)
    gather(two[0])
    assert whole(two[0]).measures.device == ""


def test_parts_that_end_at_once_gather_once(two: tuple[JobSpec, JobSpec]) -> None:
    for each in two:
        end(each)
    threads = [threading.Thread(target=gather, args=(each,)) for each in two]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum("gather" in [event.phase for event in events(each)] for each in two) == 1
    assert runs_above(two[0]) == ["FINISHED"] and output(whole(two[0])).rows == 7


@pytest.mark.parametrize("at", ["params", "conclude", "set_tag", "write_result"])
def test_gathering_that_was_killed_is_done_again_without_a_second_parent(
    two: tuple[JobSpec, JobSpec], monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """SystemExit is what a request to stop becomes; what a kill leaves is the same, but for an open run."""
    for each in two:
        end(each)

    def stop(*_: object, **__: object) -> None:
        raise SystemExit(143)

    place = {"params": comparison, "conclude": comparison, "set_tag": MlflowClient, "write_result": gathering}[at]
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(place, at, stop)
        gather(two[1])
    assert read_result(two[0].whole_folder) is None
    assert gather(two[0]) is None
    assert runs_above(two[0]) == ["FINISHED"]
    for each in output(whole(two[0])).combinations:
        assert client(two[0]).get_run(each.mlflow_run_id).data.tags["mlflow.parentRunId"] == whole(two[0]).mlflow_run_id


def test_a_server_that_refuses_is_the_result_and_the_next_attempt_gathers(
    two: tuple[JobSpec, JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in two:
        end(each)

    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("no more space")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_artifact", refuse)
        apart = gather(two[1])
    assert apart is not None and "no more space" in apart.message and not apart.bug
    assert whole(two[0]).failure == apart
    gather(two[0])
    assert output(whole(two[0])).rows == 7 and runs_above(two[0]) == ["FINISHED"]


def test_all_that_failed_are_counted_and_the_first_are_named(make_spec: MakeSpec) -> None:
    shared = make_spec(evaluation(*["adapters/router"] * 5))
    for number, each in enumerate(parts.parts(shared)):
        end(each, fault=f"fault {number}" if number else "")
    assert gather(parts.part(shared, 6)) is None, "its own part is not to blame"
    failed = whole(shared).failure
    assert failed and failed.hint == "mend fault 1"
    assert failed.message == (
        "5 of 6 combinations failed; combination 2 (tiny with router): fault 1; combination 3 (tiny with router): "
        "fault 2; combination 4 (tiny with router): fault 3; and 2 more"
    )


def test_what_an_earlier_attempt_made_is_kept_while_all_of_it_is_there(two: tuple[JobSpec, JobSpec]) -> None:
    first, _ = two
    result = end(first)
    later = first.model_copy(update={"attempt": 2})
    made = gathering.made_before(later, "rows")
    assert made is not None and made.mlflow_run_id == result.mlflow_run_id
    assert made.measures.earlier_seconds == 3.0
    assert gathering.made_before(later, "other rows") is None
    assert gathering.made_before(later.model_copy(update={"fresh": True}), "rows") is None
    assert gathering.made_before(first.model_copy(update={"fresh": True}), "rows") is not None, "its own attempt"
    assert gathering.made_before(later.model_copy(update={"fingerprint": "0" * 64}), "rows") is None
    client(first).delete_run(result.mlflow_run_id)
    assert gathering.made_before(later, "rows") is None
    client(first).restore_run(result.mlflow_run_id)
    (first.folder / "predictions.csv").unlink()
    assert gathering.made_before(later, "rows") is None


def test_what_judges_said_belongs_to_what_an_earlier_attempt_made(make_spec: MakeSpec) -> None:
    first, _ = parts.parts(make_spec(evaluation("adapters/router", judges=[JUDGE])))
    end(first)
    later = first.model_copy(update={"attempt": 2})
    assert gathering.made_before(later, "rows") is not None
    (first.folder / "judgements.csv").unlink()
    assert gathering.made_before(later, "rows") is None


def test_a_renamed_adapter_keeps_its_answers_under_its_new_name(two: tuple[JobSpec, JobSpec]) -> None:
    _, second = two
    end(second)
    renamed = evaluation("adapters/router")
    renamed["combinations"][1]["adapter"]["name"] = "sorter"
    later = second.model_copy(update={"work": type(second.work).model_validate(renamed), "attempt": 2})
    made = gathering.made_before(later, "rows")
    assert made and isinstance(made.output, EvaluationOutput) and made.output.combinations[0].adapter == "sorter"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": 9}'])
def test_a_result_that_nobody_can_read_counts_as_none(two: tuple[JobSpec, JobSpec], content: str) -> None:
    first, second = two
    end(second)
    first.folder.mkdir(parents=True)
    (first.folder / "result.json").write_text(content)
    assert gathering.made_before(first, "rows") is None
    assert gather(second) is None and read_result(first.whole_folder) is None


def test_a_part_that_starts_closes_no_run_of_the_others(two: tuple[JobSpec, JobSpec]) -> None:
    first, second = two
    first.folder.mkdir(parents=True)
    with tracking.run(first, "one", {"studio.combination": "1"}) as running:
        statuses = []
        thread = threading.Thread(target=lambda: (end(second), statuses.append(status(first, running.run_id))))
        thread.start()
        thread.join()
    assert statuses == ["RUNNING"]


def status(spec: JobSpec, run_id: str) -> str:
    return str(client(spec).get_run(run_id).info.status)


@pytest.mark.parametrize("part", [-1, 3])
def test_a_part_that_the_work_does_not_have_is_a_usage_error(
    make_spec: MakeSpec, part: int, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = make_spec(evaluation("adapters/router"))
    path = spec.path("spec.json")
    path.write_text(spec.model_copy(update={"part": part}).model_dump_json())
    assert front_door.main([str(path)]) == 64
    assert f"asks for part {part} of work that has 2" in capsys.readouterr().err


def test_progress_of_the_parts_is_that_of_all_rows() -> None:
    def said(time: float, phase: str, **numbers: int) -> Event:
        return Event(time=time, phase=phase, **numbers)  # type: ignore[arg-type]

    assert parts.progress([None, None]) is None
    early = parts.progress([said(1, "load"), None])
    assert early and (early.phase, early.message, early.total) == ("load", "0 of 2 parts ended", None)
    middle = parts.progress([said(5, "evaluate", step=10, total=25), said(4, "done"), None])
    assert middle and (middle.phase, middle.step, middle.total, middle.time) == ("evaluate", 35, 75, 5)
    assert middle.message == "1 of 3 parts ended"
