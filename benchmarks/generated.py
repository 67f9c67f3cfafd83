"""A project of any size: every kind, one manifest a file, all valid but for the share asked to be wrong.

Twenty manifests make a team's set, in the shares of a real project: jobs and what they name. One in five data sets'
and models' inputs is a file of the project, so that looking at inputs is measured too.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

SETTINGS = "apiVersion: studio/v1\nkind: Project\nmetadata:\n  name: benchmark\n"
REVISION = "0123456789abcdef0123456789abcdef{:08x}"

_HEAD = """\
apiVersion: studio/v1
kind: {kind}
metadata:
  name: {name}-{n:05}
  title: {kind} {name} of team {n}
  description: Customer tickets of region {n}, and the queue that answered them
  labels:
    team: team-{n:05}
    stage: production
spec:
"""
_COMPUTE = "  num_cpu: 4\n  num_gpu: 1\n  num_memory: 16\n"

_LOCAL_DATA = "  type: project_csv\n  location: data/{n:05}/tickets.csv\n  features: [text, queue]\n"
_HUB_DATA = (
    "  type: huggingface\n  huggingface_name: acme/{name}-{n}\n  revision: {revision}\n  features: [text, queue]\n"
)
_LOCAL_MODEL = "  type: project\n  location: models/{n:05}\n"
_HUB_MODEL = "  type: huggingface\n  huggingface_model_name: acme/llama-{n}\n  revision: {revision}\n"
_LOCAL_ADAPTER = "  type: project\n  model: base-{n:05}\n  location: adapters/{n:05}\n"
_HUB_ADAPTER = (
    "  type: huggingface\n  model: base-{n:05}\n  huggingface_name: acme/adapter-{n}\n  revision: {revision}\n"
)
_PROMPT = """\
  type: in_place
  dataset: {dataset}-{n:05}
  prompt_template: "### TEAM {n} {name}\\n### CUSTOMER: {{text}}\\n### QUEUE: {{queue}}"
  input_template: "### TEAM {n} {name}\\n### CUSTOMER: {{text}}\\n### QUEUE:"
  completion_template: " {{queue}}"
"""
_LORA = """\
  type: lora_config
  config:
    r: 16
    lora_alpha: {seed}
    lora_dropout: 0.05
    bias: none
    task_type: CAUSAL_LM
    target_modules: [q_proj, k_proj, v_proj, o_proj]
"""
_TRAINING = """\
  type: training_arguments
  config:
    per_device_train_batch_size: 8
    gradient_accumulation_steps: 2
    lr_scheduler_type: cosine
    warmup_steps: 0.03
    logging_steps: 25
    seed: {seed}
"""
_GENERATION = """\
  type: generation_config
  config:
    do_sample: true
    max_new_tokens: {seed}
    temperature: 0.7
    top_p: 0.9
"""
_TRAIN = """\
  framework_type: legacy
  base_model: base-{n:05}
  dataset: tickets-{n:05}
  prompt: {prompt}-{n:05}
  adapter_name: {name}-{n:05}
  lora_config: lora-{n:05}
  training_arguments_config: training-{n:05}
  model_bnb_config:
    load_in_4bit: true
    bnb_4bit_quant_type: nf4
    bnb_4bit_compute_dtype: bfloat16
  num_epochs: 2
  learning_rate: 2.0e-4
  dataset_fraction: 0.5
  train_test_split: 0.9
"""
_EVALUATE = """\
  type: mlflow
  dataset: tickets-{n:05}
  prompt: route-{n:05}
  generation_config: answers-{n:05}
  model_adapter_combinations:
    - base_model: base-{n:05}
    - base_model: base-{n:05}
      adapter: {adapter}-{n:05}
  metrics: [exact_match, rouge1, latency]
  gates:
    - metric: exact_match
      adapter: {adapter}-{n:05}
      min: 0.6
      min_gain_over_baseline: 0.3
  selected_features: [text]
"""
_EXPORT = """\
  type: model_registry
  base_model: base-{n:05}
  adapter: {adapter}-{n:05}
  model_name: {adapter}-{n:05}
  generation_config: answers-{n:05}
  requires:
    - {evaluation}-{n:05}
