"""GGUF: a merged checkpoint as one file for llama.cpp, written by llama.cpp's own converter."""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
import sys
from pathlib import Path

from studio.core.errors import JobError
from studio.core.jobresult import GgufFile
from studio.core.jobspec import ExportWork, JobSpec
from studio.jobs import child, threads
from studio.jobs.events import EventLog
from studio.jobs.export.converter import SCRIPT

FOLDER = "gguf"
"""Of the run, and of the registered version: holds the file."""
MAGIC, VERSIONS = b"GGUF", (2, 3)
HEADER = struct.Struct("<4sIQQ")
"""Magic, version, number of tensors, number of metadata entries; little-endian (llama.cpp, GGUF specification)."""
LAST_LINES = 3


def convert(script: Path, checkpoint: Path, spec: JobSpec, work: ExportWork, events: EventLog) -> GgufFile:
    """Run the converter on a checkpoint; the file is in :func:`folder`. Raises JobError when it makes none."""
    building = spec.folder / f".{FOLDER}.building"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        made = building / "model.gguf"
        _run(script, _shown(checkpoint, building, work), made, spec, work)
        tensors = _tensors(made, script)
        target = folder(spec) / _name(work)
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir()
        made.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    with target.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size = target.stat().st_size
    events.write("gguf", f"{target.name}: {tensors} tensors, {size:,} bytes")
    return GgufFile(path=f"{FOLDER}/{target.name}", type=work.gguf or "", digest=digest, bytes=size, tensors=tensors)


def folder(spec: JobSpec) -> Path:
    """Where a run keeps its file."""
    return spec.folder / FOLDER


def _name(work: ExportWork) -> str:
    """As is the custom, after the model and its type; ``auto`` is no type."""
    name = re.sub(r"[^\w.-]+", "-", work.model_name, flags=re.ASCII).strip(".-") or "model"
    return f"{name}.gguf" if work.gguf == "auto" else f"{name}-{work.gguf}.gguf"


def _shown(checkpoint: Path, building: Path, work: ExportWork) -> Path:
    """What the converter sees: the checkpoint, without a model's own code unless that is trusted, because the
    converter lets transformers run what lies there."""
    shown = building / "checkpoint"
    shown.mkdir()
    for file in sorted(checkpoint.iterdir()):
        if file.suffix != ".py" or work.model.trust_remote_code:
            (shown / file.name).symlink_to(file)
    return shown


def _run(script: Path, checkpoint: Path, made: Path, spec: JobSpec, work: ExportWork) -> None:
    arguments = ["--outfile", str(made), "--outtype", str(work.gguf), f"--model-name={work.model_name}"]
    line = [sys.executable, str(script), *arguments, str(checkpoint)]
    code, spoken = child.run(line, _environment(spec, made.parent), made.parent, lambda: None)
    if code:
        words = spoken.words(LAST_LINES)
        raise JobError(
            f"{script.name} {child.ended(code)}{f': {words}' if words else ', and said nothing'}",
            "the log has all that it said; what it imports must be installed where jobs run, and this version of it "
            "must know the model's architecture and tokenizer",
        )


def _environment(spec: JobSpec, home: Path) -> dict[str, str]:
    """The job's own without its secrets; nothing is fetched, and no GPU is used."""
    kept = {name: value for name, value in child.without_secrets(spec).items() if name != "PYTHONSAFEPATH"}
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home / "home"), "CUDA_VISIBLE_DEVICES": ""}
    own = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **threads.environment(spec.resources), **quiet, **own}


def _tensors(file: Path, script: Path) -> int:
    """The number of tensors that the header tells of. Raises JobError for what is no GGUF file."""
    hint = f"is that llama.cpp's {SCRIPT}? The log has all that it said"
    if not file.is_file():
        raise JobError(f"{script.name} ended well and wrote no file", hint)
    with file.open("rb") as stream:
        header = stream.read(HEADER.size)
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        raise JobError(f"what {script.name} wrote is no GGUF file: it begins with {header[:4]!r}", hint)
    _, version, tensors, _ = HEADER.unpack(header)
    if version not in VERSIONS:
        raise JobError(f"{script.name} wrote GGUF of version {version}, not {' or '.join(map(str, VERSIONS))}", hint)
    if not 0 < tensors < file.stat().st_size:
        raise JobError(f"{script.name} wrote a GGUF file whose header tells of {tensors} tensors", hint)
    return int(tensors)
