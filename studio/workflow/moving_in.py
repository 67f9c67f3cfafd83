"""From the old studio: manifests for imported records, and adapters taken over, so that nothing trains again.

A job that would run is written beside the others under a name that nothing reads: years of old trainings must not start
because somebody moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from studio.checking import Checked
from studio.core.atomic import write_atomically
from studio.core.errors import UsageError
from studio.core.references import Ref
from studio.load.project import Loaded, load_project
from studio.load.writing import manifest_text
from studio.resources import KINDS
from studio.resources.base import API_VERSION
from studio.state.base import Record, StateStore
from studio.state.guide import TABLE_OF
from studio.state.transfer import Move
from studio.workflow import editing, importing, places, planning
from studio.workflow.editing import Summary
from studio.workflow.importing import Import, Made
from studio.workflow.planning import Planned

ASIDE = ".aside"
"""Ends the name of a manifest that is not read; without it the manifest counts."""
COMMAND = "state import"


def demand_folder(loaded: Loaded, folder: Path) -> Path:
    """The folder, if manifests in it are read; raises UsageError."""
    folder = folder.resolve()
    read = [loaded.root.resolve() / each for each in loaded.settings.spec.manifests]
    if not any(folder == each or folder.is_relative_to(each) for each in read):
        where = ", ".join(loaded.settings.spec.manifests)
        raise UsageError(f"manifests in {folder} would not be read", f"name a folder below {where}")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "name another one")
    return folder


def move_in(root: Path, environment: str, refs: Iterable[Ref], folder: Path) -> Move:
    """Write manifests for recorded resources that have none, and take over what they stand for."""
    loaded = load_project(root, environment)
    records = places.open_state(loaded).records()
    move = Move(folder)
    mine = {ref: records[ref] for ref in sorted(refs) if ref in records and ref not in loaded.manifests}
    adapters = _adapters(mine, root)
    for ref, record in mine.items():
        _write(move, ref, record, root, _why_aside(record, adapters))
    _drop_missing_jobs(move, mine, root)
    planned = planning.plan(root, environment)
    made: dict[Ref, Made] = {}
    if isinstance(planned, Planned):
        made = _looked_at(planned, adapters, move)
        if move.aside.keys() & adapters.keys():
            _drop_missing_jobs(move, mine, root)
            planned = planning.plan(root, environment)
    if isinstance(planned, Checked):
        move.errors = len(planned.errors)
        _put_aside(move, [ref for ref in move.written if _would_run(mine[ref])], "the project has errors")
        return move
    move.adopted = _take_over(planned, made, [ref for ref in move.written if not mine[ref].fingerprint])
    return move


def _would_run(record: Record) -> bool:
    kind = KINDS.get(record.ref.kind)
    return bool(kind and kind.compile and not record.fingerprint)


def _adapters(records: Mapping[Ref, Record], root: Path) -> dict[Ref, str]:
    """Job to the folder of the adapter that it made, where the old studio says."""
    found: dict[Ref, str] = {}
    for ref, record in records.items():
        job, location = record.spec.get("fine_tuning_job"), record.spec.get("location")
        if ref.kind == "Adapter" and isinstance(job, str) and isinstance(location, str):
            found[Ref("FineTuningJob", job)] = _relative(location, root)
    return found


def _relative(location: str, root: Path) -> str:
    """The old studio names folders of its project from the root of the machine."""
    path = Path(location)
    return path.relative_to(root).as_posix() if path.is_absolute() and path.is_relative_to(root) else location


def _why_aside(record: Record, adapters: Mapping[Ref, str]) -> str:
    if not _would_run(record) or record.ref in adapters:
        return ""
    return "it would run again: " + (
        "no adapter of it is known" if record.ref.kind == "FineTuningJob" else "its numbers are somebody's word"
    )


def _document(record: Record, root: Path) -> dict[str, Any]:
    spec = dict(record.spec)
    if isinstance(spec.get("location"), str):
        spec["location"] = _relative(spec["location"], root)
    metadata = {"name": record.ref.name, **record.metadata, "uid": record.uid}
    return {"apiVersion": API_VERSION, "kind": record.ref.kind, "metadata": metadata, "spec": spec}


def _file(move: Move, ref: Ref) -> Path:
    return move.folder / TABLE_OF.get(ref.kind, "model_exports") / f"{ref.name}.yaml"


def _write(move: Move, ref: Ref, record: Record, root: Path, aside: str) -> None:
    file = _file(move, ref)
    target = file.with_name(file.name + ASIDE) if aside else file
    if file.exists() or target.exists():
        move.failed[ref] = f"{target} is there already, and stays"
        return
    try:
        text = manifest_text(_document(record, root))
    except ValueError as error:
        move.failed[ref] = f"no manifest can say it: {error}"
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, text.encode())
    if aside:
        move.aside[ref] = aside
    else:
        move.written.append(ref)


def _put_aside(move: Move, refs: Iterable[Ref], why: str) -> None:
    for ref in refs:
        file = _file(move, ref)
        file.rename(file.with_name(file.name + ASIDE))
        move.written.remove(ref)
        move.aside[ref] = why


def _drop_missing_jobs(move: Move, records: Mapping[Ref, Record], root: Path) -> None:
    """An adapter whose job is aside stands for itself."""
    for ref in move.written:
        job = records[ref].spec.get("fine_tuning_job")
        if ref.kind == "Adapter" and Ref("FineTuningJob", str(job)) in move.aside:
            document = _document(records[ref], root)
            del document["spec"]["fine_tuning_job"]
            write_atomically(_file(move, ref), manifest_text(document).encode())


def _looked_at(planned: Planned, adapters: Mapping[Ref, str], move: Move) -> dict[Ref, Made]:
    """What the jobs' adapters are; those that cannot be theirs put the job aside."""
    made: dict[Ref, Made] = {}
    for ref in [ref for ref in move.written if ref in adapters]:
        try:
            made[ref] = importing.trained(Import(planned, planned.desire.items[ref], adapters[ref]))
        except UsageError as error:
            _put_aside(move, [ref], error.message)
    return made


def _take_over(planned: Planned, made: Mapping[Ref, Made], refs: Iterable[Ref]) -> Summary:
    """Record what the manifests and their inputs are now, which is what the imported records stood for."""
    loaded = planned.checked.loaded

    def change(state: StateStore) -> Summary:
        to = importing.recorder(loaded, state)
        summary: Summary = {}
        for ref in refs:
            item = planned.desire.items[ref]
            if ref in made:
                summary |= importing.adopt(Import(planned, item, ""), made[ref], state, to)
            else:
                to.register(item)
                summary[str(ref)] = "taken over"
        return summary

    return editing.edit(loaded, COMMAND, change)
