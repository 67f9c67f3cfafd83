"""Found by every Python that the harness starts: one that is to run a job of the local backend runs a stand-in at once.

The supervisor, its lock and its files are the real ones; only what would import torch is not.
"""

import sys

if sys.orig_argv[1:3] == ["-m", "studio.jobs"]:
    from tests.crash.stand_in import run

    run(sys.orig_argv[3])
