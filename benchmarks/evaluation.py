"""Evaluating through studio beside a transformers pipeline and ``mlflow.models.evaluate``, in one run.

    python benchmarks/evaluation.py [--rounds 5] [--rows 400] [--batch 2] [--threads 2] [--shape NAME] [--json FILE]

Both ask one model the same prompts, greedily, for as many tokens at most; both compute exact match and ROUGE-L and file
numbers and answers in an MLflow database of their own. Seconds are from loading the model to the end of the MLflow run.
Before anything is timed both have done all of it once, so that databases are there and nothing is imported or compiled
for the first time. Then they take turns, each going first every other time; the table has medians of the pairs, of wall
clock and of processor time. Answers must be equal, row by row, else the benchmark fails.

The guide's way is what a careful user writes: one call of a pipeline with all prompts, in the order of the data, in
batches of ``--batch`` rows, padded on the left; in float32, as studio's; then ``mlflow.models.evaluate`` of the answers
without a ``model_type``, since the metrics that MLflow adds to one of text need the network.
It draws nothing. Studio's is the whole job: data, intervals, charts and confusion matrix are in its seconds. Threads of
either wait passively, as in every job of studio; spinning ones would cost the guide's small batches more.

Shapes: ``tickets`` are the quickstart's rows as they are, every answer as long as it may be. ``mixed`` has prompts of
1 to 12 tickets and answers that end with their first sentence, so both lengths differ much.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring

QUICKSTART = measuring.ROOT / "examples" / "quickstart"
INPUT, COMPLETION = "### CUSTOMER: {text}\n### QUEUE:", " {queue}"
GOAL = 3.0
"""Times the rows per second of the guide's way."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Tickets in one prompt, tokens of an answer at most, and whether a full stop ends it."""

    tickets: tuple[int, ...]
    tokens: int
    stops: bool


SHAPES = {"tickets": Shape((1,), 16, False), "mixed": Shape(tuple(range(1, 13)), 48, True)}


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of wall clock and of processor, the answers, and the exact match."""

    wall: float
    cpu: float
    answers: list[str]
    exact_match: float


@dataclass(frozen=True, slots=True)
class Task:
    """What both are given: a folder with the rows, a model, what an answer is, how many rows the guide's way takes
    at once, and torch's threads."""

    folder: Path
    model: Path
    generation: dict[str, Any]
    batch: int
    threads: int

    @property
    def rows(self) -> list[dict[str, str]]:
        with (self.folder / "rows.csv").open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--model", type=Path, default=QUICKSTART / "models" / "tiny-llama")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded
    figures = {name: compare(name, asked) for name in asked.shape or SHAPES}
    measuring.save(asked.json, {"load": measuring.load_average(), "model": asked.model.name, "shapes": figures})
    return 0 if all(each["wall ratio"] >= GOAL for each in figures.values()) else 1


def compare(name: str, asked: argparse.Namespace) -> dict[str, Any]:
    shape = SHAPES[name]
    took: dict[str, list[Took]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="studio-evaluation-") as folder:
        task = prepare(Path(folder), shape, asked)
        for each in WAYS.values():
            each(task)
        for number in range(asked.rounds):
            for way in sorted(WAYS, reverse=bool(number % 2)):
                took[way].append(WAYS[way](task))
    differing = [
        row for row, pair in enumerate(zip(*(took[way][0].answers for way in WAYS), strict=True)) if len(set(pair)) > 1
    ]
    if differing:
        raise SystemExit(f"{name}: {len(differing)} answers differ, the first in row {differing[0]}")
    return report(name, took)


def report(name: str, took: dict[str, list[Took]]) -> dict[str, Any]:
    ours, theirs = (took[way] for way in WAYS)
    rows = len(ours[0].answers)
    ratios = {
        kind: statistics.median(getattr(b, kind) / getattr(a, kind) for a, b in zip(ours, theirs, strict=True))
        for kind in ("wall", "cpu")
    }
    words = [len(answer.split()) for answer in ours[0].answers]
    print(f"{name}: {rows} rows, answers of {min(words)} to {max(words)} words, load {measuring.load_average()}")
    for way, each in took.items():
        wall, cpu = (statistics.median(getattr(one, kind) for one in each) for kind in ("wall", "cpu"))
        print(f"  {way:18} {rows / wall:8.1f} rows/s   {wall:6.2f} s, {cpu:6.2f} s of processor")
    print(f"  {ratios['wall']:.2f} x the rows per second (at least {GOAL:g}), {ratios['cpu']:.2f} x less processor")
    seconds = {
        way: {kind: [getattr(one, kind) for one in each] for kind in ("wall", "cpu")} for way, each in took.items()
    }
    return {"rows": rows, "seconds": seconds, "wall ratio": ratios["wall"], "cpu ratio": ratios["cpu"]}


