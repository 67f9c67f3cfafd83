"""What a check finds, what it may look at, and how all of them are run: side by side, each for a bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from studio.core.errors import JobError, StudioError
from studio.core.jobspec import Resources
from studio.core.needs import Need, What
from studio.jobs.needs import Place, found
from studio.load import configs
from studio.load.project import Loaded
from studio.resources import KINDS
from studio.resources.base import Resource

LIMIT_SECONDS = 60.0
"""For one check; importing torch from a cold disk is the slowest thing any of them does."""


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"
    """Jobs of this project cannot run without it."""


@dataclass(frozen=True, slots=True)
class Checkup:
    """What one check found, and what to do about it."""

    verdict: Verdict
    found: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that checks may look at. ``loaded`` is None outside a project, ``state_url`` raises StudioError."""

    folder: Path
    loaded: Loaded | None
    environ: Mapping[str, str]
    state_url: Callable[[], str]
    online: bool = False

    @property
    def resources(self) -> list[Resource]:
        return [manifest.resource for manifest in self.loaded.manifests.values()] if self.loaded else []

    @property
    def here(self) -> bool:
        """Whether jobs run on this machine."""
        return self.loaded is None or self.loaded.settings.spec.backend.type == "local"

    def asked(self) -> list[Resources]:
        """What each job of the project asks for."""
        measures = ((KINDS[resource.kind].resources, resource) for resource in self.resources)
        return [asked for measure, resource in measures if measure and (asked := measure(resource))]

    def needs(self, what: What) -> list[Need]:
        """Everything of a kind that jobs of the project need of the machine, as far as their configurations tell."""
        declared = ((KINDS[resource.kind].needs, resource) for resource in self.resources)
        found = (need for needs, resource in declared if needs for need in needs(resource, self._config))
        return list(dict.fromkeys(need for need in found if need.what is what))

    def _config(self, type: str, value: str | dict[str, Any] | None) -> Mapping[str, Any]:
        if self.loaded is None:
            return {}
        known = {ref: each.resource for ref, each in (*self.loaded.defaults.items(), *self.loaded.manifests.items())}
        shipped = {ref: each.resource for ref, each in self.loaded.defaults.items()}
        try:
            return configs.in_force(known, configs.defaults(known, shipped), type, value, "")[1]
        except (KeyError, ValueError):  # a rule reports it
            return {}

    def looked_for(self, what: What) -> Checkup | None:
        """What there is of all that jobs need of a kind; None where no job needs any."""
        if self.loaded is None or not (asked := self.needs(what)):
            return None
        here = Place(self.loaded.root, self.loaded.settings.spec.python_of_axolotl, self.environ)
        try:
            return Checkup(Verdict.OK, ", ".join(found(need, here) for need in asked))
        except JobError as error:
            return Checkup(self.needed(), error.message, error.hint)

    def needed(self) -> Verdict:
        """How bad it is when jobs cannot run on this machine."""
        return Verdict.MISSING if self.here and self.asked() else Verdict.WARNING


Check = Callable[[Surroundings], Checkup | None]
"""None: there is nothing to check here."""


def run(
    checks: Mapping[str, Check], around: Surroundings, limit: float = LIMIT_SECONDS
) -> Iterator[tuple[str, Checkup]]:
    """Every check's name and what it found, in the order of the table. No check can stop or delay the others."""
    found: dict[str, Checkup | None] = {}
    threads = {
        name: threading.Thread(target=_one, args=(name, check, around, found), daemon=True)
        for name, check in checks.items()
    }
    for thread in threads.values():
        thread.start()
    end = time.monotonic() + limit
    for name, thread in threads.items():
        thread.join(max(0.0, end - time.monotonic()))
        late = Checkup(Verdict.WARNING, f"gave no answer within {limit:g} s", "see what it hangs on, then try again")
        checkup = found.get(name, late)
        if checkup:
            yield name, checkup


def _one(name: str, check: Check, around: Surroundings, found: dict[str, Checkup | None]) -> None:
    try:
        found[name] = check(around)
    except StudioError as error:
        found[name] = Checkup(Verdict.MISSING, error.message, error.hint)
    except Exception as error:  # whatever is wrong with this machine, the other checks still say what they found
        found[name] = Checkup(Verdict.WARNING, f"could not be checked: {type(error).__name__}: {error}",
                              "if it stays so, report it with this line")  # fmt: skip


def fails(checkups: Iterable[Checkup]) -> bool:
    """Whether something is missing that the project's jobs need."""
    return any(checkup.verdict is Verdict.MISSING for checkup in checkups)
