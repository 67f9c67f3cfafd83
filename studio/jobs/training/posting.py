"""Metrics on their way to MLflow: a thread of its own sends them, so that training waits for no server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path

from mlflow.exceptions import MlflowException

from studio.jobs.events import EventLog
from studio.jobs.tracking import TrackedRun, TrackedStep

PAUSE_SECONDS, RETRY_SECONDS = 10.0, 2.0
"""Between two calls while training, and between two attempts once it has ended."""
PATIENCE_SECONDS, HURRY_SECONDS = 120.0, 5.0
"""How long a training that has ended waits for a server, and one that was stopped or failed."""


def log_end(run: TrackedRun, metrics: dict[str, float], step: int, files: Iterable[Path], events: EventLog) -> None:
    """What is known of a whole training. A server that fails now costs only that."""
    try:
        run.log_metrics(metrics, step)
        for file in files:
            run.log_file(file)
    except (MlflowException, OSError) as error:  # requests' errors are OSErrors
        events.write("mlflow", f"MLflow did not take the metrics of the whole training, or its curve: {error}")


class Post:
    """Keeps what MLflow does not take and sends it again; what it never takes costs a note, and not the training."""

    def __init__(self, run: TrackedRun | None, events: EventLog) -> None:
        self._run, self._events = run, events
        self._waiting: list[TrackedStep] = []
        self._change = threading.Condition()
        self._ends: float | None = None
        self._fault = ""
        self._told = False
        self._thread = threading.Thread(target=self._work, name="metrics", daemon=True)
        if run is not None:
            self._thread.start()

    def put(self, values: dict[str, float], step: int) -> None:
        """Metrics of a step, with the time of now. Says once when MLflow does not take them."""
        if self._run is None:
            return
        with self._change:
            self._waiting.append(TrackedStep(values, step, int(time.time() * 1000)))
        if self._fault and not self._told:
            self._told = True
            self._events.write("mlflow", f"metrics wait, MLflow does not take them: {self._fault}")

    def close(self, patience: float) -> None:
        """Send what waits, for so many seconds at most, and say what was not sent."""
        if self._run is None:
            return
        with self._change:
            self._ends = time.monotonic() + patience
            self._change.notify()
        self._thread.join(patience)
        if self._waiting:
            why = self._fault or "it gives no answer"
            self._events.write("mlflow", f"MLflow never took {len(self._waiting)} logs of metrics: {why}")

    def _work(self) -> None:
        while True:
            with self._change:
                pause = PAUSE_SECONDS if self._ends is None else RETRY_SECONDS if self._fault else 0.0
                self._change.wait(pause)
                batch = list(self._waiting)
            sent = self._send(batch)
            with self._change:
                if sent:
                    del self._waiting[: len(batch)]
                if self._ends is not None and (not self._waiting or time.monotonic() > self._ends):
                    return

    def _send(self, batch: list[TrackedStep]) -> bool:
        try:
            if batch and self._run is not None:
                self._run.log_steps(batch)
        except (MlflowException, OSError) as error:  # requests' errors are OSErrors
            self._fault = str(error)
            return False
        self._fault = ""
        return True
