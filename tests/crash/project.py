"""The project that is applied and killed: 30 resources, of which 15 are jobs that wait for each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests import projects
from tests.projects import Document, manifest

TRAININGS, EVALUATIONS, EXPORTS = 7, 5, 3
FLAKY = "train-3"
"""The job whose first attempt fails, so that a second one is needed."""
SETTINGS = """\
apiVersion: studio/v1
kind: Project
metadata: {name: crash}
spec:
  backend: {type: BACKEND}
  state: {env: CRASH_STATE}
"""
STATE, SQLITE = "CRASH_STATE", "sqlite:///.studio/state.db"
"""The environment variable that holds the URL of the state, and its usual value."""
SIZE = {"num_cpu": 1, "num_gpu": 0, "num_memory": 1}
ARGUMENTS = {"per_device_train_batch_size": 4, "use_cpu": True, "bf16": False}
GREEDY = {"do_sample": False, "max_new_tokens": 8}


def resources() -> list[Document]:
    """15 resources that hold data, 7 trainings, 5 evaluations with gates, 3 exports that require them."""
    return [
        *_data(),
        *map(_training, range(TRAININGS)),
        *map(_evaluation, range(EVALUATIONS)),
        *map(_export, range(EXPORTS)),
    ]


def small() -> list[Document]:
    """The least that has each kind of job: for a backend whose jobs are processes."""
    names = {
        "tickets",
        "tiny",
        "route",
        "lora",
        "lora-4",
        "arguments",
        "greedy",
        "train-0",
        "train-1",
        "compare-0",
        "release-0",
    }
    chosen = [document for document in resources() if document["metadata"]["name"] in names]
    combinations = named(chosen, "compare-0")["spec"]["model_adapter_combinations"]
    combinations[2:] = [{"base_model": "tiny", "adapter": "adapter-1"}]
    return chosen


def write(root: Path, documents: Iterable[Document], backend: str = "journal") -> Path:
    """The project's folder."""
    projects.write(root, settings=SETTINGS.replace("BACKEND", backend))
    write_manifests(root, documents)
    projects.write_model(root / "models" / "small")
    (root / "models" / "small" / "tokenizer.json").write_text('{"small": true}')
    (root / "data" / "questions.csv").write_text(projects.TICKETS.replace("card number", "loan number"), "utf-8")
    for name in ("first", "second"):
        projects.write_adapter(root / "adapters" / name)
    (root / "adapters" / "second" / "adapter_model.safetensors").write_bytes(projects.safetensors(["lora_B.weight"]))
    return root


def write_manifests(root: Path, documents: Iterable[Document]) -> None:
    (root / "manifests" / "all.yaml").write_text(projects.stream(documents), "utf-8")


def named(documents: Iterable[Document], name: str) -> Document:
    """The one of that name; kinds do not share names here."""
    return next(document for document in documents if document["metadata"]["name"] == name)


def _data() -> list[Document]:
    lora = {"type": "lora_config", "config": projects.LORA}
    return [
        *projects.data_resources(),
        manifest("Dataset", "questions", {"type": "project_csv", "location": "data/questions.csv"}),
        manifest("Model", "small", {"type": "project", "location": "models/small"}),
        *(_prompt(name, dataset) for name, dataset in (("ask", "questions"), ("route-short", "tickets"))),
        *(manifest("Config", f"lora-{r}", {**lora, "config": {**projects.LORA, "r": r}}) for r in (4, 16)),
        manifest("Config", "arguments", {"type": "training_arguments", "config": ARGUMENTS}),
        manifest("Config", "greedy", {"type": "generation_config", "config": GREEDY}),
        manifest("Config", "brief", {"type": "generation_config", "config": {**GREEDY, "max_new_tokens": 4}}),
        *(
            manifest("Adapter", f"{name}-adapter", {"type": "project", "model": "tiny", "location": f"adapters/{name}"})
            for name in ("first", "second")
        ),
    ]


def _prompt(name: str, dataset: str) -> Document:
    shown = f"{name}: {{text}}\n>"
    templates = {"prompt_template": f"{shown} {{queue}}", "input_template": shown, "completion_template": " {queue}"}
    return manifest("Prompt", name, {"dataset": dataset, **templates})


def _training(number: int) -> Document:
    spec = {
        "base_model": "tiny", "dataset": "tickets", "prompt": "route", "adapter_name": f"adapter-{number}",
        "lora_config": ("lora", "lora-4", "lora-16")[number % 3], "training_arguments_config": "arguments",
        "num_epochs": 1, "learning_rate": 0.001 * (number + 1), "train_test_split": 0.8, **SIZE,
    }  # fmt: skip
    return manifest("FineTuningJob", f"train-{number}", spec, labels={"team": "support"})


def _evaluation(number: int) -> Document:
    adapters = [f"adapter-{number}", f"adapter-{number + 2}", *(["first-adapter"] if number == 0 else [])]
    combinations = [{"base_model": "tiny"}, *({"base_model": "tiny", "adapter": name} for name in adapters)]
    spec = {
        "dataset": "tickets", "prompt": "route", "generation_config": ("greedy", "brief")[number % 2],
        "model_adapter_combinations": combinations,
        "metrics": ["exact_match", "latency"],
        "gates": [{"metric": "exact_match", "adapter": adapters[0], "min": 0.5}], **SIZE,
    }  # fmt: skip
    return manifest("EvaluationJob", f"compare-{number}", spec)


def _export(number: int) -> Document:
    spec = {
        "type": "model_registry", "base_model": "tiny", "adapter": f"adapter-{number}",
        "model_name": f"router-{number}", "generation_config": "greedy", "requires": [f"compare-{number}"],
    }  # fmt: skip
    return manifest("ModelExport", f"release-{number}", spec)
