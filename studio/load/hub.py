"""The Hugging Face Hub, asked only with ``--online`` or by apply. ``HF_ENDPOINT`` points it elsewhere."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from studio.load import disclosure
from studio.load.deadline import within

ANSWER_SECONDS = 5.0
"""For one answer, once the network is reached."""
WASTED_SECONDS = 10.0
"""Spent on answers that did not come, after which nothing more is asked."""
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


@dataclass(slots=True)
class Hub:
    """``token_variable`` names the environment variable that may hold a token; it goes to the hub and nowhere else.

    Each question is asked once, and none after the hub could not be reached: a hundred names must not wait for it a
    hundred times.
    """

    token_variable: str
    _answers: dict[tuple[str, ...], HubInfo | HubFault] = field(default_factory=dict, repr=False)
    _wasted: float = 0.0

    @property
    def endpoint(self) -> str:
        return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")

    def dataset(self, name: str, revision: str, subset: str = "") -> HubInfo | HubFault:
        return self._answer("dataset_info", name, revision, subset)

    def model(self, name: str, revision: str) -> HubInfo | HubFault:
        return self._answer("model_info", name, revision, "")

    def _answer(self, *question: str) -> HubInfo | HubFault:
        if question not in self._answers:
            away = self._wasted >= WASTED_SECONDS
            self._answers[question] = HubFault.UNREACHABLE if away else self._timed(*question)
        return self._answers[question]

    def _timed(self, *question: str) -> HubInfo | HubFault:
        """An answer within the deadline. That the network is not there need not be found out twice."""
        from httpx import HTTPError

        began = time.monotonic()
        try:
            answer = within(ANSWER_SECONDS + 1, lambda: self._ask(*question))
        except (HTTPError, OSError):  # OSError: also the offline mode, and a name server without an answer
            self._wasted = WASTED_SECONDS
            return HubFault.UNREACHABLE
        if answer is HubFault.UNREACHABLE:
            self._wasted += time.monotonic() - began
        return answer

    def _ask(self, method: str, name: str, revision: str, subset: str) -> HubInfo | HubFault:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        api = HfApi(endpoint=self.endpoint, token=self._token())
        question = {"dataset_info": api.dataset_info, "model_info": api.model_info}[method]
        try:
            info = question(name, revision=revision or None, timeout=ANSWER_SECONDS)
        except GatedRepoError:
            return HubFault.NEEDS_TOKEN
        except RevisionNotFoundError:
            return HubFault.NO_REVISION
        except (RepositoryNotFoundError, HFValidationError):
            return HubFault.NOT_FOUND
        except HfHubHTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            return HubFault.NEEDS_TOKEN if status in (401, 403) else HubFault.UNREACHABLE
        except ValueError:  # an answer that is not JSON
            return HubFault.UNREACHABLE
        return HubInfo(str(info.sha or ""), _declared_features(getattr(info, "card_data", None), subset))

    def _token(self) -> str | bool:
        known = disclosure.is_hub_token(self.token_variable)
        return (os.environ.get(self.token_variable) if known else "") or False


def _declared_features(card: Any, subset: str) -> tuple[str, ...]:
    """Column names from the data set card's ``dataset_info``; loading the data itself is a job's business."""
    declared = card.to_dict().get("dataset_info") if card is not None else None
    entries = declared if isinstance(declared, list) else [declared]
    for entry in entries:
        if isinstance(entry, dict) and subset in ("", entry.get("config_name", "default")):
            return tuple(str(feature["name"]) for feature in entry.get("features") or () if "name" in feature)
    return ()
