"""What fuzzing starts from: every manifest and every input of the examples and of the tests."""

from __future__ import annotations

from functools import cache

from studio.load.files import SETTINGS_FILE
from tests.projects import ROOT, llama, safetensors

SAMPLE = ROOT / "tests" / "rules" / "sample"
VARIABLES = f"""
  variables:
    rate: {{default: 0.001}}
    long: {{default: {"x" * 5_000}}}
  environments:
    other: {{variables: {{rate: 0.01}}}}
""".encode()
NAMED = b"""
apiVersion: studio/v1
kind: Config
metadata: {name: named, description: "${var.long} and $${var.long}"}
spec:
  type: custom
  config: {rate: "${var.rate}"}
"""
LARGEST = 20_000
"""Bytes of an input file that is worth changing; model weights are not."""


@cache
def texts() -> tuple[str, ...]:
    """Manifest files, of which all but a few are valid."""
    folders = (ROOT / "examples", ROOT / "manifests", SAMPLE / "manifests", ROOT / "tests" / "golden")
    files = (path for folder in folders for path in sorted(folder.rglob("*.yaml")) if path.stat().st_size < LARGEST)
    return tuple(dict.fromkeys(path.read_text("utf-8", errors="replace") for path in files))


@cache
def project() -> dict[str, bytes]:
    """The files of the sample project, by name."""
    files = (path for path in sorted(SAMPLE.rglob("*")) if path.is_file() and path.stat().st_size < LARGEST)
    weights = {
        "models/tiny-llama/model.safetensors": safetensors(llama(layers=2)),
        "adapters/imported/adapter_model.safetensors": safetensors({}),
    }
    found = weights | {path.relative_to(SAMPLE).as_posix(): path.read_bytes() for path in files}
    return found | {SETTINGS_FILE: found[SETTINGS_FILE] + VARIABLES, "manifests/named.yaml": NAMED}
