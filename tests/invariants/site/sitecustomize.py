"""Imported by every Python process that finds this folder: the children of a watched process are watched from birth."""

import os

if "WATCH_LOG" in os.environ:
    from tests.invariants import watch

    watch.start(armed=True)