"""

_BODIES: tuple[tuple[str, str, str], ...] = (
    ("Dataset", "tickets", ""),
    ("Dataset", "replies", _HUB_DATA),
    ("Model", "base", ""),
    ("Adapter", "earlier", ""),
    ("Prompt", "route", _PROMPT.replace("{dataset}", "tickets")),
    ("Prompt", "triage", _PROMPT.replace("{dataset}", "tickets")),
    ("Prompt", "answer", _PROMPT.replace("{dataset}", "replies")),
    ("Config", "lora", _LORA),
    ("Config", "training", _TRAINING),
    ("Config", "samples", _GENERATION.replace("0.7", "1.1")),
    ("Config", "answers", _GENERATION),
    ("FineTuningJob", "router", _TRAIN.replace("{prompt}", "route") + _COMPUTE),
    ("FineTuningJob", "router-long", _TRAIN.replace("{prompt}", "route").replace("epochs: 2", "epochs: 5") + _COMPUTE),
    ("FineTuningJob", "triager", _TRAIN.replace("{prompt}", "triage") + _COMPUTE),
    ("FineTuningJob", "router-slow", _TRAIN.replace("{prompt}", "route").replace("e-4", "e-5") + _COMPUTE),
    ("EvaluationJob", "router-vs-base", _EVALUATE.replace("{adapter}", "router") + _COMPUTE),
    ("EvaluationJob", "long-vs-base", _EVALUATE.replace("{adapter}", "router-long") + _COMPUTE),
    ("EvaluationJob", "slow-vs-base", _EVALUATE.replace("{adapter}", "router-slow") + _COMPUTE),
    ("ModelExport", "release", _EXPORT.replace("{adapter}", "router").replace("{evaluation}", "router-vs-base")),
    (
        "ModelExport",
        "release-long",
        _EXPORT.replace("{adapter}", "router-long").replace("{evaluation}", "long-vs-base"),
    ),
)

_DATA = tuple(each for each in _BODIES if each[0] in ("Dataset", "Model", "Adapter", "Prompt", "Config"))

_FAULTS: tuple[tuple[str, str], ...] = (
    ("  name: ", "  nmae: "),
    ("  title: ", "  title: [1, 2] # "),
    ("spec:\n", "spec:\n  typ: nonsense\n"),
    ("  name: ", "  name: Not_A_Slug "),
    ("kind: ", "kind: X"),
    ("    stage: production", "    stage: production\n    stage: test"),
    ("spec:\n", "spec: [\n"),
)
"""What is written wrong, and how; one after the other."""


def write(root: Path, count: int, faulty: float = 0.0, *, jobs: bool = True) -> None:
    """A project of ``count`` manifests below ``root``, the share ``faulty`` of them with a mistake each.

    Without ``jobs`` only data sets, models, adapters, prompts and configs: what apply registers and does not run.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / "studio.yaml").write_text(SETTINGS)
    every = round(1 / faulty) if faulty else 0
    for index, (kind, name, n, text) in enumerate(_manifests(count, _BODIES if jobs else _DATA)):
        folder = root / "manifests" / f"team-{n:05}"
        folder.mkdir(parents=True, exist_ok=True)
        wrong = every and index % every == 0
        (folder / f"{kind.lower()}-{name}.yaml").write_text(_broken(text, index // every) if wrong else text)
    for n in range(-(-count // len(_BODIES if jobs else _DATA))):
        if _local(n):
            _inputs(root, n)


def joined(root: Path) -> None:
    """Put all manifests of a project into one file, as documents one after the other."""
    files = sorted((root / "manifests").rglob("*.yaml"))
    text = "---\n".join(file.read_text() for file in files)
    for file in files:
        file.unlink()
    (root / "manifests" / "all.yaml").write_text(text)


def _manifests(count: int, bodies: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, str, int, str]]:
    for index in range(count):
        n, position = divmod(index, len(bodies))
        kind, name, body = bodies[position]
        text = _HEAD + (body or _input(name, n))
        filled = text.format(kind=kind, name=name, n=n, seed=n + 1, revision=REVISION.format(n))
        yield kind, name, n, filled


def _local(n: int) -> bool:
    return n % 5 == 0


def _input(name: str, n: int) -> str:
    local, hub = {
        "tickets": (_LOCAL_DATA, _HUB_DATA),
        "base": (_LOCAL_MODEL, _HUB_MODEL),
        "earlier": (_LOCAL_ADAPTER, _HUB_ADAPTER),
    }[name]
    return local if _local(n) else hub


def _broken(text: str, number: int) -> str:
    right, wrong = _FAULTS[number % len(_FAULTS)]
    broken = text.replace(right, wrong, 1)
    return broken if broken != text else text + "  stray: 1\n"


def _inputs(root: Path, n: int) -> None:
    """A small data set, a model and an adapter of their own for set ``n``."""
    rows = "".join(f"my card number {row} of {n} is lost,{'card' if row % 2 else 'loan'}\n" for row in range(40))
    _put(root / f"data/{n:05}/tickets.csv", "text,queue\n" + rows)
    _put(root / f"models/{n:05}/config.json", json.dumps({"architectures": ["LlamaForCausalLM"], "n": n}))
    _put(root / f"models/{n:05}/tokenizer.json", "{}")
    _weights(root / f"models/{n:05}/model.safetensors")
    adapter = {"r": 16, "target_modules": ["q_proj"], "base_model_name_or_path": f"models/{n:05}", "peft_type": "LORA"}
    _put(root / f"adapters/{n:05}/adapter_config.json", json.dumps(adapter))
    _weights(root / f"adapters/{n:05}/adapter_model.safetensors")


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _weights(path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [256], "data_offsets": [0, 1024]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(1024))
