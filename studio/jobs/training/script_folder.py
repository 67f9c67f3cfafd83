"""The folder that a job shares with a training script: what the script is given, and where it leaves what."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from studio.core.atomic import write_atomically
from studio.core.errors import JobError
from studio.core.fingerprints import file_digest
from studio.core.jobspec import JobSpec, TrainingWork
from studio.jobs import ranks
from studio.jobs.training.corpus import Corpus
from studio.script import Job

FOLDER = "script"
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ScriptFolder:
    """In the run's folder; it goes once its adapter is in place."""

    path: Path

    @property
    def job(self) -> Path:
        return self.path / "job.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def place(self) -> Path:
        """Where the script runs: what it strews about stays here."""
        return self.path / "work"

    def failure(self, rank: int) -> Path:
        """Where a worker beyond the first says why its script failed."""
        return self.path / f"failed-{rank}.json"

    def raise_others(self) -> None:
        """Raises JobError when a worker beyond the first has said that its script failed."""
        for path in sorted(self.path.glob("failed-*.json")):
            said = json.loads(path.read_text("utf-8"))
            raise JobError(said["message"], said["hint"])

    def finish(self, seconds: float) -> None:
        """The script has ended well: a later attempt does not run it again."""
        write_atomically(self.path / "finished.json", json.dumps({"seconds": seconds}).encode())

    def finished(self) -> float | None:
        """How many seconds the script ran that ended well in an earlier attempt."""
        path = self.path / "finished.json"
        return float(json.loads(path.read_text())["seconds"]) if path.exists() else None


def of(spec: JobSpec) -> ScriptFolder:
    """The folder of a job; emptied when the job starts from nothing."""
    folder = spec.folder / FOLDER
    if spec.fresh and ranks.is_main():
        shutil.rmtree(folder, ignore_errors=True)
    return ScriptFolder(folder)


def check_files(spec: JobSpec, work: TrainingWork) -> None:
    """Raises JobError when a file of the job is not what the plan saw."""
    for name, digest in work.files.items():
        path = spec.path(name)
        if not path.is_file():
            raise JobError(f"{path} does not exist", "was it moved since the plan was made?")
        if digest and file_digest(path) != digest:
            raise JobError(f"{path} changed since the plan was made", "plan again, then apply")


def furnish(folder: ScriptFolder, spec: JobSpec, work: TrainingWork, model: Path, texts: Corpus) -> Job:
    """Write the rows and, last, what the script is told; an adapter of an earlier attempt goes."""
    shutil.rmtree(folder.adapter, ignore_errors=True)
    folder.metrics.unlink(missing_ok=True)
    for path in folder.path.glob("failed-*"):
        path.unlink()
    held_out = folder.path / "held_out.jsonl" if texts.held_out else None
    job = Job(
        name=spec.name,
        adapter_name=work.adapter_name,
        attempt=spec.attempt,
        project=spec.path("").absolute(),
        model=model.absolute(),
        train=folder.path / "train.jsonl",
        held_out=held_out,
        adapter=folder.adapter,
        checkpoints=folder.path / "checkpoints",
        metrics=folder.metrics,
        events=folder.events,
        config=work.user_config or {},
        settings=_settings(work),
        resources={name: value for name, value in spec.resources.model_dump().items() if value is not None},
    )
    for path in (job.checkpoints, folder.place):
        path.mkdir(parents=True, exist_ok=True)
    texts.train.to_json(str(job.train), force_ascii=False)
    if held_out and texts.held_out:
        texts.held_out.to_json(str(held_out), force_ascii=False)
    write_atomically(folder.job, job.to_json().encode())
    return job


def await_furnished(folder: ScriptFolder, attempt: int) -> None:
    """For workers beyond the first: wait until the first has written everything for this attempt."""
    while not (folder.job.exists() and json.loads(folder.job.read_text("utf-8"))["attempt"] == attempt):
        time.sleep(LOOK_SECONDS)


def _settings(work: TrainingWork) -> dict[str, object]:
    return {
        "epochs": work.epochs,
        "learning_rate": work.learning_rate,
        "loss": work.loss,
        "seed": work.training_arguments.get("seed", work.split.seed),
        "training_arguments": work.training_arguments,
        "lora": work.lora,
        "quantization": work.model_quantization or work.adapter_quantization,
    }
