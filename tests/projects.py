"""Builders of small projects, and the shortest ways from a folder to a plan."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from studio.core.references import Ref
from studio.desired import Desire, Desired, desire
from studio.graph import Graph, build
from studio.load.observation import Observation
from studio.load.project import load_project
from studio.load.settings import Project
from studio.observe import observe
from studio.plan.actions import Plan
from studio.plan.decide import Recorded, make_plan
from studio.resources.base import Resource
from studio.state.base import Lineage, Record, RecordStatus

ROOT = Path(__file__).parents[1]
Document = dict[str, Any]

SETTINGS = "apiVersion: studio/v1\nkind: Project\nmetadata: {name: desk}\n"
TICKETS = "text,queue\n" + "".join(f"my card number {n} is lost,{'card' if n % 2 else 'loan'}\n" for n in range(40))
LORA = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}


def manifest(kind: str, name: str, spec: Mapping[str, Any] | None = None, **metadata: Any) -> Document:
    """One manifest as a document."""
    return {
        "apiVersion": "studio/v1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": deepcopy(dict(spec or {})),
    }


def data_resources() -> list[Document]:
    """A data set, a model, a prompt and a config."""
    prompt = {
        "dataset": "tickets",
        "prompt_template": "### {text}\n> {queue}",
        "input_template": "### {text}\n>",
        "completion_template": " {queue}",
    }
    return [
        manifest("Dataset", "tickets", {"type": "project_csv", "location": "data/tickets.csv"}),
        manifest("Model", "tiny", {"type": "project", "location": "models/tiny"}),
        manifest("Prompt", "route", prompt),
        manifest("Config", "lora", {"type": "lora_config", "config": LORA}),
    ]


def support_desk() -> list[Document]:
    """Everything from data to release: the smallest project that uses every kind but Adapter."""
    size = {"num_cpu": 2, "num_gpu": 0, "num_memory": 4}
    job = {
        "base_model": "tiny",
        "dataset": "tickets",
        "prompt": "route",
        "adapter_name": "router",
        "lora_config": "lora",
        "training_arguments_config": {"per_device_train_batch_size": 4, "use_cpu": True, "bf16": False},
        "num_epochs": 2,
        "learning_rate": 0.002,
        "train_test_split": 0.8,
        **size,
    }
    evaluation = {
        "dataset": "tickets",
        "prompt": "route",
        "generation_config": {"do_sample": False, "max_new_tokens": 8},
        "model_adapter_combinations": [{"base_model": "tiny"}, {"base_model": "tiny", "adapter": "router"}],
        "metrics": ["exact_match", "latency"],
        "gates": [{"metric": "exact_match", "adapter": "router", "min": 0.5}],
        **size,
    }
    export = {
        "type": "model_registry",
        "base_model": "tiny",
        "adapter": "router",
        "model_name": "router",
        "generation_config": {"do_sample": False, "max_new_tokens": 8},
        "requires": ["compare"],
    }
    return [
        *data_resources(),
        manifest("FineTuningJob", "train", job, labels={"team": "support"}),
        manifest("EvaluationJob", "compare", evaluation),
        manifest("ModelExport", "release", export),
    ]


def pick(documents: Iterable[Document], kind: str) -> Document:
    """The first document of a kind."""
    return next(document for document in documents if document["kind"] == kind)


def changed(documents: Iterable[Document], kind: str, edit: Callable[[Document], object]) -> list[Document]:
    """A copy of the documents in which the first of ``kind`` was edited."""
    copies = deepcopy(list(documents))
    edit(pick(copies, kind))
    return copies


def with_spec(documents: Iterable[Document], kind: str, **values: Any) -> list[Document]:
    """A copy in which fields of the spec of the first of ``kind`` are set."""
    return changed(documents, kind, lambda document: document["spec"].update(values))


def stream(documents: Iterable[Document]) -> str:
    """The documents as one YAML stream; JSON is YAML."""
    return "".join(f"---\n{json.dumps(document, indent=2, ensure_ascii=False)}\n" for document in documents)


def write(root: Path, documents: Iterable[Document] = (), settings: str = SETTINGS) -> Path:
    """A project folder with data and a model; returns the folder."""
    (root / "manifests").mkdir(parents=True, exist_ok=True)
    (root / "studio.yaml").write_text(settings, "utf-8")
    (root / "manifests" / "all.yaml").write_text(stream(documents), "utf-8")
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "tickets.csv").write_text(TICKETS, "utf-8")
    write_model(root / "models" / "tiny")
    return root


def write_model(folder: Path, family: str = "LlamaForCausalLM") -> None:
    """What a model folder must hold; the weights are a valid file with tensors of one number each."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": [family], "model_type": "llama", "hidden_size": 1, "num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(safetensors(llama(layers=1)))


