"""What rules look at of Axolotl configurations: those of jobs, and the formats that Configs describe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from studio.core.findings import Path
from studio.load import configs
from studio.resources.config import Config, ConfigType
from studio.resources.fine_tuning_job import FineTuningJob
from studio.rules.base import Breach, View
from studio.rules.library_breach import breach


def content(job: FineTuningJob, field: str, view: View) -> dict[str, Any]:
    """What a configuration of the job says; {} where other rules report that it cannot be read."""
    config = view.get(view.graph.target(job.ref, "spec", field), Config)
    try:
        content: Any = configs.content(config) if config else getattr(job.spec, field)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def breaches(job: FineTuningJob, view: View, found: Iterable[tuple[Path, str, str]]) -> Iterator[Breach]:
    """Paths within the configuration, messages and hints as breaches there, be it written in the job or in a Config. Of
    a Config that several jobs name, the same is told once."""
    target = view.graph.target(job.ref, "spec", "axolotl_config") or job.ref
    every = (each for each in view.configurations if each.type == ConfigType.AXOLOTL and each.ref == target)
    held = next(every, None)
    told: set[Breach] = view.once("faults for Axolotl jobs", target, set)
    for path, message, hint in found:
        told_now = breach(held, path, message, hint) if held else Breach(("spec", "axolotl_config"), message, hint)
        if target == job.ref or told_now not in told:
            told.add(told_now)
            yield told_now


def first(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data set that says how rows are read."""
    datasets = content.get("datasets")
    first = datasets[0] if isinstance(datasets, list) and datasets else None
    return first if isinstance(first, dict) else {}


def formats(view: View) -> dict[str, Mapping[str, Any]]:
    """Data set types that Configs describe, with their columns."""
    every = {**view.defaults, **view.manifests}.values()
    specs = [manifest.resource.spec for manifest in every if isinstance(manifest.resource, Config)]
    contents = [spec.config for spec in specs if spec.type == ConfigType.AXOLOTL_DATASET_FORMATS]
    described = [content for content in contents if isinstance(content, dict)]
    return {str(each.get("description", "")): each.get("format") or {} for each in described}
