"""What a job asks of its backend."""

from __future__ import annotations

from typing import Any

import pytest

from studio.core.findings import Source
from studio.core.jobspec import Resources
from studio.load.manifests import parse_manifest
from studio.resources import KINDS
from tests.projects import manifest


@pytest.mark.parametrize(
    ("kind", "spec", "asked"),
    [
        (
            "FineTuningJob",
            {
                "num_cpu": 2,
                "num_gpu": 1,
                "num_memory": 8,
                "num_workers": 3,
                "dist_cpu": 4,
                "dist_gpu": 1,
                "dist_mem": 6,
            },
            Resources(cpu=2, gpu=1, memory=8, workers=3, dist_cpu=4, dist_gpu=1, dist_memory=6),
        ),
        ("FineTuningJob", {"num_cpu": 1, "num_memory": 1, "gpu_label_id": 7}, Resources(gpu_label=7)),
        ("EvaluationJob", {}, Resources(cpu=1, gpu=0, memory=1)),
        ("EvaluationJob", {"num_cpu": 2, "num_gpu": 1, "num_memory": 4}, Resources(cpu=2, gpu=1, memory=4)),
        ("ModelExport", {}, Resources(cpu=1, gpu=0, memory=4)),
        ("ModelExport", {"num_cpu": 2, "num_memory": 16}, Resources(cpu=2, memory=16)),
    ],
)
def test_a_job_asks_for_what_its_manifest_says(kind: str, spec: dict[str, Any], asked: Resources) -> None:
    parsed, _ = parse_manifest(manifest(kind, "x", spec), Source("x.yaml"))
    ask = KINDS[kind].resources
    assert parsed is not None and ask is not None and ask(parsed.resource) == asked
