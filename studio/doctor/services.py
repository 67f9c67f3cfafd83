"""Checks of what jobs talk to: MLflow, the Hugging Face Hub, a CML workspace. The network only with ``--online``."""

from __future__ import annotations

import importlib.util
import sqlite3
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

from studio.core.errors import JobError, StudioError
from studio.core.needs import What
from studio.core.secrets import redact
from studio.doctor.checkup import Checkup, Surroundings, Verdict
from studio.jobs import relocation
from studio.jobs.evaluation import judge_client
from studio.load import disclosure
from studio.load.registry import RegistryFault, registry
from studio.load.settings import SecretName
from studio.load.tracked import ARTIFACTS_FOLDER
from studio.load.workspaces import KEY_VARIABLE, PROJECT_VARIABLE, access, project_id

TIMEOUT_SECONDS = 10.0
NOT_ASKED = "not asked; --online asks"
PROXY = "check the network, the address and the proxy"


def tracking(around: Surroundings) -> Checkup | None:
    """Where runs and registered models go."""
    if around.loaded is None:
        return None
    uri = around.loaded.settings.spec.mlflow.tracking_uri
    if isinstance(uri, SecretName):
        variable, uri = uri.env, around.environ.get(uri.env, "")
        if not uri:
            return Checkup(around.needed(), f"the variable {variable} is not set", "it holds the tracking URI")
    shown = redact(uri)
    if uri.startswith("sqlite:///"):
        database = around.loaded.root / uri.removeprefix("sqlite:///")
        found = _database(database, shown, around.needed())
        return _moved(database, around.loaded.root, found) if found.verdict is Verdict.OK else found
    if urlsplit(uri).scheme in ("http", "https"):
        return _reached(f"{uri.rstrip('/')}/health", shown, around)
    if urlsplit(uri).scheme in ("", "file") and around.environ.get("MLFLOW_ALLOW_FILE_STORE") != "true":
        return Checkup(around.needed(), f"{shown} is a file store, which MLflow 3 refuses",
                       "use sqlite:///path, or set MLFLOW_ALLOW_FILE_STORE=true")  # fmt: skip
    return Checkup(Verdict.OK, shown)


def _database(path: Path, shown: str, verdict: Verdict) -> Checkup:
    if not path.exists():
        return Checkup(Verdict.OK, f"{shown}: none yet, the first job creates it")
    try:
        opened = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5)
        try:
            tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        finally:
            opened.close()
    except sqlite3.Error as error:
        return Checkup(verdict, f"{shown} cannot be read: {error}", "move it away, or correct mlflow.tracking_uri")
    if tables and "experiments" not in tables:
        return Checkup(verdict, f"{shown} is a database of something else", "correct mlflow.tracking_uri")
    return Checkup(Verdict.OK, shown)


def _moved(database: Path, root: Path, found: Checkup) -> Checkup:
    """Whether the database still says that the project is where it was before somebody moved it."""
    old = relocation.old_addresses(database, root, ARTIFACTS_FOLDER)
    if not old:
        return found
    words = f"{found.found}: the project was moved; what is stored is looked for in {old[0]}"
    return Checkup(Verdict.WARNING, words, "the next job corrects it; 'studio apply --refresh' has one run if need be")


def token(around: Surroundings) -> Checkup:
    """Whether there is a token for the hub; never what it is."""
    variable = around.loaded.settings.spec.hf_token.env if around.loaded else "HUGGINGFACE_ACCESS_TOKEN"
    if around.environ.get(variable):
        return Checkup(Verdict.OK, f"{variable} is set")
    return Checkup(Verdict.OK, f"{variable} is not set; only private and gated repositories need it")


