"""PJ: programs that studio.yaml names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from studio.rules.base import Breach, View, rule, setting


@rule("PJ-018")
def axolotl_python_elsewhere(view: View) -> Iterator[Breach]:
    """The Python of Axolotl is named by a path that is not inside the project.

    A path of one machine means nothing on the others: there a variable of the environment says where it is. And what a
    project runs has to be visible in its review.

    Bad:
        kind: Project
        spec:
          axolotl_python: /opt/axolotl/bin/python  # <-
    Good:
        kind: Project
        spec:
          axolotl_python: .axolotl/bin/python
    """
    named = view.settings.spec.axolotl_python
    if not isinstance(named, str):
        return
    path = PurePosixPath(named)
    if not named or path.is_absolute() or ".." in path.parts or named.startswith("~"):
        what = (
            f"axolotl_python is {named!r}; it must be a path inside the project" if named else "axolotl_python is empty"
        )
        hint = "write axolotl_python: {env: STUDIO_AXOLOTL_PYTHON}, and set that variable on each machine"
        yield from setting(view, ("spec", "axolotl_python"), what, hint)
