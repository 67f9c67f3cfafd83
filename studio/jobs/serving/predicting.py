"""What a CML model endpoint runs: a prompt in, an answer out (guide, CML Model Serving).

Base model, adapter and generation settings come from the environment, and are checked when the endpoint starts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from studio.core.errors import JobError
from studio.core.jobspec import AdapterInput, ModelInput, Resources
from studio.core.servingspec import ServingSpec
from studio.core.suggest import nearest
from studio.jobs.inputs import hub
from studio.jobs.inputs.locations import HUB
from studio.jobs.serving import requests, serving
from studio.jobs.serving.answering import Halt
from studio.jobs.serving.serving import Served

BASE, ADAPTER, GENERATION = "FINE_TUNING_STUDIO_BASE_MODEL_HF_NAME", "ADAPTER_LOCATION", "GEN_CONFIG_STRING"
HUB_TOKEN = "HUGGINGFACE_ACCESS_TOKEN"
CORES = "CDSW_CPU_CORES"
SUCH_AS = 'write an object, such as {"max_new_tokens": 64}'
EVERY_CORE = 1 << 16
"""More than there are: a process never computes with more than it may use."""
WAITING = 256
"""CML itself hands a replica one request at a time."""


class Predictor:
    """A model in memory for as long as the process lives."""

    def __init__(self, spec: ServingSpec) -> None:
        """Raises JobError for what is wrong with the spec."""
        self._stack = ExitStack()
        self._served: Served = self._stack.enter_context(serving.opened(spec, WAITING))

    @property
    def words(self) -> str:
        """What is served, for the endpoint's log: a forgotten adapter must not go unnoticed."""
        spec = self._served.spec
        adapter = f"the adapter {spec.adapter.name}" if spec.adapter else f"no adapter ({ADAPTER} is not set)"
        return f"serving {spec.name} with {adapter}; settings {json.dumps(self._served.settings, sort_keys=True)}"

    def predict(self, arguments: Any) -> str:
        """The answer to ``{"prompt": …}``, or to ``{"request": {"prompt": …}}``; safe to call from several threads.

        Raises Refusal for arguments of another form, and for a prompt that the model has no room for.
        """
        ask = requests.prompt_of(arguments)
        return self._served.answer(ask, self._served.join(), Halt(math.inf)).text


def from_environment(environ: Mapping[str, str], folder: Path) -> Predictor:
    """The model that the guide's three variables name; relative paths count from ``folder``. Raises JobError."""
    return Predictor(spec_of(environ, folder))


def spec_of(environ: Mapping[str, str], folder: Path) -> ServingSpec:
    """The variables as a serving spec. Raises JobError that names the variable at fault."""
    base = environ.get(BASE, "").strip()
    if not base:
        near = nearest(BASE, [name for name in environ if name != BASE])
        hint = f"{near} is set: was it misspelt?" if near else "set it to a name on the hub, or to a folder"
        raise JobError(f"{BASE} is not set: there is no model to serve", hint)
    return ServingSpec(
        name=base,
        title=base,
        model=_model(base, folder),
        adapter=_adapter(environ.get(ADAPTER, "").strip(), folder),
        generation=_generation(environ.get(GENERATION, "").strip()),
        project_dir=str(folder),
        resources=Resources(cpu=_cores(environ)),
        secrets={hub.TOKEN_PURPOSE: HUB_TOKEN},
    )


def _model(base: str, folder: Path) -> ModelInput:
    """A folder when there is one of that name, else a name on the hub, ``owner/name`` or ``owner/name@revision``."""
    if (folder / base).is_dir():
        return ModelInput(name=base, type="project", location=base)
    if base.startswith(("/", "./", "../")):
        raise JobError(f"{BASE}: the folder {folder / base} does not exist", "name a folder, or a model on the hub")
    name, _, revision = base.partition("@")
    return ModelInput(name=base, type=HUB, huggingface_name=name, revision=revision)


def _adapter(location: str, folder: Path) -> AdapterInput | None:
    """None when there is none: then the base model answers."""
    if not location:
        return None
    if not (folder / location).is_dir():
        raise JobError(f"{ADAPTER}: the folder {folder / location} does not exist", "name the folder of an adapter")
    return AdapterInput(name=location, type="project", location=location)


def _generation(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise JobError(
            f"{GENERATION} is not JSON: {error}", 'write an object, such as {"max_new_tokens": 64}'
        ) from error
    if not isinstance(found, dict):
        raise JobError(f"{GENERATION} is not a JSON object", 'write one, such as {"max_new_tokens": 64}')
    return found


def _cores(environ: Mapping[str, str]) -> int:
    """What CML gave this replica, else all there are."""
    given = environ.get(CORES, "")
    return max(1, int(given)) if given.isascii() and given.isdigit() else EVERY_CORE
