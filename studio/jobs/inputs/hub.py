"""The Hugging Face Hub: its token, its errors, its files on this machine's disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import huggingface_hub
from huggingface_hub import errors

from studio.core.errors import JobError
from studio.core.premises import Premises

TOKEN_PURPOSE = "hf_token"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack", "*.onnx", "*.gguf", "*.ot")
"""Weights in other formats than safetensors: pickle is code, and the rest is not read."""
LOST: tuple[type[Exception], ...] = (errors.HfHubHTTPError, *errors.HfHubHTTPError.__bases__)
"""Lost connections raise the HTTP library's own error, from which the hub's error is derived: httpx in
huggingface_hub 1, httpx2 in 2. OSError is among them."""


def token(spec: Premises) -> str | None:
    """The value of the variable that the spec names, or None for anonymous access."""
    return os.environ.get(spec.secrets.get(TOKEN_PURPOSE, "")) or None


def download(name: str, revision: str, spec: Premises, repository: Literal["model", "dataset"] = "model") -> Path:
    """A repository's files, without pickles, in the hub's cache. Raises JobError when it cannot be had."""
    with explained(name, revision):
        folder = huggingface_hub.snapshot_download(
            name,
            repo_type=repository,
            revision=revision or None,
            token=token(spec),
            ignore_patterns=list(PICKLES),
        )
    return Path(folder)


@contextmanager
def explained(name: str, revision: str) -> Iterator[None]:
    """Turn the hub's errors into JobErrors; the order matters, a gated repository is also one not found."""
    at = f"{name} at revision {revision}" if revision else name
    try:
        yield
    except errors.GatedRepoError as error:
        raise JobError(f"{at} is gated", "accept its terms on the hub and set the token's variable") from error
    except errors.RevisionNotFoundError as error:
        raise JobError(f"{name} has no revision {revision}") from error
    except errors.RepositoryNotFoundError as error:
        raise JobError(f"{at} does not exist on the hub, or the token may not read it") from error
    except errors.HFValidationError as error:
        raise JobError(f"{name!r} is not a name on the hub: {error}") from error
    except (*LOST, errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, OSError) as error:
        raise JobError(f"{at} could not be fetched from the hub: {error}", "is the hub reachable from here?") from error
    except ValueError as error:
        raise JobError(f"{at}: {error}") from error
