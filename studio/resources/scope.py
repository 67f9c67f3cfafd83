"""What a job kind may ask for while it compiles to a job spec: its references, resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from studio.core.jobspec import AdapterInput, DatasetInput, ModelInput, SeenRows, Templates


class Scope(Protocol):
    """References by name, resolved to what a job reads. Names are known to exist: the rules ran before."""

    def dataset(self, name: str) -> DatasetInput: ...

    def model(self, name: str) -> ModelInput: ...

    def adapter(self, name: str) -> AdapterInput: ...

    def templates(self, prompt: str) -> Templates: ...

    def dataset_format(self, name: str) -> Templates: ...

    def config(self, type: str, value: str | dict[str, Any] | None, model: str) -> dict[str, Any]: ...

    def seen(self, adapter: str) -> SeenRows | None: ...

    def example(self, prompt: str) -> str: ...

    def registered(self, model_name: str) -> str:
        """The version that the same export registered before; "" for none, and for one under another name."""

    def provenance(self) -> dict[str, Any]: ...
