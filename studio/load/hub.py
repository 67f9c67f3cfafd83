"""The Hugging Face Hub, asked only with ``--online`` or by apply. ``HF_ENDPOINT`` points it elsewhere."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


def is_commit(revision: str) -> bool:
    """Whether a revision is a full commit hash: the only kind that never moves."""
    return _COMMIT.match(revision) is not None


class HubFault(StrEnum):
    """Why the hub gave no answer; each calls for a different cure."""

    NOT_FOUND = "not-found"
    NO_REVISION = "no-revision"
    NEEDS_TOKEN = "needs-token"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class HubInfo:
    """A repository at a revision. ``features`` is empty where the repository's card does not declare them."""

    sha: str
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hub:
    """``token_variable`` names the environment variable that may hold a token. Each question is asked once."""

    token_variable: str
    _answers: dict[tuple[str, ...], HubInfo | HubFault] = field(default_factory=dict, compare=False, repr=False)

    def dataset(self, name: str, revision: str, subset: str = "") -> HubInfo | HubFault:
        return self._answer("dataset_info", name, revision, subset)

    def model(self, name: str, revision: str) -> HubInfo | HubFault:
        return self._answer("model_info", name, revision, "")

    def _answer(self, *question: str) -> HubInfo | HubFault:
        if question not in self._answers:
            self._answers[question] = self._ask(*question)
        return self._answers[question]

    def _ask(self, method: str, name: str, revision: str, subset: str) -> HubInfo | HubFault:
        from httpx import HTTPError
        from huggingface_hub import HfApi, constants
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or constants.ENDPOINT, token=self._token())
        question = {"dataset_info": api.dataset_info, "model_info": api.model_info}[method]
        try:
            info = question(name, revision=revision or None, timeout=20)
        except GatedRepoError:
            return HubFault.NEEDS_TOKEN
        except RevisionNotFoundError:
            return HubFault.NO_REVISION
        except (RepositoryNotFoundError, HFValidationError):
            return HubFault.NOT_FOUND
        except HfHubHTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            return HubFault.NEEDS_TOKEN if status in (401, 403) else HubFault.UNREACHABLE
        except (OfflineModeIsEnabled, HTTPError, OSError, ValueError):  # ValueError: an answer that is not JSON
            return HubFault.UNREACHABLE
        return HubInfo(str(info.sha or ""), _declared_features(getattr(info, "card_data", None), subset))

    def _token(self) -> str | bool:
        return os.environ.get(self.token_variable) or False


def _declared_features(card: Any, subset: str) -> tuple[str, ...]:
    """Column names from the data set card's ``dataset_info``; loading the data itself is a job's business."""
    declared = card.to_dict().get("dataset_info") if card is not None else None
    entries = declared if isinstance(declared, list) else [declared]
    for entry in entries:
        if isinstance(entry, dict) and subset in ("", entry.get("config_name", "default")):
            return tuple(str(feature["name"]) for feature in entry.get("features") or () if "name" in feature)
    return ()
