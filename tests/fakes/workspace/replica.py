"""Run as a process, it serves one function of one file: ``replica.py FILE FUNCTION ADDRESS``.

The address at which it listens is written to a file when the file was imported, which may take a while. A request is
``{"request": …}``; the function gets what is under ``request``.
"""

from __future__ import annotations

import json
import signal
import sys
import traceback
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from tests.fakes.http import Answer, Request, as_json, serving


def function_of(file: str, name: str) -> Callable[[Any], Any]:
    """The function, from a file that is imported with the project's folder on its path."""
    sys.path.insert(0, str(Path.cwd()))
    spec = spec_from_file_location("model", file)
    assert spec and spec.loader, f"{file} is no Python file"
    module = module_from_spec(spec)
    sys.modules["model"] = module
    spec.loader.exec_module(module)
    found: Callable[[Any], Any] = getattr(module, name)
    return found


def answered(function: Callable[[Any], Any], request: Request) -> Answer:
    """An exception of the function is the model's error, not the server's end."""
    try:
        found = function(json.loads(request.body)["request"])
        return as_json({"success": True, "response": found, "ReplicaID": "replica-1", "StatusCode": 200})
    except Exception:
        return as_json({"success": False, "errors": traceback.format_exc(), "StatusCode": 500}, 500)


def main(file: str, function: str, address: str) -> None:
    called = function_of(file, function)
    with serving(lambda request: answered(called, request)) as url:
        partial = Path(f"{address}.partial")
        partial.write_text(f"{url}/", "utf-8")
        partial.replace(address)
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
