"""Random projects without a fault, for hypothesis: 1 to 15 resources of every kind, with the files they name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests import projects
from tests.projects import Document, manifest

Draw = Callable[[st.SearchStrategy[Any]], Any]

SLUGS = st.from_regex(r"[a-z][a-z0-9]{0,6}([.-][a-z0-9]{1,5})?", fullmatch=True)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=12)
LABELS = st.dictionaries(SLUGS, SLUGS, max_size=2)
SIZES = st.fixed_dictionaries({"num_cpu": st.integers(1, 4), "num_memory": st.integers(1, 8)})
FAMILY = "LlamaForCausalLM"
COMMIT = "8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f"
MOST = 15
"""Resources in a project."""
METRICS = ("exact_match", "rouge1", "rougeL", "latency")


@dataclass
class World:
    """The manifests of a project and the other files in it, by name."""

    documents: list[Document] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def names(self, kind: str) -> list[str]:
        return [document["metadata"]["name"] for document in self.documents if document["kind"] == kind]

    def spec(self, kind: str, name: str) -> dict[str, Any]:
        found = (d for d in self.documents if (d["kind"], d["metadata"]["name"]) == (kind, name))
        spec: dict[str, Any] = next(found)["spec"]
        return spec

    def adapters(self, model: str) -> list[str]:
        """Adapters of a model: those with a manifest, and those that a job trains."""
        explicit = [name for name in self.names("Adapter") if self.spec("Adapter", name)["model"] == model]
        specs = (self.spec("FineTuningJob", name) for name in self.names("FineTuningJob"))
        return [*explicit, *(spec["adapter_name"] for spec in specs if spec["base_model"] == model)]

    def write(self, root: Path, layout: Iterable[tuple[str, Sequence[Document]]] | None = None) -> Path:
        """The project in a folder; ``layout`` says which documents go into which file."""
        root.mkdir(parents=True, exist_ok=True)
        (root / "studio.yaml").write_text(projects.SETTINGS, "utf-8")
        for name, content in self.files.items():
            put(root / name, content)
        for name, documents in layout or [("all.yaml", self.documents)]:
            put(root / "manifests" / name, projects.stream(documents).encode())
        (root / "manifests").mkdir(exist_ok=True)
        return root


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@st.composite
def worlds(draw: Draw) -> World:
    """Resources are added one after another; what a kind needs and is not there yet, it does without."""
    world = World()
    count = draw(st.integers(1, MOST))
    for number in range(count):
        makers = [maker for maker in MAKERS if maker is not _default or not _has_default(world)]
        draw(st.sampled_from(makers))(draw, world, number)
    return world


def _add(draw: Draw, world: World, kind: str, number: int, spec: dict[str, Any]) -> None:
    words = {"title": draw(WORDS), "description": draw(WORDS), "protect": draw(st.booleans()), "labels": draw(LABELS)}
    chosen = {key: value for key, value in words.items() if value and draw(st.booleans())}
    world.documents.append(manifest(kind, f"{draw(SLUGS)}-{number}", spec, **chosen))


def _dataset(draw: Draw, world: World, number: int) -> None:
    rows = [
        {"text": f"message {number} of {n}", "queue": ("card", "loan")[n % 2]} for n in range(draw(st.integers(20, 40)))
    ]
    match draw(st.sampled_from(("project_csv", "project_jsonl", "project_json", "huggingface"))):
        case "project_csv":
            lines = ["text,queue", *(f"{row['text']},{row['queue']}" for row in rows)]
            spec, content = {"type": "project_csv", "location": f"data/{number}.csv"}, "\n".join(lines) + "\n"
        case "project_jsonl":
            spec, content = (
                {"type": "project_jsonl", "location": f"data/{number}.jsonl"},
                "\n".join(map(json.dumps, rows)),
            )
        case "project_json":
            spec, content = {"type": "project_json", "location": f"data/{number}.json"}, json.dumps(rows)
        case _:
            hub = {"type": "huggingface", "huggingface_name": f"acme/d{number}", "revision": COMMIT}
            _add(draw, world, "Dataset", number, {**hub, "features": ["text", "queue"]})
            return
    world.files[spec["location"]] = content.encode()
    _add(draw, world, "Dataset", number, spec | ({"features": ["text", "queue"]} if draw(st.booleans()) else {}))


def _model(draw: Draw, world: World, number: int) -> None:
    folder = f"models/m{number}"
    config = {"architectures": [FAMILY], "model_type": "llama", "hidden_size": 1, "num_hidden_layers": 1}
    world.files |= {
        f"{folder}/config.json": json.dumps(config).encode(),
        f"{folder}/tokenizer.json": json.dumps({"number": number}).encode(),
        f"{folder}/model.safetensors": projects.safetensors(projects.llama(layers=1)),
    }
    _add(draw, world, "Model", number, {"type": "project", "location": folder})


def _adapter(draw: Draw, world: World, number: int) -> None:
    if not world.names("Model"):
        return _model(draw, world, number)
    folder, model = f"adapters/a{number}", draw(st.sampled_from(world.names("Model")))
    inside = {"r": 8, "target_modules": ["q_proj"], "base_model_name_or_path": model, "number": number}
    world.files |= {
        f"{folder}/adapter_config.json": json.dumps(inside).encode(),
        f"{folder}/adapter_model.safetensors": projects.safetensors(["lora_A.weight"]),
    }
    return _add(draw, world, "Adapter", number, {"type": "project", "model": model, "location": folder})


def _prompt(draw: Draw, world: World, number: int) -> None:
    if not world.names("Dataset"):
        return _dataset(draw, world, number)
    spec: dict[str, Any] = {"dataset": draw(st.sampled_from(world.names("Dataset")))}
    if draw(st.booleans()):
        spec["generate"] = True
    else:
        shown = f"{draw(st.sampled_from(('### ', 'Q: ', '')))}{{text}}\n>"
        spec |= {"prompt_template": f"{shown} {{queue}}", "input_template": shown, "completion_template": " {queue}"}
    return _add(draw, world, "Prompt", number, spec)


def _config(draw: Draw, world: World, number: int) -> None:
    type = draw(st.sampled_from(sorted(CONTENTS)))
    content = draw(CONTENTS[type]) | {"seed": number} if type == "training_arguments" else draw(CONTENTS[type])
    _add(
        draw, world, "Config", number, {"type": type, "config": json.dumps(content) if draw(st.booleans()) else content}
    )


def _default(draw: Draw, world: World, number: int) -> None:
    spec = {"type": "lora_config", "config": {**projects.LORA, "r": 32}, "model_family": FAMILY, "default": True}
    _add(draw, world, "Config", number, spec)


def _has_default(world: World) -> bool:
    return any(world.spec("Config", name).get("default") for name in world.names("Config"))


LORAS = st.fixed_dictionaries({"r": st.sampled_from((4, 8, 16))}).map(lambda chosen: {**projects.LORA, **chosen})
ARGUMENTS = st.fixed_dictionaries({"per_device_train_batch_size": st.integers(1, 8), "use_cpu": st.just(True)}).map(
    lambda chosen: {**chosen, "bf16": False}
)
GENERATIONS = st.fixed_dictionaries({"max_new_tokens": st.integers(1, 64), "do_sample": st.just(False)})
CONTENTS = {"lora_config": LORAS, "training_arguments": ARGUMENTS, "generation_config": GENERATIONS}


MATRIX = st.dictionaries(
    st.sampled_from(("learning_rate", "num_epochs", "lora_config.r", "training_arguments_config.weight_decay")),
    st.lists(st.sampled_from((1, 2, 4, 8)), min_size=1, max_size=2, unique=True),
    min_size=1,
    max_size=2,
)
"""Of values that every one of these keys may have."""
CHOICES = st.sampled_from(({}, {"select": {"metric": "train_loss"}}, {"select": {"mode": "max"}}))
MATRICES = st.tuples(MATRIX, CHOICES).map(lambda drawn: {"matrix": drawn[0], **drawn[1]})


def _chosen(draw: Draw, world: World, type: str) -> dict[str, Any]:
    """Nothing, an inline mapping, or the name of a Config of the type; under the field's name."""
    name = type if type.endswith("config") else f"{type}_config"
    named = [each for each in world.names("Config") if world.spec("Config", each)["type"] == type]
    choices = [st.none(), CONTENTS[type], *([st.sampled_from(named)] if named else [])]
    value = draw(st.one_of(choices))
    return {} if value is None else {name: value}


