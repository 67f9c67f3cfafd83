"""What ``studio try`` asks, and of whom: prompts as they are, or made as the job's own were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from studio.core import conversations, rowfiles
from studio.core.conversations import SYSTEM, USER, ConversationError, Turn
from studio.core.errors import StudioError, UsageError
from studio.core.references import Ref
from studio.core.rowfiles import RowsError
from studio.core.servingspec import Question, Trial
from studio.core.suggest import did_you_mean
from studio.core.templates import Template, TemplateError, parse
from studio.load import data_folders, datasets
from studio.resources.dataset import DatasetSpec, DatasetType
from studio.state.base import Record
from studio.workflow.serving import ADAPTER, EXPORT, JOB, MODEL, Shelf

TRIED = (ADAPTER, JOB, EXPORT)
"""Kinds that are made of a base model."""
ROWS = (".jsonl", ".json", ".csv")
"""Endings of files whose rows fill the prompt; any other holds a prompt a line."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The questions as they were given on the command line."""

    prompts: tuple[str, ...] = ()
    file: Path | None = None
    rows: tuple[int, ...] = ()
    """Numbers of rows of the job's data set, counted from 1."""
    fields: Mapping[str, str] | None = None
    """One row, made by hand."""


def trial(shelf: Shelf, ref: Ref, cores: int, generation: str) -> Trial:
    """Raises StudioError for what cannot be tried, with the reason."""
    if ref.kind == MODEL:
        hint = f"name an adapter, its job or its export; 'studio serve {ref}' answers with the base model alone"
        raise UsageError(f"{ref} is a base model: there is nothing to compare it with", hint)
    subject = shelf.spec(ref, cores, generation)
    if subject.version is None:
        made, base = subject.adapter, subject.model
        return Trial(subject, None, made.name if made else ref.name, base.name if base else "")
    record = shelf.state.records()[ref]
    if not record.spec.get("adapter"):
        raise StudioError(f"{ref} stores its base model as it is: there is nothing to compare it with")
    beside = shelf.base_of(record, cores)
    return Trial(subject, beside, f"{subject.version.model_name} {subject.version.model_version}", beside.name)


def questions(shelf: Shelf, ref: Ref, wanted: Wanted) -> list[Question]:
    """In the order of the command line's help. Raises UsageError when there is none, and for what is wrong with one."""
    system = _system(shelf, ref)
    found = [_plain(text, "", system) for text in wanted.prompts]
    if wanted.file is not None:
        found += _in_file(shelf, ref, wanted.file, system)
    if wanted.rows:
        found += _of_rows(_taught(shelf, ref), shelf, wanted.rows)
    if wanted.fields is not None:
        found.append(_taught(shelf, ref).by_hand(wanted.fields))
    if not found:
        hint = "write it after the name; or --row N, --field NAME=VALUE, -f FILE, or - for standard input"
        raise UsageError("there is no prompt", hint)
    for number, each in enumerate(found, 1):
        what = each.origin or f"prompt {number}"
        if not each.prompt.strip():
            raise UsageError(f"{what} is empty", "write what the model is to answer")
        if not _is_text(each.prompt):
            raise UsageError(f"{what} is not text: it holds bytes that are not UTF-8", "save it as UTF-8")
    return found


def _system(shelf: Shelf, ref: Ref) -> str | None:
    """The system turn of a job that was trained on conversations, "" where it has none or its row decides; None of one
    that was trained on texts."""
    job = _job(shelf, ref)
    record = shelf.state.records().get(Ref("Prompt", job.spec.get("prompt") or "")) if job else None
    if record is None or not (record.spec.get("chat") or record.spec.get("messages")):
        return None
    try:
        system = parse(str(record.spec.get("system") or ""))
    except TemplateError:
        return ""
    return "" if system.fields else system.render({})


def _plain(text: str, origin: str, system: str | None) -> Question:
    """A prompt as it is, or as what the user says."""
    if system is None or not text.strip():
        return Question(text, origin)
    return _spoken(((SYSTEM, system), (USER, text)), origin, None)


def _spoken(said: Iterable[tuple[str, str]], origin: str, expected: str | None) -> Question:
    turns = tuple(Turn(role, text) for role, text in said if text)
    return Question("\n".join(f"{turn.role}: {turn.content}" for turn in turns), origin, expected, turns)


def _is_text(prompt: str) -> bool:
    try:
        prompt.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Taught:
    """How a job's rows became prompts, as it is recorded."""

    prompt: Ref
    dataset: Ref
    input: Template
    completion: Template | None
    system: Template | None = None
    """What comes before what the user says; None where rows became texts."""
    messages: str = ""
    """The column that holds conversations."""

    def question(self, row: Mapping[str, Any], origin: str) -> Question:
        """Raises UsageError for a row without a column that the prompt needs."""
        if self.messages:
            return self._conversation(row, origin)
        self._demand((*self.input.fields, *(self.system.fields if self.system else ())), row, origin)
        answer = self.completion
        expected = answer.render(row) if answer and not set(answer.fields) - row.keys() else None
        if self.system is None:
            return Question(self.input.render(row), origin, expected)
        return _spoken(((SYSTEM, self.system.render(row)), (USER, self.input.render(row))), origin, expected)

    def _conversation(self, row: Mapping[str, Any], origin: str) -> Question:
        """Up to the last answer, which is expected."""
        self._demand((self.messages,), row, origin)
        try:
            *asked, answer = conversations.read(row[self.messages])
        except ConversationError as error:
            raise UsageError(f"{origin} is no conversation: {error.message}", error.hint) from error
        return _spoken(((turn.role, turn.content) for turn in asked), origin, answer.content)

    def by_hand(self, fields: Mapping[str, str]) -> Question:
        if self.messages:
            raise UsageError(f"{self.prompt} takes conversations, not fields", "write what the user says as a prompt")
        known = {name for each in (self.input, self.completion, self.system) if each for name in each.fields}
        for name in fields:
            if name not in known:
                raise UsageError(f"--field {name}: {self.prompt} has no such field", did_you_mean(name, known))
        return self.question(fields, "")

    def _demand(self, fields: Iterable[str], row: Mapping[str, Any], origin: str) -> None:
        missing = [name for name in dict.fromkeys(fields) if name not in row]
        if missing and origin:
            raise UsageError(f"{origin} has no column {missing[0]!r}", did_you_mean(missing[0], row))
        if missing:
            raise UsageError(f"{self.prompt} also needs {', '.join(missing)}", f"add --field {missing[0]}=VALUE")


