"""The model card of an export: where its weights came from, for people and for programs."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from studio.core.jobresult import GgufFile
from studio.core.jobspec import ExportWork, JobSpec
from studio.jobs.inputs import locations

PACKAGES = ("mlflow", "peft", "safetensors", "torch", "transformers")
"""Whose versions an export depends on."""
README, PROVENANCE = "README.md", "studio.provenance.json"


def provenance(spec: JobSpec, work: ExportWork) -> dict[str, Any]:
    """What the plan knew, and what this job read."""
    adapter = work.adapter
    return {
        **work.provenance,
        "job": {"kind": spec.kind, "name": spec.name, "key": spec.key, "fingerprint": spec.fingerprint},
        "base_model": {
            "name": locations.public_name(work.model),
            "revision": work.model.revision,
            "digest": work.model.digest,
        },
        "adapter": {"name": adapter.name, "revision": adapter.revision, "digest": adapter.digest} if adapter else None,
        "weights": work.weights,
        "versions": versions(),
    }


def gguf(folder: Path) -> GgufFile | None:
    """The GGUF file that an earlier attempt made of the checkpoint in ``folder``, where that still is."""
    file = folder / PROVENANCE
    facts = locations.read_json(file) if file.exists() else {}
    return GgufFile.model_validate(facts["gguf"]) if facts.get("gguf") else None


def versions() -> dict[str, str]:
    """Of what an export depends on, as it is installed here."""
    return {name: importlib.metadata.version(name) for name in PACKAGES} | {"python": platform.python_version()}


def text(work: ExportWork, facts: dict[str, Any]) -> str:
    """The card: front matter that the hub understands, a description, and the provenance as a table."""
    base = locations.public_name(work.model)
    lines = [
        "---",
        f"base_model: {json.dumps(base)}",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "---",
        "",
        f"# {work.model_name}",
        "",
        work.description or f"{base}{f' with the adapter {work.adapter.name}' if work.adapter else ''}.",
        "",
        "| fact | value |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in sorted(_flat(facts).items()) if value),
    ]
    return "\n".join(lines) + "\n"


def write(folder: Path, card: str, facts: dict[str, Any]) -> None:
    """Both files, into the model's folder."""
    (folder / README).write_text(card, encoding="utf-8")
    content = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / PROVENANCE).write_text(content + "\n", encoding="utf-8")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
