"""What a job kind may ask for while it compiles to a job spec: its references, resolved, and what it made before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from studio.core.jobspec import AdapterInput, DatasetInput, ModelInput, SeenRows
    from studio.core.prompting import Templates


@dataclass(frozen=True, slots=True)
class Made:
    """What a resource's job made: its output as recorded, the job's key, and the fingerprint it was made from."""

    output: Mapping[str, Any]
    run_key: str
    fingerprint: str


class Scope(Protocol):
    """References by name, resolved to what a job reads. Names are known to exist: the rules ran before."""

    def dataset(self, name: str) -> DatasetInput: ...

    def model(self, name: str) -> ModelInput: ...

    def adapter(self, name: str) -> AdapterInput: ...

    def templates(self, prompt: str) -> Templates: ...

    def dataset_format(self, name: str) -> Templates: ...

    def axolotl_python(self) -> str:
        """Where Axolotl is installed, as the project says."""

    def config(self, type: str, value: str | dict[str, Any] | None, model: str) -> dict[str, Any]: ...

    def files(self) -> Mapping[str, str]:
        """Project-relative name to SHA-256 of the files that the job reads besides its data."""

    def seen(self, adapter: str) -> SeenRows | None: ...

    def example(self, prompt: str) -> str: ...

    def registered(self, model_name: str) -> str:
        """The version that the same export registered before; "" for none, and for one under another name."""

    def workspace(self) -> str:
        """Name of the workspace where the job runs; "" for this machine."""

    def endpoint(self) -> Mapping[str, Any]:
        """The endpoint that the same resource has there, as recorded; empty for none."""

    def is_shared(self, mine: Mapping[str, Any]) -> bool:
        """Whether another resource, or another environment, has the same endpoint."""

    def owner(self) -> str:
        """Resource and environment, in words."""

    def provenance(self) -> dict[str, Any]: ...
