"""MLflow, asked in a child process: nothing here imports it, and nothing that is asked changes anything there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from pydantic import ValidationError

from studio.core.jobresult import Failure
from studio.core.tracking_look import LookAnswer, LookRequest
from studio.load.token_counts import PACKAGES

SECONDS = 60
"""Processor time and half of the time that a look may take; importing MLflow takes two of them."""
QUESTIONS_A_SECOND = 20
"""A slow server answers so many; a look at more than it can answer in the time above gets more time."""
IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""MLflow would ask seven times, for minutes, whether a server is there, and report to its makers that it was asked."""


def look(request: LookRequest, environ: Mapping[str, str] = os.environ) -> LookAnswer:
    """What is there of what was asked for, or the fault because of which nobody could look."""
    seconds = SECONDS + (len(request.runs) + len(request.versions)) // QUESTIONS_A_SECOND
    command = [sys.executable, "-m", "studio.jobs.looking", str(seconds)]
    try:
        done = subprocess.run(
            command,
            input=request.model_dump_json(),
            capture_output=True,
            text=True,
            timeout=2 * seconds,
            env={**IMPATIENT, **environ, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=PACKAGES,  # a project's own mlflow.py must not be taken for the library
        )
        if done.returncode == 0:
            return LookAnswer.model_validate_json(done.stdout)
    except subprocess.TimeoutExpired:
        return _fault(f"it gave no answer within {2 * seconds} s", "check the server and the network")
    except ValidationError:
        return _fault("its answer could not be read", "report it, with the version of MLflow")
    if "ModuleNotFoundError" in done.stderr:
        return _fault("MLflow is not installed here", "pip install 'fine-tuning-studio[train]'")
    last = done.stderr.strip().rpartition("\n")[2]
    return _fault(f"the process that looks at it ended with exit code {done.returncode}: {last[:200]}", "report it")


def _fault(message: str, hint: str) -> LookAnswer:
    return LookAnswer(fault=Failure(message=message, hint=hint))
