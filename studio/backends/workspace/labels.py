"""Accelerators: which label a job's GPUs have, and how many of them one job may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studio.backends.workspace.calls import Calls
from studio.core.errors import RefusedError
from studio.core.jobspec import Resources


@dataclass(slots=True)
class Labels:
    """``calls`` are apart: who may start jobs may perhaps not list the cluster's nodes."""

    calls: Calls
    _listed: list[Any] | RefusedError | None = None

    def of(self, asked: Resources) -> str:
        """The id of the label that a job asks for, "" for none.

        Raises RefusedError for a label that is not there, and for more GPUs than a job can get: it would wait for ever.
        """
        if asked.gpu_label is None:
            self._demand_some(asked.gpu)
            return ""
        labels = self._all()
        wanted = next((label for label in labels if str(label.id) == str(asked.gpu_label)), None)
        if wanted is None:
            there = "; ".join(_words(label) for label in labels) or "none"
            message = f"the workspace has no accelerator label {asked.gpu_label}; there are: {there}"
            raise RefusedError(self.calls.shown(message), "correct gpu_label_id")
        most = _number(wanted.max_gpu_per_workload)
        if most and asked.gpu > most:
            message = f"the job asks for {asked.gpu} GPU of the label {_words(wanted)}, a job may have at most {most}"
            raise RefusedError(self.calls.shown(message), "lower num_gpu, or choose another gpu_label_id")
        return str(wanted.id)

    def _demand_some(self, gpus: int) -> None:
        """Refuse what no label allows, as far as the workspace tells."""
        try:
            labels = self._all() if gpus else []
        except RefusedError:  # the owner of the key may not list them, and need not
            return
        most = [_number(label.max_gpu_per_workload) for label in labels]
        if most and all(most) and gpus > max(most):
            message = f"the job asks for {gpus} GPU, a job may have at most {max(most)} of any label"
            raise RefusedError(message, "lower num_gpu")

    def _all(self) -> list[Any]:
        if self._listed is None:
            try:
                self._listed = self.calls.pages(
                    "list the accelerator labels",
                    lambda page: page.accelerator_node_label,
                    self.calls.client.list_all_accelerator_node_labels,
                )
            except RefusedError as refused:
                self._listed = refused
        if isinstance(self._listed, RefusedError):
            raise self._listed
        return self._listed


def _words(label: Any) -> str:
    return f"{label.id} ({label.label_value or label.label_key or 'without a name'})"


def _number(text: object) -> int:
    """A count as the API writes it; 0 when it says nothing."""
    written = str(text or "")
    return int(written) if written.isdecimal() else 0