def _taught(shelf: Shelf, ref: Ref) -> _Taught:
    job, records = _job(shelf, ref), shelf.state.records()
    name = job.spec.get("prompt") if job else None
    if job is None or not name:
        raise UsageError(f"how {ref} was asked in training is not known here", "write the prompt in full")
    prompt = Ref("Prompt", name)
    record = records.get(prompt)
    if record is None:
        raise UsageError(f"{prompt} is not recorded", "'studio apply' records it; or write the prompt in full")
    if job.inputs.get(str(prompt), record.fingerprint) != record.fingerprint:
        raise UsageError(
            f"{prompt} has changed since {job.ref} was trained with it",
            "write the prompt in full, as the model knows it; or train again: 'studio apply'",
        )
    shown, answer = (str(record.facts.get(f"{part}_template") or "") for part in ("input", "completion"))
    messages = str(record.spec.get("messages") or "")
    if not (shown or messages):
        raise UsageError(f"{prompt} has no input_template: what is asked cannot be told", "write the prompt in full")
    dataset, chat = Ref("Dataset", job.spec["dataset"]), record.spec.get("chat") or messages
    try:
        system = parse(str(record.spec.get("system") or "")) if chat else None
        return _Taught(prompt, dataset, parse(shown), parse(answer) if answer else None, system, messages)
    except TemplateError as error:
        raise StudioError(f"{prompt}: {error}", "'studio validate' shows where") from error


def _job(shelf: Shelf, ref: Ref) -> Record | None:
    """The job whose adapter answers."""
    records = shelf.state.records()
    record = records.get(ref)
    if ref.kind == JOB:
        return record
    if ref.kind == EXPORT:
        return _job(shelf, Ref(ADAPTER, record.spec["adapter"])) if record else None
    named = record.spec.get("fine_tuning_job") if record else None
    return records.get(Ref(JOB, named)) if named else None if record else shelf.makers().get(ref.name)


def _of_rows(taught: _Taught, shelf: Shelf, numbers: Iterable[int]) -> list[Question]:
    rows = {number: _row(taught.dataset, shelf, number) for number in sorted(set(numbers))}
    return [taught.question(rows[number], f"row {number} of {taught.dataset}") for number in numbers]


def _row(dataset: Ref, shelf: Shelf, number: int) -> Mapping[str, Any]:
    record = shelf.state.records().get(dataset)
    if record is None:
        raise UsageError(f"{dataset} is not recorded", "'studio apply' records it; or give the row with --field")
    spec, root = DatasetSpec.model_validate(record.spec), shelf.loaded.root
    if spec.type == DatasetType.PROJECT:
        held = data_folders.read(root, spec.location).train
        places = {place + 1: row for place, row in zip(held.numbers, held.rows, strict=True)}
        return _found(places.get(number), dataset, number, held.total)
    path = datasets.local_file(spec, root)
    if path is None:
        raise UsageError(f"the rows of {dataset} are not in the project", "give the row with --field")
    try:
        row = next(islice(rowfiles.rows(path, spec.location), number - 1, None), None)
        return _found(row, dataset, number, 0 if row else sum(1 for _ in rowfiles.rows(path, spec.location)))
    except RowsError as error:
        raise StudioError(error.message, error.hint) from error


def _found(row: Mapping[str, Any] | None, dataset: Ref, number: int, total: int) -> Mapping[str, Any]:
    if row is None:
        raise UsageError(f"--row {number}: {dataset} has {total} rows", "rows are counted from 1")
    return row


def _in_file(shelf: Shelf, ref: Ref, file: Path, system: str | None) -> list[Question]:
    """Rows, which the job's prompt makes questions of, or a question a line."""
    name = str(file)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise UsageError(f"-f {name} {what}", "name a file: a prompt a line, or rows as .jsonl, .json or .csv")
    try:
        if file.suffix in ROWS:
            taught = _taught(shelf, ref)
            rows = enumerate(rowfiles.rows(file, name), 1)
            found = [taught.question(row, f"row {number} of {name}") for number, row in rows]
        else:
            lines = enumerate(file.read_text(rowfiles.ENCODING).splitlines(), 1)
            found = [_plain(line, f"line {number} of {name}", system) for number, line in lines if line.strip()]
    except RowsError as error:
        raise UsageError(error.message, error.hint) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}", "check its permissions") from error
    if not found:
        raise UsageError(f"{name} holds no prompt", "write one a line")
    return found