def _training(draw: Draw, world: World, number: int) -> None:
    if not (world.names("Model") and world.names("Prompt")):
        return _model(draw, world, number) if world.names("Prompt") else _prompt(draw, world, number)
    prompt = draw(st.sampled_from(world.names("Prompt")))
    spec = {
        "base_model": draw(st.sampled_from(world.names("Model"))), "prompt": prompt,
        "dataset": world.spec("Prompt", prompt)["dataset"], "adapter_name": f"adapter-{number}", **draw(SIZES),
        "training_arguments_config": draw(ARGUMENTS), **_chosen(draw, world, "training_arguments"),
        **_chosen(draw, world, "lora_config"),
    }  # fmt: skip
    optional = {
        "num_epochs": draw(st.sampled_from((1, 2, 0.5))), "learning_rate": draw(st.sampled_from((0.001, 2e-4))),
        "dataset_fraction": draw(st.sampled_from((0.9, 1.0))), "train_test_split": draw(st.sampled_from((0.7, 0.8))),
        "loss": draw(st.sampled_from(("completion", "full"))),
    }  # fmt: skip
    chosen = {key: value for key, value in optional.items() if draw(st.booleans())}
    swept = draw(MATRICES) if draw(st.integers(0, 3)) == 0 else {}
    return _add(draw, world, "FineTuningJob", number, spec | chosen | swept)


