"""For every field of every kind, another value that is valid; and the project in which it is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.core.references import Ref
from studio.resources import KINDS
from studio.resources.base import FieldMark, Metadata, Part, marks
from studio.resources.evaluation_job import Gate, Judge, ModelAdapterCombination
from studio.resources.fine_tuning_job import Stopping
from studio.resources.matrix import Select
from studio.resources.prompt import PromptExample
from tests import projects
from tests.invariants.worlds import COMMIT, FAMILY, World
from tests.projects import Document, manifest

Values = dict[str, Any]
SUBJECTS = {
    "Dataset": "tickets", "Model": "tiny", "Adapter": "imported", "Prompt": "route", "Config": "lora",
    "FineTuningJob": "train", "EvaluationJob": "compare", "ModelExport": "release",
}  # fmt: skip
"""The resource of each kind whose fields are changed."""
USERS = {
    "Dataset": {"train", "compare", "release"}, "Model": {"train", "compare", "release", "release-imported"},
    "Adapter": {"compare", "release-imported"}, "Prompt": {"train", "compare", "release"},
    "Config": {"train", "compare", "release"}, "FineTuningJob": {"train", "compare", "release"},
    "EvaluationJob": {"compare"}, "ModelExport": {"release"},
}  # fmt: skip
"""The jobs whose outcome depends on it."""
PARTS: dict[str, dict[str, type[Part]]] = {
    "EvaluationJob": {"gates": Gate, "judges": Judge, "model_adapter_combinations": ModelAdapterCombination},
    "FineTuningJob": {"early_stopping": Stopping, "select": Select},
    "Prompt": {"examples": PromptExample},
}
"""Fields that hold parts with fields of their own."""


@dataclass(frozen=True, slots=True)
class Other:
    """Fields of ``spec`` after the change. ``given``: what they, and others, are before; None takes a field away.

    ``of``: a resource on which nothing depends, in place of the kind's subject. ``also``: what else must change so that
    the project stays valid, none of which determines an outcome.
    """

    spec: Values
    given: Values = field(default_factory=dict)
    of: str = ""
    also: dict[Ref, Values] = field(default_factory=dict)

    def subject(self, kind: str) -> Ref:
        return Ref(kind, self.of or SUBJECTS[kind])

    def users(self, kind: str) -> set[str]:
        """The jobs whose outcome depends on the subject."""
        return USERS[kind] if not self.of else {self.of} if KINDS[kind].compile else set()


def fields() -> Iterator[tuple[str, str, FieldMark]]:
    """Kind, dotted path and mark of every field that a spec has, those of its parts included."""
    for kind, declared in KINDS.items():
        for mark in marks(declared.model.model_fields["spec"].annotation):  # type: ignore[arg-type]
            yield kind, mark.name, mark
            part = PARTS.get(kind, {}).get(mark.name)
            for inner in marks(part) if part else ():
                yield kind, f"{mark.name}.{inner.name}", inner


HUB = {"type": "huggingface", "location": None, "revision": COMMIT}
HUB_DATA = {**HUB, "huggingface_name": "acme/tickets", "features": ["text", "queue"]}
HUB_MODEL = {**HUB, "huggingface_model_name": "acme/tiny"}
HUB_ADAPTER = {**HUB, "huggingface_name": "acme/router"}
REGISTERED = {"type": "model_registry", "location": None, "cml_registered_model_id": "abc-123"}
OTHER_COMMIT = COMMIT[::-1]
GATE = {"metric": "exact_match", "adapter": "router", "min": 0.5}
BASE = {"base_model": "tiny"}
COMBINATIONS = [BASE, {**BASE, "adapter": "router"}, {**BASE, "adapter": "imported"}]
ROW = {"row": {"text": "lost", "queue": "card"}}
SHOWN = {**ROW, "prompt": "### lost\n> card"}
FOUND = {"row": {"text": "found", "queue": "card"}, "prompt": "### found\n> card"}
CHAT = {"chat": True, "prompt_template": None, "chat_template": "templates/chat.jinja"}
QUANTISED = {"load_in_4bit": True}
WITH_GPU = {"num_gpu": 1}
SCRIPT = {"user_script": "scripts/train.py"}
AXOLOTL = {"framework_type": "axolotl", "axolotl_config": "axolotl-small"}
SPREAD = {"num_workers": 2}
SWEEP = {"matrix": {"num_epochs": [1, 3]}}


TRAINED = [Ref("FineTuningJob", name) for name in ("train", "again", "other")]
COMPARE, RELEASE = Ref("EvaluationJob", "compare"), Ref("ModelExport", "release")


JUDGE = {"name": "helpful", "model": "judge-large", "definition": "It helps."}


def judges(**changes: Any) -> Values:
    return {"judges": [{**JUDGE, **changes}]}


FAR_RELEASE = {"base_model": "far", "adapter": "of-far", "requires": []}


def gates(**changes: Any) -> Values:
    return {"gates": [{**GATE, **changes}]}


RENAMED = {
    "model_adapter_combinations": [BASE, {**BASE, "adapter": "renamed"}, COMBINATIONS[2]],
    **gates(adapter="renamed"),
}

OTHERS: dict[str, dict[str, Other]] = {
    "Dataset": {
        "type": Other({"type": "project_jsonl", "location": "data/tickets.jsonl"}),
        "huggingface_name": Other({"huggingface_name": "acme/letters"}, HUB_DATA),
        "revision": Other({"revision": OTHER_COMMIT}, HUB_DATA),
        "subset": Other({"subset": "english"}, HUB_DATA),
        "location": Other({"location": "data/moved.csv"}),
        "features": Other({"features": ["text", "queue"]}),
    },
    "Model": {
        "type": Other(HUB_MODEL),
        "huggingface_model_name": Other({"huggingface_model_name": "acme/small"}, HUB_MODEL),
        "revision": Other({"revision": OTHER_COMMIT}, HUB_MODEL),
        "location": Other({"location": "models/moved"}),
        "cml_registered_model_id": Other({"cml_registered_model_id": "abd-124"}, REGISTERED),
        "framework": Other({"framework": "tensorflow"}),
    },
    "Adapter": {
        "type": Other(HUB_ADAPTER),
        "model": Other({"model": "tiny"}, of="of-small"),
        "location": Other({"location": "adapters/moved"}),
        "huggingface_name": Other({"huggingface_name": "acme/other"}, HUB_ADAPTER),
        "revision": Other({"revision": OTHER_COMMIT}, HUB_ADAPTER),
        "cml_registered_model_id": Other({"cml_registered_model_id": "abd-124"}, REGISTERED),
        "fine_tuning_job": Other({"fine_tuning_job": "again"}),
        "prompt": Other({"prompt": "route"}),
    },
    "Prompt": {
        "dataset": Other({"dataset": "copy"}, also={ref: {"dataset": "copy"} for ref in (*TRAINED, COMPARE)}),
        "prompt_template": Other({"prompt_template": "### {text}\n>  {queue}"}),
        "input_template": Other({"input_template": "### {text}\n"}),
        "completion_template": Other({"completion_template": "> {queue}"}),
        "generate": Other(
            {"generate": True, "prompt_template": None, "input_template": None, "completion_template": None}
        ),
        "messages": Other({"messages": "long"}, of="talk"),
        "chat": Other({**CHAT, "chat": True}),
        "system": Other({"system": "Route {text}"}, CHAT),
        "chat_template": Other({"chat_template": "templates/moved.jinja"}, CHAT),
        "examples": Other({"examples": [SHOWN]}),
        "examples.row": Other({"examples": [FOUND]}, {"examples": [SHOWN]}),
        "examples.prompt": Other({"examples": [SHOWN]}, {"examples": [{**ROW, "completion": " card"}]}),
        "examples.input": Other({"examples": [{**SHOWN, "input": "### lost\n>"}]}, {"examples": [SHOWN]}),
        "examples.completion": Other({"examples": [{**SHOWN, "completion": " card"}]}, {"examples": [SHOWN]}),
    },
    "Config": {
        "type": Other({"type": "generation_config", "config": {"max_new_tokens": 4}}, of="unused"),
        "config": Other({"config": {**projects.LORA, "r": 16}}),
        "model_family": Other({"model_family": FAMILY}),
        "default": Other({"default": True}, {"model_family": "GPT2LMHeadModel"}),
    },
    "FineTuningJob": {
        "framework_type": Other(AXOLOTL),
        "base_model": Other({"base_model": "small"}, of="other"),
        "dataset": Other({"dataset": "letters", "prompt": "ask"}),
        "prompt": Other({"prompt": "route-short"}),
        "adapter_name": Other({"adapter_name": "renamed"}, also={COMPARE: RENAMED, RELEASE: {"adapter": "renamed"}}),
        "lora_config": Other({"lora_config": {"r": 4}}),
        "training_arguments_config": Other({"training_arguments_config": {"use_cpu": True, "bf16": False}}),
        "model_bnb_config": Other({"model_bnb_config": QUANTISED}, WITH_GPU),
        "adapter_bnb_config": Other({"adapter_bnb_config": QUANTISED}, WITH_GPU),
        "axolotl_config": Other({"axolotl_config": "axolotl-large"}, AXOLOTL),
        "user_script": Other(SCRIPT),
        "user_config": Other({"user_config": {"anything": 1}}, SCRIPT),
        "loss": Other({"loss": "full"}),
        "num_epochs": Other({"num_epochs": 3}),
        "learning_rate": Other({"learning_rate": 0.0003}),
        "early_stopping": Other({"early_stopping": {}}),
        "early_stopping.patience": Other({"early_stopping": {"patience": 5}}, {"early_stopping": {}}),
        "early_stopping.min_delta": Other({"early_stopping": {"min_delta": 0.01}}, {"early_stopping": {}}),
        "dataset_fraction": Other({"dataset_fraction": 0.9}),
        "train_test_split": Other({"train_test_split": 0.7}),
        "matrix": Other({"matrix": {"num_epochs": [1, 4]}}, SWEEP),
        "select": Other({"select": {"metric": "train_loss"}}, SWEEP),
        "select.metric": Other({"select": {"metric": "train_loss"}}, {**SWEEP, "select": {"metric": "eval_loss"}}),
        "select.mode": Other({"select": {"mode": "max"}}, {**SWEEP, "select": {"mode": "min"}}),
        "out_dir": Other({"out_dir": "adapters"}),
        "num_cpu": Other({"num_cpu": 3}),
        "num_gpu": Other({"num_gpu": 1}),
        "num_memory": Other({"num_memory": 5}),
        "num_workers": Other({"num_workers": 2}),
        "dist_cpu": Other({"dist_cpu": 2}, SPREAD),
        "dist_gpu": Other({"dist_gpu": 1}, {**SPREAD, **WITH_GPU, "dist_gpu": 2}),
        "dist_mem": Other({"dist_mem": 2}, SPREAD),
        "gpu_label_id": Other({"gpu_label_id": 2}, WITH_GPU),
    },
    "EvaluationJob": {
        "model_adapter_combinations": Other({"model_adapter_combinations": COMBINATIONS[:2]}),
        "model_adapter_combinations.base_model": Other(
            {"model_adapter_combinations": [*COMBINATIONS, {"base_model": "small"}]}
        ),
        "model_adapter_combinations.adapter": Other(
            {"model_adapter_combinations": [*COMBINATIONS[:2], {**BASE, "adapter": "second"}]}
        ),
        "dataset": Other({"dataset": "letters", "prompt": "ask"}),
        "prompt": Other({"prompt": "route-short"}),
        "metrics": Other({"metrics": ["exact_match", "rouge1"]}),
        "gates": Other({"gates": []}, also={RELEASE: {"requires": []}}),
        "gates.metric": Other(gates(metric="latency", min=None, max=1000.0)),
        "gates.adapter": Other(gates(adapter="imported")),
        "gates.base_model": Other(gates(base_model="tiny")),
        "gates.min": Other(gates(min=0.4)),
        "gates.max": Other(gates(max=1.0)),
        "gates.min_gain_over_baseline": Other(gates(min_gain_over_baseline=0.1)),
        "gates.not_worse_than": Other(gates(not_worse_than="baseline")),
        "gates.tolerance": Other(gates(not_worse_than="baseline", tolerance=0.1)),
        "gates.confidence": Other(gates(confidence=0.95), also={RELEASE: {"requires": []}}),
        "eval_dataset_fraction": Other({"eval_dataset_fraction": 0.5}),
        "selected_features": Other({"selected_features": ["text"]}),
        "slice_by": Other({"slice_by": ["text"]}),
        "tasks": Other({"tasks": ["hellaswag"]}),
        "tasks_dir": Other({"tasks_dir": "tasks"}, {"tasks": ["hellaswag"]}),
        "num_fewshot": Other({"num_fewshot": 5}, {"tasks": ["hellaswag"]}),
        "limit": Other({"limit": 100}, {"tasks": ["hellaswag"]}),
        "judges": Other(judges()),
        "judges.name": Other(judges(name="useful"), judges()),
        "judges.model": Other(judges(model="judge-small"), judges()),
        "judges.endpoint": Other(judges(endpoint="house"), judges()),
        "judges.definition": Other(judges(definition="It is right."), judges()),
        "judges.grading": Other(judges(grading="5 for the right queue"), judges()),
        "judges.scale": Other(judges(scale=[1, 10]), judges()),
        "judges.sample": Other(judges(sample=3), judges()),
        "judges.parameters": Other(judges(parameters={"seed": 7}), judges()),
        "generation_config": Other({"generation_config": {"do_sample": False, "max_new_tokens": 4}}),
        "model_bnb_config": Other({"model_bnb_config": QUANTISED}, WITH_GPU),
        "adapter_bnb_config": Other({"adapter_bnb_config": QUANTISED}, WITH_GPU),
        "num_cpu": Other({"num_cpu": 3}),
        "num_gpu": Other({"num_gpu": 1}),
        "num_memory": Other({"num_memory": 5}),
        "gpu_label_id": Other({"gpu_label_id": 2}, WITH_GPU),
    },
    "ModelExport": {
        "base_model": Other({"base_model": "small", "adapter": "of-small", "requires": []}),
        "adapter": Other({"adapter": "second", "requires": []}, {"requires": []}),
        "model_name": Other({"model_name": "renamed"}),
        "model_description": Other({"model_description": "routes tickets"}),
        "generation_config": Other({"generation_config": {"do_sample": False, "max_new_tokens": 4}}),
        "task": Other({"task": "llm/v1/completions"}),
        "weights": Other({"weights": "adapter"}, FAR_RELEASE),
        "persist": Other({"persist": True}, {"base_model": "far", "adapter": None, "weights": "reference"}),
        "gguf": Other({"gguf": "q8_0"}),
        "requires": Other({"requires": []}),
        "num_cpu": Other({"num_cpu": 3}),
        "num_gpu": Other({"num_gpu": 1}),
        "num_memory": Other({"num_memory": 5}),
        "replicas": Other({"replicas": 2}),
        "enable_authentication": Other({"enable_authentication": False}),
    },
}  # fmt: skip
WITHOUT = {
    ("Prompt", "type"): "in_place is the only one",
    ("EvaluationJob", "type"): "mlflow is the only one",
    ("ModelExport", "type"): "cml_model needs a backend that deploys",
}
"""Fields that have no other valid value here, and why."""
METADATA: Values = {
    "title": "Another", "description": "Other words", "labels": {"team": "other"}, "annotations": {"ticket": "17"},
    "uid": "0a0a0a0a-1b1b-4c4c-8d8d-2e2e2e2e2e2e", "protect": True, "renamed_from": "never-recorded",
}  # fmt: skip
"""Another value of every field of metadata but the name, which is the identity."""
assert {*METADATA, "name"} == {mark.name for mark in marks(Metadata)}


def world() -> World:
    """A project with every kind, in which each field of :data:`OTHERS` can be changed."""
    desk = projects.support_desk()
    evaluation = projects.pick(desk, "EvaluationJob")["spec"]
    evaluation.update(model_adapter_combinations=COMBINATIONS, **gates())
    train = projects.pick(desk, "FineTuningJob")
    prompt = projects.pick(desk, "Prompt")["spec"]
    export = {**projects.pick(desk, "ModelExport")["spec"], "requires": []}
    short = {"prompt_template": "{text}\n> {queue}", "input_template": "{text}\n>"}
    documents = [
        *desk,
        manifest("Dataset", "copy", {"type": "project_csv", "location": "data/copy.csv"}),
        manifest("Dataset", "letters", {"type": "project_csv", "location": "data/letters.csv"}),
        manifest("Dataset", "chats", {"type": "project_jsonl", "location": "data/chats.jsonl"}),
        manifest("Prompt", "talk", {"dataset": "chats", "messages": "short"}),
        manifest("Prompt", "ask", {**prompt, "dataset": "letters"}),
        manifest("Prompt", "route-short", {**prompt, **short}),
        manifest("Model", "small", {"type": "project", "location": "models/small"}),
        manifest("Model", "far", {"type": "huggingface", "huggingface_model_name": "acme/far", "revision": COMMIT}),
        manifest("Adapter", "of-far", {k: v for k, v in HUB_ADAPTER.items() if v} | {"model": "far"}),
        manifest("Adapter", "imported", {"type": "project", "model": "tiny", "location": "adapters/imported"}),
        manifest("Adapter", "of-small", {"type": "project", "model": "small", "location": "adapters/of-small"}),
        _variant(train, "again", "imported-again", 0.01),
        _variant(train, "other", "second", 0.02),
        manifest("ModelExport", "release-imported", {**export, "adapter": "imported", "model_name": "imported"}),
        manifest("Config", "unused", {"type": "lora_config", "config": {"r": 2}}),
        manifest("Config", "axolotl-small", {"type": "axolotl", "config": _axolotl(0.1)}),
        manifest("Config", "axolotl-large", {"type": "axolotl", "config": _axolotl(0.2)}),
    ]
    return World(documents, _files())


def _variant(train: Document, name: str, adapter: str, rate: float) -> Document:
    return manifest("FineTuningJob", name, {**train["spec"], "adapter_name": adapter, "learning_rate": rate})


def _axolotl(rate: float) -> Values:
    rows = [{"path": "d", "type": "alpaca"}]
    return {"base_model": "tiny", "adapter": "lora", "lora_r": 8, "learning_rate": rate, "datasets": rows}


def _files() -> dict[str, bytes]:
    rows = [line.split(",") for line in projects.TICKETS.splitlines()[1:]]
    lines = [json.dumps({"text": text, "queue": queue}) for text, queue in rows]
    asked, answered = ({"role": role, "content": role} for role in ("user", "assistant"))
    chats = [{"short": [asked, answered], "long": [asked, answered, asked, answered]}] * 2
    template = b"{% for message in messages %}{{ message.content }}{% endfor %}"
    return {
        "data/chats.jsonl": "\n".join(map(json.dumps, chats)).encode(),
        "templates/chat.jinja": template,
        "templates/moved.jinja": template,
        "tasks/rows.jsonl": b"{}",
        "data/copy.csv": projects.TICKETS.encode(),
        "data/moved.csv": projects.TICKETS.encode(),
        "data/letters.csv": projects.TICKETS.replace("card number", "letter").encode(),
        "data/tickets.jsonl": "\n".join(lines).encode(),
        "scripts/train.py": b"print('training')\n",
    }


def write(root: Path, made: World) -> Path:
    """The project, with models and adapters of which some are the same in another place."""
    projects.write(root)
    (root / "manifests" / "all.yaml").unlink()
    made.write(root)
    for name in ("moved", "small"):
        projects.write_model(root / "models" / name)
    (root / "models" / "small" / "tokenizer.json").write_text('{"small": true}')
    for name in ("imported", "moved"):
        projects.write_adapter(root / "adapters" / name)
    projects.write_adapter(root / "adapters" / "of-small", base_model="")
    return root


def edited(made: World, changes: dict[Ref, Values]) -> World:
    """The same project with other values in the specs of some resources; None takes a field away."""
    documents = deepcopy(made.documents)
    for document in documents:
        values = changes.get(Ref(document["kind"], document["metadata"]["name"]), {})
        spec = {**document["spec"], **values}
        document["spec"] = {key: value for key, value in spec.items() if value is not None}
    return World(documents, made.files)
