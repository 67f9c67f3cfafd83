"""What ``studio status``, ``studio history`` and ``studio sync`` say, gathered for a page."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio import inspection
from studio.backends.base import Backend
from studio.core.errors import StudioError
from studio.core.json_values import finite
from studio.core.secrets import redact
from studio.load.project import Loaded, load_project
from studio.report import history, standings
from studio.workflow import places
from studio.workflow.syncing import STATUS

KEPT_SECONDS = 5.0
"""However many look at the page, the project is looked at once in so many seconds."""
OPERATIONS = 20
Content = dict[str, Any]


@dataclass(slots=True)
class Source:
    """Where a page's content comes from; what was found is kept for a moment."""

    root: Path
    environment: str
    environ: Mapping[str, str]
    clock: Callable[[], float]
    _found: Content = field(default_factory=dict)
    _found_at: float = float("-inf")
    _backend: Backend | None = None
    """Kept, because it remembers what it was told of jobs, and need not ask for it again."""
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def content(self) -> Content:
        """Plain data, without secrets; ``fault`` says why there is none."""
        with self._turn:
            if self.clock() - self._found_at >= KEPT_SECONDS:
                self._found = dict(json.loads(redact(json.dumps(self._look(), default=str))))
                self._found_at = self.clock()
            return self._found

    def _look(self) -> Content:
        content: Content = {"environment": self.environment, "status": [], "history": [], "sync": None, "fault": ""}
        try:
            loaded = load_project(self.root, self.environment)
            state = places.open_state(loaded)
            declared = loaded.resources
            found = inspection.standings(state, self._asked(loaded), declared)
            if any(each.silence for each in found):  # a backend that was refused once asks no more
                self._backend = None
            operations = state.operations(OPERATIONS)
            content["status"] = finite(standings.to_json(found))
            content["history"] = history.to_json(operations, inspection.at_work(state, operations), ())["operations"]
            content["sync"] = self._followed()
        except StudioError as error:
            self._backend = None
            content["fault"] = f"{error.message}. {error.hint}".strip()
        except OSError as error:
            content["fault"] = f"{error.filename or 'the project'} cannot be read: {error.strerror or error}"
        return content

    def _asked(self, loaded: Loaded) -> Backend:
        """The backend of before, unless settings name another one by now."""
        found = places.backend(loaded, self.environ, places.GLANCE_SECONDS)
        if self._backend is None or self._backend.name != found.name:
            self._backend = found
        return self._backend

    def _followed(self) -> object:
        """How far sync has followed its branch; None before its first round."""
        try:
            told = json.loads((self.root / STATUS).read_text("utf-8"))
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        return told.get(self.environment) if isinstance(told, dict) else None
