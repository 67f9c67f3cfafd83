"""SEC: code that a configuration names."""

from __future__ import annotations

from collections.abc import Iterator

from studio.libraries import axolotl_code
from studio.rules.base import Breach, View, rule
from studio.rules.library_breach import breach


@rule("SEC-008")
def code_by_name(view: View) -> Iterator[Breach]:
    """An Axolotl configuration names code that is not Axolotl's own.

    A plugin, a trainer class and a data set type may be the name of any module that is installed where jobs run, and an
    attention kernel may come from the hub: Axolotl imports it and calls it. Nobody who reads the pull request sees what
    that does. A script of the project is in the pull request itself, and a change of it runs the job again.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            plugins:
              - team_tricks.Plugin  # <-
            datasets:
              - type: alpaca
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            plugins:
              - axolotl.integrations.grokfast.GrokfastPlugin
            datasets:
              - type: alpaca
    """
    for each in view.configurations:
        if each.type == "axolotl":
            for code in axolotl_code.named(each.values):
                yield breach(each, code.path, code.message, code.hint)
