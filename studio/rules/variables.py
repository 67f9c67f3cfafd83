"""PJ: variables of studio.yaml, and the references to them."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.core.suggest import did_you_mean
from studio.load.problems import Fault
from studio.load.variables import NAME, fits, kind, mentioned, spelled
from studio.rules.base import Breach, View, faults, rule, setting


@rule("PJ-008")
def unknown_variable(view: View) -> Iterator[Breach]:
    """A manifest names a variable that studio.yaml does not declare.

    Bad:
        kind: FineTuningJob
        spec:
          learning_rate: ${var.learning_rat}  # <-
        ---
        kind: Project
        spec:
          variables:
            learning_rate: {default: 0.001}
    Good:
        kind: FineTuningJob
        spec:
          learning_rate: ${var.learning_rate}
        ---
        kind: Project
        spec:
          variables:
            learning_rate: {default: 0.001}
    """
    yield from faults(view, Fault.UNKNOWN_VARIABLE)


@rule("PJ-009")
def variable_without_value(view: View) -> Iterator[Breach]:
    """A variable that a manifest names has no value in the environment.

    It has no default, the environment sets none, and none was given with --var.

    Bad:
        kind: FineTuningJob
        spec:
          learning_rate: ${var.learning_rate}  # <-
        ---
        kind: Project
        spec:
          variables:
            learning_rate: {description: Peak rate}
    Good:
        kind: FineTuningJob
        spec:
          learning_rate: ${var.learning_rate}
        ---
        kind: Project
        spec:
          variables:
            learning_rate: {description: Peak rate, default: 0.001}
    """
    yield from faults(view, Fault.VARIABLE_WITHOUT_VALUE)


@rule("PJ-010")
def malformed_variable_reference(view: View) -> Iterator[Breach]:
    """A reference to a variable is not of the form ``${var.name}``, or stands where none may be.

    The name of a resource says what it is. If it differed between environments, references to it would lead nowhere.
    Where the characters themselves are meant, write ``$${var.``.

    Bad:
        kind: FineTuningJob
        spec:
          user_script: scripts/${var.script name}.py  # <-
    Good:
        kind: FineTuningJob
        metadata:
          title: Shows how $${var.name} is written
    """
    yield from faults(view, Fault.VARIABLE_REFERENCE)


@rule("PJ-011")
def undeclared_variable_set(view: View) -> Iterator[Breach]:
    """An environment sets a variable that the project does not declare.

    No manifest can name it: the environment would run on what the value was meant to change.

    Bad:
        kind: Project
        spec:
          variables:
            learning_rate: {default: 0.001}
          environments:
            prod:
              variables:
                learning_rat: 0.0005  # <-
        ---
        kind: FineTuningJob
        spec:
          learning_rate: ${var.learning_rate}
    Good:
        kind: Project
        spec:
          variables:
            learning_rate: {default: 0.001}
          environments:
            prod:
              variables:
                learning_rate: 0.0005
        ---
        kind: FineTuningJob
        spec:
          learning_rate: ${var.learning_rate}
    """
    declared = view.settings.spec.variables
    for name, environment in view.settings.spec.environments.items():
        for variable in environment.variables.keys() - declared.keys():
            path = ("spec", "environments", name, "variables", variable)
            hint = did_you_mean(variable, declared) if declared else "declare it: spec.variables in studio.yaml"
            yield from setting(view, path, f"the project declares no variable {variable!r}", hint)


@rule("PJ-012")
def variable_of_another_type(view: View) -> Iterator[Breach]:
    """An environment sets a variable to a value of another type than its default.

    Bad:
        kind: Project
        spec:
          variables:
            learning_rate: {default: 0.001}
          environments:
            prod:
              variables:
                learning_rate: "0.0005"  # <-
        ---
        kind: FineTuningJob
        spec:
          learning_rate: ${var.learning_rate}
    Good:
        kind: Project
        spec:
          variables:
            learning_rate: {default: 0.001}
          environments:
            prod:
              variables:
                learning_rate: 0.0005
        ---
        kind: FineTuningJob
        spec:
          learning_rate: ${var.learning_rate}
    """
    declared = view.settings.spec.variables
    for name, environment in view.settings.spec.environments.items():
        for variable, value in environment.variables.items():
            default = declared[variable].default if variable in declared else None
            if default is not None and not fits(value, default):
                path = ("spec", "environments", name, "variables", variable)
                message = f"{variable} is {kind(value)} here, and {kind(default)} by default"
                yield from setting(view, path, message, f"write {kind(default)}, such as {spelled(default)}")


@rule("PJ-013")
def bad_name_of_variable(view: View) -> Iterator[Breach]:
    """The name of a variable cannot be written in a reference.

    Bad:
        kind: Project
        spec:
          variables:
            learning-rate: {default: 0.001}  # <-
    Good:
        kind: Project
        spec:
          variables:
            learning_rate: {default: 0.001}
        ---
        kind: FineTuningJob
        spec:
          learning_rate: ${var.learning_rate}
    """
    for name in view.settings.spec.variables:
        if not NAME.match(name):
            hint = "use letters, digits and underscores, and begin with no digit"
            yield from setting(view, ("spec", "variables", name), f"{name!r} is no name of a variable", hint)


@rule("PJ-014", severity=Severity.WARNING)
def unused_variable(view: View) -> Iterator[Breach]:
    """A variable is declared and no manifest names it.

    Whoever sets it believes that something changes.

    Bad:
        kind: Project
        spec:
          variables:
            rows: {default: 1000}  # <-
    Good:
        kind: Project
        spec:
          variables:
            rows: {default: 0.5}
        ---
        kind: FineTuningJob
        spec:
          dataset_fraction: ${var.rows}
    """
    spec = view.settings.spec
    patches = [patch.patch for environment in spec.environments.values() for patch in environment.patches]
    used = view.used | set(mentioned(patches)) if spec.variables else frozenset()
    for name in spec.variables:
        if name not in used and NAME.match(name) and not view.unread:
            hint = f"write ${{var.{name}}} where it counts, or remove it"
            yield from setting(view, ("spec", "variables", name), f"no manifest names the variable {name!r}", hint)
