"""Sizes of endpoints in the three forms of the API: of a deployment, asked for, and as a model's defaults."""

from __future__ import annotations

from typing import Any

from studio.core.endpoint import EndpointSize

MB_PER_GB = 1024


def of(deployment: Any) -> EndpointSize:
    """What a deployment's replicas have."""
    return EndpointSize(
        cpu=float(deployment.cpu or 0),
        memory=float(deployment.memory or 0),
        gpu=int(deployment.nvidia_gpu or 0),
        replicas=int(deployment.replicas or 1),
    )


def asked(size: EndpointSize) -> dict[str, Any]:
    return {
        "cpu": size.cpu,
        "memory": size.memory,
        "nvidia_gpus": size.gpu,
        "replicas": size.replicas,
    }


def defaults(size: EndpointSize) -> dict[str, str]:
    return {
        "cpu_millicores": str(round(size.cpu * 1000)),
        "memory_mb": str(round(size.memory * MB_PER_GB)),
        "nvidia_gpus": str(size.gpu),
    }


def policy(size: EndpointSize) -> dict[str, str]:
    return {"type": "fixed", "num_replicas": str(size.replicas)}
