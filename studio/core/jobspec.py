"""The job spec: the hinge between kinds, which compile to it, and backends, which run it.

A job reads nothing but its spec and the inputs named in it. It writes ``events.jsonl``, its outputs and, last and
atomically, ``result.json``. Locations are relative to ``project_dir`` unless absolute, so the same spec runs wherever
the project's files are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from studio.core.endpoint import AdjustmentWork, DeploymentWork, WithdrawalWork
from studio.core.harness_tasks import HarnessWork
from studio.core.judging import JudgeWork
from studio.core.kept import Kept
from studio.core.prompting import Templates
from studio.core.record import Record
from studio.core.registered import Logged, Unregistering
from studio.core.sweeps import TrialOf

SPEC_VERSION: Literal[1] = 1
SEED = 42
"""Seed of sampling and splitting (guide, Training Constants: TRAINING_DATASET_SEED)."""


class DatasetInput(Record):
    """Rows to read. ``digest`` is the content the plan saw; a job refuses other content."""

    name: str
    type: str
    location: str = ""
    huggingface_name: str = ""
    revision: str = ""
    subset: str = ""
    features: tuple[str, ...] = ()
    digest: str = ""


class ModelInput(Record):
    """A base model: a folder, a hub name at a revision, or what an MLflow run logged."""

    name: str
    type: str
    location: str = ""
    huggingface_name: str = ""
    revision: str = ""
    trust_remote_code: bool = False
    digest: str = ""
    logged: Logged | None = None


class AdapterInput(Record):
    """A PEFT adapter: a folder, a hub name at a revision, or what an MLflow run logged. One that is ``kept`` need not
    be on this disk."""

    name: str
    type: str
    location: str = ""
    huggingface_name: str = ""
    revision: str = ""
    digest: str = ""
    kept: Kept | None = None
    logged: Logged | None = None


class Split(Record):
    """How rows become training and held-out rows: sample ``fraction``, then keep ``train`` of it for training."""

    fraction: float = 1.0
    train: float = 0.9
    seed: int = SEED


class SeenRows(Record):
    """Rows a training job saw: its dataset and its split. Evaluation leaves them out."""

    dataset_digest: str
    split: Split


class EarlyStopping(Record):
    """When to stop a training that learns nothing more: after ``patience`` evaluations in a row whose held-out loss was
    not lower by more than ``min_delta``."""

    patience: int
    min_delta: float = 0.0


class TrainingWork(Record):
    """Train a LoRA adapter."""

    task: Literal["training"] = "training"
    framework: Literal["legacy", "axolotl"] = "legacy"
    model: ModelInput
    dataset: DatasetInput
    templates: Templates
    adapter_name: str
    split: Split = Split()
    loss: Literal["completion", "assistant", "full"] = "completion"
    epochs: float
    learning_rate: float
    early_stopping: EarlyStopping | None = None
    training_arguments: dict[str, Any] = Field(default_factory=dict)
    lora: dict[str, Any] = Field(default_factory=dict)
    model_quantization: dict[str, Any] | None = None
    adapter_quantization: dict[str, Any] | None = None
    axolotl: dict[str, Any] | None = None
    axolotl_python: str = ""
    """Where Axolotl is installed: a path relative to the project, or ``env:`` and the name of a variable."""
    auto_prompt: bool = False
    """No prompt is named: Axolotl makes the texts by its data set type, and ``templates`` are derived from that."""
    copy_to: str = ""
    """An existing folder that receives a copy of the adapter (the guide's out_dir)."""
    user_script: str = ""
    user_config: dict[str, Any] | None = None
    files: dict[str, str] = Field(default_factory=dict)
    """Project-relative name to SHA-256 of the script, what it imports from the project, and files of settings."""
    trial: TrialOf | None = None


class Combination(Record):
    """A base model, alone or with an adapter. The first combination of an evaluation is its baseline."""

    model: ModelInput
    adapter: AdapterInput | None = None


class EvaluationWork(Record):
    """Generate answers for rows that training did not see, and score them."""

    task: Literal["evaluation"] = "evaluation"
    combinations: tuple[Combination, ...]
    dataset: DatasetInput
    templates: Templates
    metrics: tuple[str, ...]
    fraction: float = 1.0
    seen: tuple[SeenRows, ...] = ()
    selected_features: tuple[str, ...] = ()
    slice_by: tuple[str, ...] = ()
    """Columns, each by itself: metrics are computed of the rows with each of its values too."""
    judges: tuple[JudgeWork, ...] = ()
    """Each scores the answers; its name is that of a metric."""
    harness: HarnessWork | None = None
    """Tasks of lm-evaluation-harness that each combination does beside the rows."""
    generation: dict[str, Any] = Field(default_factory=dict)
    model_quantization: dict[str, Any] | None = None
    adapter_quantization: dict[str, Any] | None = None


class ExportWork(Record):
    """Register a model in MLflow's registry."""

    task: Literal["export"] = "export"
    model: ModelInput
    adapter: AdapterInput | None = None
    model_name: str
    after: str = ""
    """The version that was registered before and is to be replaced; only a newer one is this job's."""
    description: str = ""
    weights: Literal["merged", "adapter", "reference"] = "merged"
    persist: bool = False
    """Of a reference: the weights are brought in from the hub, and stored as they are."""
    gguf: Literal["auto", "bf16", "f16", "f32", "q8_0"] | None = None
    """Merged weights as a file for llama.cpp, too: the type of its numbers."""
    inference_task: str = "text-generation"
    generation: dict[str, Any] = Field(default_factory=dict)
    input_example: str = "Hello"
    provenance: dict[str, Any] = Field(default_factory=dict)


class RemovalWork(Record):
    """Delete a model version that an export registered. ``made_by`` is the key of the job that registered it.

    ``unregistering`` is for the backend, once the version is gone.
    """

    task: Literal["removal"] = "removal"
    model_name: str
    model_version: str
    made_by: str = ""
    unregistering: Unregistering | None = None


class CopyRevision(Record):
    """An adapter to be copied once more. ``digest`` is of what was trained; a job refuses to copy other content."""

    source: str
    digest: str
    target: str
    """The copy's own folder, made if need be, in a folder that exists."""
    kept: Kept | None = None


class VersionRevision(Record):
    """What a registered version should say about itself; its files are not touched."""

    model_name: str
    model_version: str
    description: str
    tags: dict[str, str] = Field(default_factory=dict)
    """Set where they are missing or differ; others stay."""


class RevisionWork(Record):
    """Carry out what changed about a thing, outside its record, without making the thing again."""

    task: Literal["revision"] = "revision"
    copies: tuple[CopyRevision, ...] = ()
    versions: tuple[VersionRevision, ...] = ()


JobWork = TrainingWork | EvaluationWork | ExportWork | RemovalWork | RevisionWork
Work = Annotated[JobWork | DeploymentWork | AdjustmentWork | WithdrawalWork, Field(discriminator="task")]


class Resources(Record):
    """What a job asks for. ``memory`` is in GB, as in the guide; ``dist_*`` are per distributed worker."""

    cpu: int = 1
    gpu: int = 0
    memory: int = 1
    workers: int = 1
    gpu_label: int | None = None
    dist_cpu: int | None = None
    dist_gpu: int | None = None
    dist_memory: int | None = None


ADAPTERS_FOLDER = ".studio/adapters"
"""Where adapters that were trained elsewhere are fetched to, by digest."""
VARIABLE = "env:"
"""Prefix of a value that is the name of an environment variable."""


class Tracking(Record):
    """Where a job logs to. ``artifact_location`` is used when the experiment does not exist yet.

    A secret ``tracking_uri`` is ``env:`` and the name of the environment variable that holds it.
    """

    tracking_uri: str
    experiment: str
    artifact_location: str = ""
    server: str = ""
    """A hash of which MLflow server that is, however its address is written; "" where runs are filed on a disk."""


class JobSpec(Record):
    """A self-contained, fully resolved description of one job."""

    version: Literal[1] = SPEC_VERSION
    key: str
    """Deterministic: kind, name and fingerprint. Names the job on the backend."""
    attempt: int = 1
    """Counts retries of the same key; a later attempt may resume what an earlier one left."""
    fresh: bool = False
    """Start from nothing: what earlier attempts left or made does not count."""
    kind: str
    name: str
    fingerprint: str
    environment: str
    project_dir: str
    """Absolute; "" in a spec that is sent elsewhere, where the worker puts the folder of the project that it is in."""
    run_dir: str
    """Folder for events, result and outputs, relative to ``project_dir``."""
    work: Work
    part: int = 0
    """Which part of the work this job does, from 1 on; 0 for a job that does all of it (``core.parts``)."""
    names: dict[str, str] = Field(default_factory=dict)
    """Fields of the manifest that refer to a resource, and its name; for people, no job looks anything up by them."""
    resources: Resources = Resources()
    tracking: Tracking
    secrets: dict[str, str] = Field(default_factory=dict)
    """Purpose to environment variable name, such as ``{"hf_token": "HUGGINGFACE_ACCESS_TOKEN"}``; never a value."""

    def path(self, location: str) -> Path:
        """A location of this spec as an absolute path."""
        return Path(self.project_dir, location)

    @property
    def whole_folder(self) -> Path:
        """The folder of the run that this job is a part of, or all of."""
        return self.path(self.run_dir)

    @property
    def folder(self) -> Path:
        """Where this job writes events, result and outputs, as an absolute path."""
        return self.whole_folder / f"part-{self.part}" if self.part else self.whole_folder


RUNS_FOLDER = ".studio/runs"
"""Holds a folder for each job's key, relative to the project."""
SPEC_FILE, EVENTS_FILE, RESULT_FILE, LOG_FILE = "spec.json", "events.jsonl", "result.json", "log.txt"
