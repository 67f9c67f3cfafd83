"""Training with Axolotl, which runs in an environment of its own: prepared, watched, and brought home."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import yaml
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from studio.core.errors import JobError
from studio.core.jobresult import Measures, TrainingOutput
from studio.core.jobspec import JobSpec, TrainingWork
from studio.jobs import child, ranks, threads, tracking
from studio.jobs.events import EventLog
from studio.jobs.inputs import locations
from studio.jobs.model import adapters, models, tokenizers
from studio.jobs.result import Outcome
from studio.jobs.tracking import TrackedRun
from studio.jobs.training import checkpoints, curves, script_folder
from studio.jobs.training.axolotl import home, process, rows, settings
from studio.jobs.training.axolotl.home import Home
from studio.jobs.training.axolotl.progress import Progress
from studio.jobs.training.axolotl.settings import Place, Settings
from studio.jobs.training.checkpoints import Checkpoint
from studio.jobs.training.posting import HURRY_SECONDS, PATIENCE_SECONDS, Post, log_end

ADAPTER, CONFIG, WORK = "adapter", "axolotl.yaml", "axolotl"
PLUGIN, PLUGIN_FILE = Path(__file__).with_name("plugin.py"), "studio_report.py"


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything a run needs, checked."""

    home: Home
    place: Place
    tokenizer: PreTrainedTokenizerBase
    settings: Settings
    earlier: Checkpoint | None


def train(spec: JobSpec, work: TrainingWork, events: EventLog) -> Outcome:
    """Write rows and configuration, run Axolotl, adopt what it made. Raises JobError for whatever a user can mend."""
    datasets.disable_progress_bars()
    if ranks.world_size() > 1:
        raise JobError(
            "Axolotl starts its own processes, on one machine", "this is a fault of whoever launched this job"
        )
    setup = _set_up(spec, work, events)
    with tracking.run(spec) as run:
        run.log_params(_params(work, setup))
        progress = _fit(spec, setup, run, events)
        digest = _adopt(spec, work, setup)
        metrics = progress.measured()
        if "eval_loss" in metrics:
            last, told = int(progress.ended["step"]), f"on {progress.ended['held_out_rows']:.0f} held-out rows"
            events.write("evaluate", told, step=last, total=last, eval_loss=metrics["eval_loss"])
        picture = curves.draw(spec, work.adapter_name)
        log_end(run, metrics, int(progress.ended["step"]), [picture, spec.folder / CONFIG], events)
        kept = adapters.keep(spec.folder / ADAPTER, spec, run, events)
    shutil.rmtree(setup.place.work, ignore_errors=True)
    events.write("save", f"adapter {work.adapter_name} in {spec.folder / ADAPTER}")
    output = TrainingOutput(
        adapter=f"{spec.run_dir}/{ADAPTER}",
        digest=digest,
        metrics=metrics,
        train_rows=setup.place.files.train_rows,
        held_out_rows=setup.place.files.held_out_rows,
        curve=f"{spec.run_dir}/{curves.PICTURE}",
        model_family=models.family(setup.place.model, work.model),
        kept=kept,
    )
    return Outcome(output, run.run_id, run.experiment_id, _measures(setup, progress))


def _set_up(spec: JobSpec, work: TrainingWork, events: EventLog) -> Setup:
    script_folder.check_files(spec, work)
    found = home.find(work.axolotl_python, Path(spec.project_dir), os.environ)
    events.write("setup", f"Axolotl {found.version} of {found.python}")
    model = locations.model_folder(work.model, spec)
    tokenizer = tokenizers.load(model, work.model)
    folder = spec.folder / WORK
    if spec.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    files = rows.write(spec, work, tokenizer, model, folder, events)
    earlier = checkpoints.latest(folder / "out")
    pad = tokenizers.configure_padding(tokenizer, embeddings=_embeddings(model, work))
    on_gpu, checkpoint = spec.resources.gpu > 0, earlier.folder if earlier else None
    place = Place(model, folder, files, pad, on_gpu, threads.count(spec.resources), checkpoint)
    resolved = settings.resolve(work, place)
    for note in resolved.notes:
        events.write("setup", note)
    text = yaml.safe_dump(resolved.values, sort_keys=True, allow_unicode=True)
    (spec.folder / CONFIG).write_text(text, encoding="utf-8")
    return Setup(found, place, tokenizer, resolved, earlier)


def _embeddings(model: Path, work: TrainingWork) -> int:
    """Rows of the embedding matrix, without loading it."""
    config = AutoConfig.from_pretrained(str(model), trust_remote_code=work.model.trust_remote_code)
    return int(config.get_text_config().vocab_size)


def _fit(spec: JobSpec, setup: Setup, run: TrackedRun, events: EventLog) -> Progress:
    work, earlier = setup.place.work, setup.earlier
    plugin, report = work / "plugin", work / "report.jsonl"
    plugin.mkdir(exist_ok=True)
    shutil.copyfile(PLUGIN, plugin / PLUGIN_FILE)
    report.unlink(missing_ok=True)
    if earlier:
        events.write("train", f"resuming at step {earlier.step}", step=earlier.step)
    more = {
        "PYTHONPATH": str(plugin),
        "STUDIO_REPORT": str(report),
        "STUDIO_EARLIER_SECONDS": str(earlier.seconds if earlier else 0.0),
    }
    post = Post(run, events)
    progress, patience = Progress(report, events, post), HURRY_SECONDS
    try:
        code, spoken = child.run(
            process.command(setup.home.python, spec.folder / CONFIG, spec),
            process.environment(spec, work / "home", more),
            Path(spec.project_dir),
            progress.look,
        )
        progress.require(code, spoken.reason)
        patience = PATIENCE_SECONDS
    finally:
        post.close(patience)
    return progress


def _adopt(spec: JobSpec, work: TrainingWork, setup: Setup) -> str:
    """The adapter as every other training leaves it, with the tokenizer that Axolotl trained with."""
    made = setup.place.output
    tokenizer = AutoTokenizer.from_pretrained(str(made), trust_remote_code=work.model.trust_remote_code)
    if work.templates.chat:  # it will be asked as it was taught
        tokenizer.chat_template = setup.tokenizer.chat_template
    return adapters.adopt(made, tokenizer, locations.public_name(work.model), spec.folder / ADAPTER)


def _params(work: TrainingWork, setup: Setup) -> dict[str, Any]:
    values, files = setup.settings.values, setup.place.files
    return {
        "framework": f"axolotl {setup.home.version}",
        "base_model": locations.public_name(work.model),
        "dataset": work.dataset.name,
        "dataset_digest": work.dataset.digest,
        "train_rows": files.train_rows,
        "held_out_rows": files.held_out_rows,
        "epochs": work.epochs,
        "learning_rate": work.learning_rate,
        "seed": values["seed"],
        "split_seed": work.split.seed,
        **tracking.flat(work.axolotl or {}, "axolotl"),
        **tracking.flat(work.lora, "lora"),
    }


def _measures(setup: Setup, progress: Progress) -> Measures:
    return Measures(
        device=str(progress.began["device"]),
        rows=setup.place.files.train_rows,
        steps=int(progress.ended["step"]),
        tokens=int(progress.began["tokens"]),
        parameters=int(progress.began["parameters"]),
        working_seconds=float(progress.ended["seconds"]),
        earlier_seconds=float(progress.began["earlier"]),
    )