def prepare(folder: Path, shape: Shape, asked: argparse.Namespace) -> Task:
    from transformers import AutoTokenizer

    with (QUICKSTART / "data" / "tickets.csv").open(encoding="utf-8", newline="") as stream:
        held = list(csv.DictReader(stream))
    drawn = random.Random(7)
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["text", "queue"])
        writer.writeheader()
        for _ in range(asked.rows):
            tickets = drawn.choices(held, k=drawn.choice(shape.tickets))
            writer.writerow({"text": " ".join(each["text"] for each in tickets), "queue": tickets[-1]["queue"]})
    generation: dict[str, Any] = {"max_new_tokens": shape.tokens, "do_sample": False}
    if shape.stops:
        tokenizer = AutoTokenizer.from_pretrained(asked.model)
        stop = tokenizer("It is done.", add_special_tokens=False)["input_ids"][-1]
        generation["eos_token_id"] = [int(tokenizer.eos_token_id), int(stop)]
    return Task(folder, asked.model, generation, asked.batch, asked.threads)


def studio(task: Task) -> Took:
    """An evaluation job, as the local backend's process would perform it."""
    from studio.core.jobspec import JobSpec
    from studio.jobs.evaluation import run
    from studio.jobs.events import EventLog

    with tempfile.TemporaryDirectory(dir=task.folder) as folder:
        spec = JobSpec.model_validate(
            {
                "key": Path(folder).name, "kind": "EvaluationJob", "name": "evaluation", "fingerprint": "f" * 64,
                "environment": "default", "project_dir": str(task.folder), "run_dir": Path(folder).name,
                "work": {
                    "task": "evaluation",
                    "combinations": [{"model": {"name": "base", "type": "project", "location": str(task.model)}}],
                    "dataset": {"name": "rows", "type": "project_csv", "location": "rows.csv"},
                    "templates": {"prompt": INPUT + COMPLETION, "input": INPUT, "completion": COMPLETION},
                    "metrics": ["exact_match", "rougeL"], "generation": task.generation,
                },
                "tracking": {
                    "tracking_uri": "sqlite:///studio.db", "experiment": "evaluation", "artifact_location": "artifacts",
                },
                "resources": {"cpu": task.threads},
            }
        )  # fmt: skip
        wall, cpu = time.perf_counter(), time.process_time()
        with EventLog(spec.folder / "events.jsonl", muted=True) as events:
            outcome = run.run(spec, events)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        with (spec.folder / "predictions-1.csv").open(encoding="utf-8", newline="") as stream:
            answers = [each["prediction"] for each in csv.DictReader(stream)]
    return Took(wall, cpu, answers, outcome.output.combinations[0].metrics["exact_match"])


def guide(task: Task) -> Took:
    """The guide's evaluation: a text-generation pipeline, then ``mlflow.models.evaluate`` of what it answered."""
    import mlflow
    import pandas as pd
    import torch
    from rouge_score import rouge_scorer
    from transformers import pipeline

    rows = task.rows
    torch.set_num_threads(task.threads)
    wall, cpu = time.perf_counter(), time.process_time()
    mlflow.set_tracking_uri(f"sqlite:///{task.folder / 'guide.db'}")
    if mlflow.get_experiment_by_name("evaluation") is None:
        mlflow.create_experiment("evaluation", (task.folder / "guide").as_uri())
    mlflow.set_experiment("evaluation")
    answering = pipeline("text-generation", model=str(task.model), device="cpu", dtype=torch.float32)
    answering.tokenizer.padding_side = "left"
    answering.tokenizer.pad_token = answering.tokenizer.pad_token or answering.tokenizer.eos_token
    given = answering(
        [INPUT.format(text=row["text"]) for row in rows], batch_size=task.batch, return_full_text=False,
        **task.generation,
    )  # fmt: skip
    answers = [each[0]["generated_text"] for each in given]
    scorer = rouge_scorer.RougeScorer(["rougeL"])

    def rouge(predictions: Any, targets: Any) -> Any:
        found = [
            scorer.score(wanted, text)["rougeL"].fmeasure for text, wanted in zip(predictions, targets, strict=True)
        ]
        return mlflow.metrics.MetricValue(scores=found, aggregate_results={"mean": sum(found) / len(found)})

    made = mlflow.metrics.make_metric(eval_fn=rouge, greater_is_better=True, name="rougeL")
    data = pd.DataFrame({"prediction": [text.strip() for text in answers], "expected": [row["queue"] for row in rows]})
    with mlflow.start_run():
        result = mlflow.models.evaluate(
            data=data, targets="expected", predictions="prediction", extra_metrics=[mlflow.metrics.exact_match(), made]
        )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Took(wall, cpu, answers, float(result.metrics["exact_match/v1"]))


WAYS: dict[str, Callable[[Task], Took]] = {"studio": studio, "pipeline + mlflow": guide}


if __name__ == "__main__":
    raise SystemExit(main())