def _evaluation(draw: Draw, world: World, number: int) -> None:
    able = [model for model in world.names("Model") if world.adapters(model)]
    if not (able and world.names("Prompt")):
        return _training(draw, world, number)
    model, prompt = draw(st.sampled_from(able)), draw(st.sampled_from(world.names("Prompt")))
    adapters = draw(st.lists(st.sampled_from(world.adapters(model)), min_size=1, max_size=3, unique=True))
    metrics = ["exact_match", *draw(st.lists(st.sampled_from(METRICS[1:]), max_size=2, unique=True))]
    gates = [{"metric": "exact_match", "adapter": adapters[0], "min": 0.5, "min_gain_over_baseline": 0.1}]
    spec = {
        "dataset": world.spec("Prompt", prompt)["dataset"], "prompt": prompt, "metrics": metrics, "num_gpu": 0,
        "model_adapter_combinations": [{"base_model": model}, *({"base_model": model, "adapter": a} for a in adapters)],
        "gates": gates if draw(st.booleans()) else [], **draw(SIZES), **_chosen(draw, world, "generation_config"),
    }  # fmt: skip
    return _add(draw, world, "EvaluationJob", number, spec)


def _export(draw: Draw, world: World, number: int) -> None:
    able = [model for model in world.names("Model") if world.adapters(model)]
    if not able:
        return _training(draw, world, number)
    model = draw(st.sampled_from(able))
    adapter = draw(st.sampled_from(world.adapters(model)))
    spec = {
        "type": "model_registry", "base_model": model, "adapter": adapter, "model_name": f"released-{number}",
        **_required(world, adapter),
        **_chosen(draw, world, "generation_config"),
    }  # fmt: skip
    return _add(draw, world, "ModelExport", number, spec)


def _required(world: World, adapter: str) -> dict[str, list[str]]:
    """The evaluations with a gate on the adapter."""
    specs = {name: world.spec("EvaluationJob", name) for name in world.names("EvaluationJob")}
    gated = [name for name, spec in specs.items() if any(gate["adapter"] == adapter for gate in spec["gates"])]
    return {"requires": gated} if gated else {}


MAKERS = (
    _export,
    _export,
    _evaluation,
    _evaluation,
    _training,
    _training,
    _prompt,
    _model,
    _dataset,
    _adapter,
    _config,
    _default,
)


@st.composite
def layouts(draw: Draw, documents: Sequence[Document]) -> list[tuple[str, list[Document]]]:
    """The same documents in another order, in other files and folders."""
    shuffled = draw(st.permutations(documents))
    places = ("all.yaml", "a.yml", "z/deep/er.yaml", "jobs/b.yaml", "jobs/one-more.yaml")
    files: dict[str, list[Document]] = {}
    for document in shuffled:
        files.setdefault(draw(st.sampled_from(places)), []).append(document)
    return list(files.items())
