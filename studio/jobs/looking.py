"""Looks at MLflow's runs and registered versions in a process of its own, and changes nothing there.

Reads a LookRequest from standard input and writes a LookAnswer to standard output, both JSON. A database is asked only
when it exists and has the schema of the installed MLflow, which would otherwise create or migrate it; an SQLite file is
opened for reading only.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from urllib.parse import quote, urlsplit

import sqlalchemy
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from studio.core.errors import JobError
from studio.core.jobresult import Failure
from studio.core.jobspec import VARIABLE, Tracking
from studio.core.tracking_look import FilesLook, LookAnswer, LookRequest, RunLook, VersionLook, VersionName
from studio.jobs import relocation, tracking
from studio.jobs.tracking import SQLITE
from studio.jobs.versions import ABSENT

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
LOGGED_MODEL = "models:/"
DESCRIPTION = "MLmodel"
"""The file without which a stored model is none."""


def main() -> None:
    seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    logging.disable(logging.CRITICAL)
    request = LookRequest.model_validate_json(sys.stdin.read())
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        os.chdir(scratch)  # MLflow makes folders where it runs
        answer = look(request)
    sys.stdout.write(answer.model_dump_json())


def look(request: LookRequest) -> LookAnswer:
    """Every run and version asked for, or the reason why none could be looked at."""
    try:
        uri = _readable(request)
        if uri is None:
            return LookAnswer(
                runs=dict.fromkeys(request.runs, RunLook.MISSING), versions=tuple(None for _ in request.versions)
            )
        with _explained(request.tracking):
            client = MlflowClient(uri, uri)
            _probe(client, request)
            runs = {run: _run(client, run) for run in request.runs}
            return LookAnswer(runs=runs, versions=tuple(_version(client, each, request) for each in request.versions))
    except JobError as error:
        return LookAnswer(fault=Failure(message=error.message, hint=error.hint))


def _readable(request: LookRequest) -> str | None:
    """The address to ask, None for a database file that was never made; JobError for what must not be opened."""
    uri = tracking.address(request.tracking, Path(request.project_dir))
    dialect = urlsplit(uri).scheme.partition("+")[0]
    if dialect == "file" or (not dialect and not uri.startswith("databricks")):
        raise JobError("a file store is not looked at", "write sqlite:///path, or the address of a server")
    if uri.startswith(SQLITE):
        file = Path(uri.removeprefix(SQLITE))
        if not file.parent.is_dir():
            raise JobError(f"the folder {file.parent} is not there", "is the disk mounted?")
        if not file.exists():
            return None
        uri = f"{SQLITE}file:{quote(str(file))}?mode=ro&uri=true"
    if dialect in DATABASES:
        _demand_current(uri, request.tracking)
    return uri


def _demand_current(uri: str, tracking: Tracking) -> None:
    """Raise unless the database has the schema that this MLflow would bring it to."""
    from mlflow.store.db.utils import _all_tables_exist, _verify_schema

    hint = "the next job brings a database that studio made forward; for another: mlflow db upgrade"
    with _explained(tracking):
        engine = sqlalchemy.create_engine(uri)
        try:
            if not _all_tables_exist(engine):
                raise JobError("the database was made by an older version of MLflow, or by something else", hint)
            try:
                _verify_schema(engine)
            except MlflowException as error:
                raise JobError("the database has the schema of another version of MLflow", hint) from error
        finally:
            engine.dispose()


@contextmanager
def _explained(tracking: Tracking) -> Iterator[None]:
    """Why nobody could look; of a secret address no library's words are passed on, for they repeat it."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ValueError) as error:
        secret = tracking.tracking_uri.startswith(VARIABLE)
        words = type(error).__name__ if secret else str(getattr(error, "message", error)).partition("\n")[0]
        raise JobError(
            f"it gave no answer: {words}", "check mlflow in studio.yaml, the server and the network"
        ) from error


def _probe(client: MlflowClient, request: LookRequest) -> None:
    """A server that is no MLflow answers 404 to everything, and nothing is gone for that."""
    if request.runs:
        client.search_experiments(max_results=1)
    if request.versions:
        client.search_registered_models(max_results=1)


def _run(client: MlflowClient, run_id: str) -> RunLook:
    try:
        stage = client.get_run(run_id).info.lifecycle_stage
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        return RunLook.MISSING
    return RunLook.DELETED if stage == "deleted" else RunLook.THERE


def _version(client: MlflowClient, asked: VersionName, request: LookRequest) -> VersionLook | None:
    try:
        found = client.get_model_version(asked.name, asked.version)
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        return None
    return VersionLook(
        description=found.description or "",
        source=found.source or "",
        tags=dict(found.tags),
        aliases=tuple(sorted(found.aliases)),
        stage="" if found.current_stage in (None, "None") else str(found.current_stage),
        files=_files(client, found.source or "", request),
    )


def _files(client: MlflowClient, source: str, request: LookRequest) -> FilesLook:
    """Whether the stored model is there. What is on a server's disk, in a bucket, or in a database that projects on
    several machines may share is not looked at."""
    location = source
    if source.startswith(LOGGED_MODEL):
        try:
            location = str(client.get_logged_model(source.removeprefix(LOGGED_MODEL)).artifact_location)
        except MlflowException as error:
            if error.error_code != ABSENT:
                raise
            return FilesLook.GONE
    folder, own = relocation.local_path(location), request.tracking.artifact_location
    project = Path(request.project_dir)
    database = tracking.address(request.tracking, project).removeprefix(SQLITE)
    if folder is None or not Path(database).is_relative_to(project):
        return FilesLook.ELSEWHERE
    if (folder / DESCRIPTION).exists():
        return FilesLook.THERE
    moved = relocation.moved(folder, project, own) if own else None
    return FilesLook.MOVED if moved and (moved / DESCRIPTION).exists() else FilesLook.GONE


if __name__ == "__main__":
    main()