def llama(layers: int) -> list[str]:
    """The matrices of a Llama whose head shares the weights of its embedding."""
    names = ["model.embed_tokens.weight"]
    for layer in range(layers):
        names += [f"model.layers.{layer}.self_attn.{part}_proj.weight" for part in "qkvo"]
        names += [f"model.layers.{layer}.mlp.{part}_proj.weight" for part in ("gate", "up", "down")]
    return names


def write_adapter(folder: Path, base_model: str = "tiny") -> None:
    """What an adapter folder must hold."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"r": 8, "target_modules": ["v_proj", "q_proj"], "base_model_name_or_path": base_model}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(safetensors(["lora_A.weight"]))


def safetensors(names: Iterable[str]) -> bytes:
    """A safetensors file with a 1 by 1 tensor for each name."""
    header: dict[str, Any] = {}
    for index, name in enumerate(names):
        header[name] = {"dtype": "F32", "shape": [1, 1], "data_offsets": [4 * index, 4 * index + 4]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * (4 * len(header))


def loaded(root: Path, environment: str = "default") -> tuple[Graph, dict[Ref, Observation], dict[Ref, Resource]]:
    """Graph, observations and shipped defaults of a project folder."""
    project = load_project(root, environment)
    assert not project.problems, project.problems
    defaults = {ref: each.resource for ref, each in project.defaults.items()}
    graph = build({ref: each.resource for ref, each in project.manifests.items()}, defaults)
    return graph, observe(graph, root), defaults


def wanted(root: Path, environment: str = "default") -> Desire:
    """What should be, as the files of a project folder say."""
    graph, observations, defaults = loaded(root, environment)
    return desire(graph, observations, defaults)


def fingerprints(root: Path) -> dict[str, str]:
    """Resource to fingerprint, without the shipped defaults."""
    return {str(ref): item.fingerprint for ref, item in wanted(root).items.items() if not item.shipped}


def record(item: Desired, status: RecordStatus = RecordStatus.READY) -> Record:
    """The record that a successful apply of ``item`` leaves, after its way through JSON."""
    return Record(
        ref=item.ref,
        uid=f"uid-{item.ref}",
        spec=json.loads(json.dumps(item.spec)),
        metadata=json.loads(json.dumps(item.metadata)),
        fingerprint=item.fingerprint,
        inputs=dict(item.inputs),
        status=status,
    )


def recorded(made: Desire, **changes: Any) -> Recorded:
    """The past of a project that was applied as it is in ``made``."""
    items = [item for item in made.items.values() if not item.shipped]
    artifacts: dict[str, frozenset[str]] = {}
    for item in items:
        if item.resource.is_job:
            artifacts[item.ref.kind] = artifacts.get(item.ref.kind, frozenset()) | {item.fingerprint}
    past = {"records": {item.ref: record(item) for item in items}, "artifacts": artifacts}
    return Recorded(Lineage("lineage", 7), **{**past, **changes})


def plan(root: Path, past: Recorded | None = None) -> Plan:
    """The plan for a project folder against a past; against nothing when there is none."""
    return make_plan(wanted(root), past or Recorded(Lineage("", 0)), "default", Project())


def verbs(made: Plan) -> dict[str, str]:
    """Resource to verb, for what is not left alone."""
    return {str(action.ref): action.verb.value for action in made.pending}


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder with its time of change and its content."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
