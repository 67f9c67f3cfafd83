"""CF: settings of one configuration that do not go together."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.libraries.conflicts import CONTRADICTIONS, IDLE, found
from studio.rules.base import Breach, View, rule
from studio.rules.configurations import library_table
from studio.rules.library_breach import breach


@rule("CF-013")
def contradiction(view: View) -> Iterator[Breach]:
    """Two settings of the configuration contradict each other.

    The library refuses them, often only after the model was loaded, or does something that nobody asked for.

    Bad:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            fp16: true
            bf16: true  # <-
    Good:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            bf16: true
    """
    for each in view.configurations:
        for conflict in found(CONTRADICTIONS, each.type, each.values):
            yield breach(each, (conflict.key,), conflict.message, conflict.hint)


@rule("CF-014", severity=Severity.WARNING)
def idle_setting(view: View) -> Iterator[Breach]:
    """The setting has no effect beside the others of the configuration.

    Whoever wrote it expects something of it: a warm-up that a constant schedule never does, a temperature in answers
    that are not sampled.

    Bad:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            lr_scheduler_type: constant
            warmup_steps: 0.03  # <-
    Good:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            lr_scheduler_type: constant_with_warmup
            warmup_steps: 0.03
    """
    for each in view.configurations:
        keys = library_table(each.type).root.keys
        for conflict in found(IDLE, each.type, each.values):
            known = keys.get(conflict.key)
            if known is None or each.values[conflict.key] != known.default:
                yield breach(each, (conflict.key,), conflict.message, conflict.hint)
