"""``python -m tests.invariants.watched FOLDER… -- COMMAND…``: run a command on each project in turn, watched."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.invariants import watch


def main(folders: list[str], command: list[str]) -> None:
    from studio.cli import errors
    from studio.cli.main import studio

    seen = watch.start(armed=False)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).with_name("site")), os.environ["PYTHONPATH"]])
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for number, folder in enumerate(folders):
        os.chdir(folder)
        seen.armed = number > 0  # the first run imports; importing is not what is watched
        code = errors.run(lambda: studio.main(command, prog_name="studio", standalone_mode=False))
        seen.armed = False
        print(f"\n<<{folder} {code}>>")


if __name__ == "__main__":
    split = sys.argv.index("--")
    main(sys.argv[1:split], sys.argv[split + 1 :])
