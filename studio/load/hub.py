"""The Hugging Face Hub, asked only with ``--online`` or by apply. ``HF_ENDPOINT`` points it elsewhere."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from studio.load import disclosure
from studio.load.answers import Answers
from studio.load.deadline import within

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ANSWER_SECONDS = 5.0
"""For one answer, once the network is reached."""
WASTED_SECONDS = 10.0
"""Spent on answers that did not come, after which nothing more is asked."""
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
MAX_CONFIG = 1 << 20
"""Bytes of an adapter's configuration."""
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


class HubQuestion(NamedTuple):
    """What the hub is asked about; ``holds`` is ``dataset``, ``model`` or ``adapter``."""

    holds: str
    name: str
    revision: str
    subset: str = ""


def question(kind: str, spec: Mapping[str, Any]) -> HubQuestion | None:
    """What to ask of the hub about a resource, from its spec or from a recorded one; None when it is not there."""
    name = spec.get("huggingface_name") or spec.get("huggingface_model_name") or ""
    if spec.get("type") != "huggingface" or not name.strip():
        return None
    return HubQuestion(kind.lower(), name, spec.get("revision") or "", spec.get("subset") or "")


@dataclass(frozen=True, slots=True)
class HubInfo:
    """A repository at a revision. ``features`` is empty where the repository's card does not declare them.

    Of an adapter: ``lacking`` names the files without which it is none, ``base_model`` is named in its configuration.
    """

    sha: str
    features: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    base_model: str = ""


@dataclass(slots=True)
class Hub:
    """``token_variable`` names the environment variable that may hold a token; it goes to the hub and nowhere else.

    Each question is asked once, and none after the hub could not be reached: a hundred names must not wait for it a
    hundred times. ``kept`` holds answers of earlier commands. Threads may ask at the same time.
    """

    token_variable: str
    kept: Answers = field(default_factory=Answers, repr=False)
    _answers: dict[HubQuestion, HubInfo | HubFault] = field(default_factory=dict, repr=False)
    _wasted: float = 0.0

    @property
    def endpoint(self) -> str:
        return endpoint(os.environ)

    def dataset(self, name: str, revision: str, subset: str = "") -> HubInfo | HubFault:
        return self.answer(HubQuestion("dataset", name, revision, subset))

    def model(self, name: str, revision: str) -> HubInfo | HubFault:
        return self.answer(HubQuestion("model", name, revision))

    def answer(self, asked: HubQuestion) -> HubInfo | HubFault:
        if asked not in self._answers:
            known = _from_json(self.kept.recall(asked))
            self._answers[asked] = known or self._new(asked)
        return self._answers[asked]

    def _new(self, asked: HubQuestion) -> HubInfo | HubFault:
        if self._wasted >= WASTED_SECONDS:
            return HubFault.UNREACHABLE
        answer = self._timed(asked)
        if isinstance(answer, HubInfo):
            self.kept.keep(asked, asdict(answer), there=True)
        elif answer in (HubFault.NOT_FOUND, HubFault.NO_REVISION):
            self.kept.keep(asked, answer.value, there=False)
        return answer

    def _timed(self, asked: HubQuestion) -> HubInfo | HubFault:
        """An answer within the deadline. That the network is not there need not be found out twice."""
        from httpx import HTTPError
        from huggingface_hub import HfApi, constants  # importing takes seconds, which are not the hub's

        # Its client would ask another question before each first one, to tell who is asking.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        api, began = HfApi(endpoint=self.endpoint, token=self._token()), time.monotonic()
        try:
            answer = within(ANSWER_SECONDS + 1, lambda: self._ask(api, asked))
        except (HTTPError, OSError):  # OSError: also the offline mode, and a name server without an answer
            self._wasted = WASTED_SECONDS
            return HubFault.UNREACHABLE
        if answer is HubFault.UNREACHABLE:
            self._wasted += time.monotonic() - began
        return answer

    def _ask(self, api: HfApi, asked: HubQuestion) -> HubInfo | HubFault:
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        try:
            return _described(api, asked)
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

    def _token(self) -> str | bool:
        return token(self.token_variable, os.environ) or False


def endpoint(environ: Mapping[str, str]) -> str:
    return (environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def token(variable: str, environ: Mapping[str, str]) -> str:
    """The token that goes to the hub; "" for none, and for a variable that holds something else."""
    return environ.get(variable, "") if disclosure.is_hub_token(variable) else ""


def _described(api: HfApi, asked: HubQuestion) -> HubInfo:
    revision = asked.revision or None
    if asked.holds == "dataset":
        dataset = api.dataset_info(asked.name, revision=revision, timeout=ANSWER_SECONDS)
        return HubInfo(str(dataset.sha or ""), _declared_features(dataset.card_data, asked.subset))
    info = api.model_info(asked.name, revision=revision, timeout=ANSWER_SECONDS)
    sha = str(info.sha or "")
    if asked.holds != "adapter":
        return HubInfo(sha)
    there = {file.rfilename for file in info.siblings or ()}
    lacking = tuple(name for name in ADAPTER_FILES if name not in there)
    return HubInfo(sha, lacking=lacking, base_model="" if lacking else _base_model(api, asked.name, sha))


def _base_model(api: HfApi, name: str, sha: str) -> str:
    """What an adapter's configuration names; "" where it names nothing, or is no configuration."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    url = hf_hub_url(name, ADAPTER_FILES[0], revision=sha or None, endpoint=api.endpoint)
    headers = build_hf_headers(token=api.token)
    with get_session().stream("GET", url, headers=headers, timeout=ANSWER_SECONDS, follow_redirects=True) as response:
        hf_raise_for_status(response)
        text = b""
        for part in response.iter_bytes():
            text += part
            if len(text) > MAX_CONFIG:
                return ""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    named = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    return named if isinstance(named, str) else ""


def _from_json(kept: Any) -> HubInfo | HubFault | None:
    """A kept answer, if it is one."""
    match kept:
        case HubFault.NOT_FOUND.value | HubFault.NO_REVISION.value:
            return HubFault(kept)
        case {"sha": str(sha), "features": [*features], "lacking": [*lacking], "base_model": str(base_model)}:
            names = [*features, *lacking]
            if all(isinstance(name, str) for name in names):
                return HubInfo(sha, tuple(features), tuple(lacking), base_model)
    return None


def _declared_features(card: Any, subset: str) -> tuple[str, ...]:
    """Column names from the data set card's ``dataset_info``; loading the data itself is a job's business."""
    declared = card.to_dict().get("dataset_info") if card is not None else None
    entries = declared if isinstance(declared, list) else [declared]
    for entry in entries:
        if isinstance(entry, dict) and subset in ("", entry.get("config_name", "default")):
            return tuple(str(feature["name"]) for feature in entry.get("features") or () if "name" in feature)
    return ()
