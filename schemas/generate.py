"""Write the schemas beside this file: ``make schemas``. A test fails when they are stale."""

from __future__ import annotations

import json
from pathlib import Path

from studio.report.schemas import schemas


def main() -> None:
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False)
        (Path(__file__).parent / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
