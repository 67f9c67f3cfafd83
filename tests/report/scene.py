"""A recorded project for the tests of reports, in every text of which a word of the test's choice can stand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from studio.backends.base import JobState, JobStatus
from studio.core.course import Course
from studio.core.event import Event
from studio.core.references import Ref
from studio.inspection import Standing
from studio.report.graphs import Origin, Picture
from studio.report.pages.view import Evidence, View
from studio.state.base import Operation, Record, RecordStatus, Run, RunStatus
from studio.traces import Asked, Matrix, Told

DATA, MODEL, TRAIN = Ref("Dataset", "tickets"), Ref("Model", "tiny"), Ref("FineTuningJob", "train")
COMPARE, RELEASE, NEW = Ref("EvaluationJob", "compare"), Ref("ModelExport", "release"), Ref("Prompt", "new")
PAGES = (None, DATA, MODEL, TRAIN, COMPARE, RELEASE, NEW)
TIME = "2026-03-04T05:06:07.000Z"


def levels(low: float, high: float) -> list[dict[str, float]]:
    return [{"confidence": 0.95, "low": low, "high": high}]


def _combination(adapter: str, number: int, value: float, x: str) -> dict[str, Any]:
    sliced = {"column": f"queue{x}", "value": f"refund{x}", "rows": 12, "metrics": {"exact_match": value}}
    return {
        "model": f"tiny{x}", "adapter": adapter, "metrics": {"exact_match": value, "latency": 0.25},
        "intervals": {"exact_match": levels(value - 0.1, value + 0.1)},
        "slices": [sliced | {"intervals": {"exact_match": levels(value - 0.2, value)[0]}}],
        "confusion": f"runs/compare/confusion-{number}.csv", "predictions": f"runs/compare/predictions-{number}.csv",
    }  # fmt: skip


def outputs(x: str = "") -> dict[Ref, dict[str, Any]]:
    difference = {
        "metric": "exact_match", "combination": 1, "than": 0, "gain": 0.5, "intervals": levels(0.4, 0.6),
        "p_value": 1e-9, "test": "McNemar",
    }  # fmt: skip
    return {
        TRAIN: {
            "task": "training", "adapter": f"runs/train/adapter{x}", "digest": f"{'d' * 64}{x}", "train_rows": 90,
            "held_out_rows": 10, "curve": "runs/train/curves.png",
            "stopped": {"step": 60, "steps": 100, "metric": f"eval_loss{x}", "best": 0.625, "best_step": 30,
                        "patience": 3, "min_delta": 0.01},
            "metrics": {"final_loss": 0.5, "eval_loss": 0.625, "tokens_per_second": 1234.5, "peak_memory_bytes": 1.5e9},
        },
        COMPARE: {
            "task": "evaluation", "rows": 10, "selection": f"{'5' * 64}{x}", "differences": [difference],
            "combinations": [_combination("", 1, 0.25, x), _combination(f"router{x}", 2, 0.75, x)],
        },
        RELEASE: {
            "task": "export", "model_name": f"router{x}", "model_version": f"3{x}", "uri": f"models:/router/3{x}",
            "digest": f"{'e' * 64}{x}", "description": f"routes{x}", "remark": x, "versions": {f"torch{x}": f"2.13{x}"},
        },
    }  # fmt: skip


def _record(ref: Ref, x: str, *needs: Ref, **changes: Any) -> Record:
    spec = {"type": f"text{x}", "nested": {f"key{x}": [f"value{x}", 1]}, "api_key": f"hunter2{x}"}
    metadata = {"name": ref.name, "title": f"Title{x}", "description": f"What it is for{x}"}
    inputs = {str(need): "f" * 64 for need in needs} | {"content": f"{'c' * 64}{x}"}
    facts = {"rows": 100, "features": [f"text{x}", "queue"], "digest": f"{'c' * 64}{x}"} if ref == DATA else {}
    record = Record(
        ref, f"uid{x}", spec, metadata, "f" * 64, inputs, RecordStatus.READY, facts=facts,
        source=f"manifests/all.yaml{x}", commit=f"{'a' * 40}{x}", created_at=TIME, updated_at=TIME,
    )  # fmt: skip
    return replace(record, **changes)


def view(x: str = "") -> View:
    """Everything done but a Prompt that nobody applied, and a second training that runs."""
    made, verdict = outputs(x), {"condition": "min", "threshold": 0.5, "value": 0.75, "passed": True}
    outcomes = {
        ref: {"output": output, "run_dir": f"runs/{ref.name}", "mlflow_run_id": f"{'9' * 32}{x}", "seconds": 75.0}
        for ref, output in made.items()
    }
    outcomes[COMPARE]["verdicts"] = [verdict | {"metric": f"exact_match{x}", "combination": f"router{x}"}]
    records = [
        _record(DATA, x), _record(MODEL, x), _record(TRAIN, x, DATA, MODEL, outcome=outcomes[TRAIN]),
        _record(COMPARE, x, DATA, MODEL, TRAIN, outcome=outcomes[COMPARE]),
        _record(RELEASE, x, MODEL, TRAIN, outcome=outcomes[RELEASE], error=f"broke\nbadly{x}"),
    ]  # fmt: skip
    run = Run(
        f"train-key{x}", 2, "default", TRAIN, "f" * 64, f"local{x}", RunStatus.FAILED, error=f"no memory{x}",
        submitted_at=TIME, finished_at=TIME,
    )  # fmt: skip
    busy = Ref("FineTuningJob", f"busy{x}")
    event = Event(time=1, phase=f"train{x}", step=5, total=10, loss=1.5, message=f"going on{x}")
    standings = {each.ref: Standing(each.ref, each, run if each.ref == TRAIN else None, None) for each in records}
    standings[NEW] = Standing(NEW, None, None, None, held=x)
    standings[busy] = Standing(busy, None, replace(run, ref=busy), JobStatus(JobState.RUNNING, event))
    operation = Operation(
        f"id{x}", "default", f"apply{x}", f"somebody{x}", f"{'a' * 40}{x}", TIME, TIME, f"succeeded{x}",
        {**{str(each.ref): f"done{x}" for each in records}},
    )  # fmt: skip
    return View(
        f"desk{x}", f"dev{x}", dict(sorted(standings.items())), _picture(standings, x), [operation], "", [run],
        {TRAIN: _told(x), busy: _told(x)},
    )  # fmt: skip


def _picture(standings: dict[Ref, Standing], x: str) -> Picture:
    nodes = dict.fromkeys(standings, Origin.MANIFEST) | {Ref("Adapter", f"router{x}"): Origin.PRODUCED}
    edge = ("field",)
    return Picture(
        dict(sorted(nodes.items())),
        {TRAIN: {DATA: edge, MODEL: edge}, Ref("Adapter", f"router{x}"): {TRAIN: edge},
         COMPARE: {Ref("Adapter", f"router{x}"): edge, DATA: edge}, RELEASE: {COMPARE: edge, TRAIN: edge}},
    )  # fmt: skip


def _told(x: str) -> Told:
    curves = {
        "loss": (2.0, 1.0, 0.5), "eval_loss": (None, 0.75, 0.625), "learning_rate": (0.001, 0.0005, 0.0),
        "tokens_per_second": (1000.0, 1500.0, 1250.0), "memory_bytes": (1e9, 1.25e9, 1.5e9),
    }  # fmt: skip
    return Told(Course(steps=(10, 20, 30), curves=curves), f"the events of its run{x}")


def evidence(x: str = "") -> Evidence:
    """What the jobs of that project left."""
    work = {
        "task": "training", "lora": {"r": 8, f"odd{x}": f"value{x}"}, "loss": f"completion{x}",
        "dataset": {"name": f"tickets{x}", "location": f"data{x}.csv", "digest": f"{'c' * 64}{x}", "features": [x]},
        "templates": {"prompt": f"{{text}}\n{x}", "input": "", "completion": f" {{queue}}{x}"},
    }  # fmt: skip
    base = [Asked(f"ask {n}{x}", f"refund{x}", f"invoice{x}", False) for n in range(10)]
    adapter = [Asked(f"ask {n}{x}", f"refund{x}", f"refund{x}" if n % 2 else f"?{x}", n % 2 == 1) for n in range(10)]
    matrix = Matrix((f"refund{x}", "invoice"), (f"refund{x}", "invoice", "(other)"), ((5, 0, 1), (2, 2, 0)))
    return Evidence({"work": work}, (f"tiny{x}", f"tiny + router{x}"), (base, adapter), (matrix, matrix))
