"""SEC: what is left in comments."""

from __future__ import annotations

from collections.abc import Iterator

from studio.load.problems import Fault
from studio.rules.base import Breach, View, faults, rule


@rule("SEC-006")
def secret_in_comment(view: View) -> Iterator[Breach]:
    """A secret is written in a comment.

    It was tried out, and commented out. Whoever can read the repository has it all the same.

    Bad:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: storage}
        spec:
          type: custom
          # key: AKIAIOSFODNN7EXAMPLE  # <-
          config: {bucket: tickets}
    Good:
        apiVersion: studio/v1
        kind: Config
        metadata: {name: storage}
        spec:
          type: custom
          # the key is in the variable STORAGE_KEY
          config: {bucket: tickets}
    """
    yield from faults(view, Fault.SECRET)
