"""What the loop works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from studio.apply.manner import USUAL, Manner
from studio.apply.outcome import Watcher
from studio.apply.recording import Recorder
from studio.apply.removing import Remover
from studio.apply.revising import Reviser
from studio.apply.selecting import Selector
from studio.backends.base import Backend
from studio.compile import Target
from studio.desired import Desire
from studio.state.base import Artifact, StateStore


@dataclass(frozen=True, slots=True)
class Tools:
    """All of it. ``now`` is ISO 8601 in UTC, ``clock`` and ``sleep`` are in seconds."""

    desire: Desire
    target: Target
    state: StateStore
    backend: Backend
    recorder: Recorder
    remover: Remover
    reviser: Reviser
    selector: Selector
    watcher: Watcher
    now: Callable[[], str]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    present: Callable[[Artifact], bool]
    parallelism: int = 4
    poll_seconds: float = 0.5
    manner: Manner = USUAL
