"""The configuration in force for a field of a job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from studio.core.references import Ref
from studio.load import documents
from studio.load.nodes import YamlFault
from studio.resources.base import ConfigValue, Resource
from studio.resources.config import YAML_TYPES, Config

Defaults = Mapping[tuple[str, str], Config]
"""The Config in force where a job names none, by type and architecture family ("" for every family)."""


def defaults(resources: Mapping[Ref, Resource], shipped: Mapping[Ref, Resource]) -> Defaults:
    """The project's own default wins over a shipped one; among equals the first by name."""
    found: dict[tuple[str, str], Config] = {}
    own = {ref: resource for ref, resource in resources.items() if shipped.get(ref) is not resource}
    for resource in (*(own[ref] for ref in sorted(own)), *shipped.values()):
        if isinstance(resource, Config) and resource.spec.default:
            found.setdefault((resource.spec.type, resource.spec.model_family), resource)
    return found


def in_force(
    resources: Mapping[Ref, Resource], otherwise: Defaults, type: str, value: ConfigValue, family: str
) -> tuple[str, dict[str, Any]]:
    """Label and content of the configuration for a field of ``value``; an absent default is empty.

    Raises KeyError for a name that no Config has, and ValueError for text that is not a mapping.
    """
    if isinstance(value, dict):
        return "inline", value
    if value:
        resource = resources[Ref("Config", value)]
        return str(resource.ref), content(resource)
    chosen = otherwise.get((type, family)) or otherwise.get((type, ""))
    return (str(chosen.ref), content(chosen)) if chosen else ("none", {})


def content(config: Resource) -> dict[str, Any]:
    """A Config's content as a mapping, whether it was written as one or as text.

    Raises ValueError for text that does not parse, or says something else than a mapping.
    """
    if not isinstance(config, Config):
        return {}
    held = config.spec.config
    if not isinstance(held, str):
        return held
    try:
        parsed = documents.parse(held)[0] if config.spec.type in YAML_TYPES else json.loads(held)
    except (ValueError, YamlFault, IndexError, RecursionError) as error:  # IndexError: no document at all
        raise ValueError(f"{config.ref} does not parse") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"{config.ref} is not a mapping")
    return parsed