def hub(around: Surroundings) -> Checkup:
    endpoint = (around.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    used = any(getattr(resource.spec, "type", "") == "huggingface" for resource in around.resources)
    if around.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        cure = "unset HF_HUB_OFFLINE, unless everything is in the cache"
        return Checkup(Verdict.WARNING if used else Verdict.OK, "HF_HUB_OFFLINE is set", cure if used else "")
    return _reached(f"{endpoint}/api/models?limit=1", redact(endpoint), around, Verdict.WARNING if not used else None)


def judges(around: Surroundings) -> Checkup | None:
    """Whether the environment says where the judges of evaluations are; none where nothing is judged."""
    found = around.looked_for(What.JUDGE)
    if found is None or found.verdict is not Verdict.OK:
        return found
    try:
        for need in around.needs(What.JUDGE) if around.online else ():
            judge_client.endpoint(need.name, around.environ).reach()
    except JobError as error:
        return Checkup(around.needed(), error.message, error.hint)
    return Checkup(Verdict.OK, f"{found.found}: {'answers' if around.online else NOT_ASKED}")


def _reached(url: str, shown: str, around: Surroundings, verdict: Verdict | None = None) -> Checkup:
    """Whether a server answers; any answer but a broken one counts."""
    if not around.online:
        return Checkup(Verdict.OK, f"{shown}: {NOT_ASKED}")
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # no password in words about what went wrong
    try:
        with urlopen(bare, timeout=TIMEOUT_SECONDS):
            return Checkup(Verdict.OK, f"{shown} answers")
    except HTTPError as error:
        with error:
            if error.code < 500:
                return Checkup(Verdict.OK, f"{shown} answers")
            return Checkup(verdict or around.needed(), f"{shown} answers with HTTP {error.code}", "try again later")
    except (HTTPException, OSError, ValueError) as error:
        reason = redact(str(getattr(error, "reason", error)))
        return Checkup(verdict or around.needed(), f"{shown} does not answer: {reason}", PROXY)


def workspace(around: Surroundings) -> Checkup | None:
    """Whether this is a CML workspace or the project's jobs run on one, and what that needs."""
    backend = around.loaded.settings.spec.backend if around.loaded else None
    inside = any(around.environ.get(name) for name in ("CDSW_DOMAIN", "CDSW_API_URL", PROJECT_VARIABLE))
    wanted = backend is not None and backend.type == "cml"
    if not inside and not wanted:
        return None
    verdict = Verdict.MISSING if wanted else Verdict.WARNING
    asked = registry(backend, around.environ) if backend else None
    url = asked.url if asked else ""
    found = ("inside a workspace" if inside else "outside a workspace") + (f", {redact(url)}" if url else "")
    if not url:
        return Checkup(verdict, f"{found}; its address is not known", "set STUDIO_CML_URL")
    if backend and wanted and not project_id(backend, around.environ):
        return Checkup(verdict, f"{found}; the project is not known", "write backend.project_id in studio.yaml")
    if asked and asked.refusal:
        return Checkup(verdict, f"{found}; the key is not sent there: {asked.refusal}", disclosure.MEND)
    if importlib.util.find_spec("cmlapi") is None:
        return Checkup(verdict, f"{found}; cmlapi is not installed", f"pip install {url}/api/v2/python.tar.gz")
    variable = asked.key_variable if asked else KEY_VARIABLE
    if not around.environ.get(variable):
        return Checkup(verdict, f"{found}; {variable} is not set", "set it to an API key (version 2)")
    if backend and wanted:
        try:
            access(backend, around.environ)
        except StudioError as error:
            return Checkup(verdict, f"{found}; {error.message}", error.hint)
    if around.online and asked:
        return _answered(found, asked.model("doctor"), verdict)
    return Checkup(Verdict.OK, f"{found}; cmlapi is installed, {variable} is set")


def _answered(found: str, answer: object, verdict: Verdict) -> Checkup:
    """A registry that says no to a name that nobody gives has been reached with a good key."""
    match answer:
        case RegistryFault.NEEDS_KEY:
            return Checkup(verdict, f"{found}; it refuses the key", "make a new API key (version 2) in the workspace")
        case RegistryFault.UNREACHABLE:
            return Checkup(verdict, f"{found}; it does not answer", PROXY)
        case _:
            return Checkup(Verdict.OK, f"{found}; it accepts the key")
