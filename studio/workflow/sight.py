"""Where drift is looked for, and what was seen there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studio.core.references import Ref
from studio.load.observation import Observation
from studio.load.online import Online
from studio.load.project import Loaded
from studio.plan.drift import Subject, Unseen
from studio.resources.base import Resource

Found = dict[Subject, Any]


@dataclass(slots=True)
class Looks:
    """What was found, and what nobody could look at."""

    found: Found = field(default_factory=dict)
    unseen: list[Unseen] = field(default_factory=list)
    online: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """A project as its files are now; ``online`` is there when the hub and the registry may be asked."""

    loaded: Loaded
    resources: Mapping[Ref, Resource]
    observations: Mapping[Ref, Observation]
    online: Online | None = None
