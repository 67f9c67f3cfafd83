"""How a job spec travels to where only environment variables arrive: JSON, compressed, as text.

Both ends are here, so that they cannot disagree. What arrives may have been cut, edited or written by another version
of studio; a job refuses it rather than guess.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from studio import __version__
from studio.core.errors import JobError, RefusedError
from studio.core.jobspec import SPEC_VERSION, JobSpec

SPEC_VARIABLE = "STUDIO_JOB_SPEC"
MAX_BYTES = 96 << 10
"""Linux takes 128 KiB in one variable of a process (MAX_ARG_STRLEN); the rest is room for who passes it on."""
MAX_UNPACKED_BYTES = 16 << 20
"""A few bytes can be made to unpack to gigabytes."""
_AGAIN = "apply again; if it stays, install the same version of studio here and where apply runs"


def pack(spec: JobSpec) -> dict[str, str]:
    """The variables that carry a spec; its ``project_dir`` stays behind. Raises RefusedError when it is too large."""
    try:
        body = spec.model_copy(update={"project_dir": ""}).model_dump_json().encode()
    except PydanticSerializationError as error:
        raise RefusedError(
            f"the job {spec.key} cannot be sent: a text in it is no Unicode", "look for \\ud800 to \\udfff"
        ) from error
    written = b'{"studio":%b,"spec":%b}' % (json.dumps(__version__).encode(), body)
    text = base64.b64encode(zlib.compress(written, 9)).decode()
    if len(text) > MAX_BYTES or len(written) > MAX_UNPACKED_BYTES:
        size = f"its spec is {_kib(len(text))} compressed, at most {_kib(MAX_BYTES)} fit"
        hint = "shorten what its configs and templates hold, such as long prompts or lists"
        raise RefusedError(f"the job {spec.key} cannot be sent: {size}", hint)
    return {SPEC_VARIABLE: text}


def unpack(environ: Mapping[str, str]) -> JobSpec:
    """The spec that the environment carries. Raises JobError when there is none, or none that can be relied on."""
    text = environ.get(SPEC_VARIABLE, "")
    if not text:
        raise JobError(
            f"no job was given: {SPEC_VARIABLE} is not set", "jobs are started by studio apply, not from the workspace"
        )
    content = _content(_decompressed(text))
    spec, sender = content.get("spec"), content.get("studio")
    if not isinstance(spec, dict) or not isinstance(sender, str):
        raise _damaged("it holds something else")
    if spec.get("version") != SPEC_VERSION:
        raise _foreign(sender, f"it is of version {spec.get('version')!r}, this studio reads {SPEC_VERSION}")
    try:
        return JobSpec.model_validate_json(json.dumps(spec))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise _foreign(sender, f"{where}: {first['msg']}") from error


def _decompressed(text: str) -> bytes:
    if len(text) > MAX_BYTES:
        raise _damaged(f"it has {_kib(len(text))}, at most {_kib(MAX_BYTES)} are sent")
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _damaged("it is not base64") from error
    stream = zlib.decompressobj()
    try:
        written = stream.decompress(packed, MAX_UNPACKED_BYTES)
    except zlib.error as error:
        raise _damaged("it cannot be decompressed") from error
    if stream.unconsumed_tail:
        raise _damaged(f"it is larger than {_kib(MAX_UNPACKED_BYTES)}")
    if not stream.eof or stream.unused_data:
        raise _damaged("it is cut off, or followed by something else")
    return written


def _content(written: bytes) -> dict[str, Any]:
    try:
        content = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise _damaged("it is not JSON") from error
    if not isinstance(content, dict):
        raise _damaged("it holds something else")
    return content


def _damaged(how: str) -> JobError:
    return JobError(f"{SPEC_VARIABLE} is damaged: {how}", _AGAIN)


def _foreign(sender: str, how: str) -> JobError:
    message = f"the job was sent by studio {sender} and cannot be read by studio {__version__} here: {how}"
    return JobError(message, "install the same version of studio in the workspace's project and where apply runs")


def _kib(size: int) -> str:
    return f"{-(-size // 1024)} KiB"
