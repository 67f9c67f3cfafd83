"""``studio try``."""

from __future__ import annotations

import gc
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.cli.errors import Exit
from studio.core.errors import UsageError

if TYPE_CHECKING:
    from studio.core.servingspec import Question, Trial
    from studio.jobs.serving.requests import Ask

STANDARD_INPUT = "-"
SEED = 42
"""The one of splits and evaluations."""


@click.command(epilog="Example: studio try FineTuningJob/router --row 3 --field text='I lost my card'")
@click.argument("name", metavar="[KIND/]NAME")
@click.argument("prompts", nargs=-1, metavar="[PROMPT]...")
@options.project
@options.variables
@options.as_json
@click.option(
    "-f", "--file", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="A prompt a line; rows of .jsonl, .json and .csv fill the prompt of the job.",
)  # fmt: skip
@click.option(
    "--row", "rows", type=click.IntRange(min=1), multiple=True, metavar="N",
    help="Row of the job's data set, asked as it was in training; may be repeated.",
)  # fmt: skip
@click.option(
    "--field", "fields", multiple=True, metavar="NAME=VALUE",
    help="A column's value, for a row of your own; repeat for every column of the prompt.",
)  # fmt: skip
@click.option("--max-new-tokens", type=click.IntRange(min=1), metavar="N", help="Longest answer.  [default: as served]")
@click.option(
    "--temperature", type=click.FloatRange(0, 2), default=0, show_default=True, metavar="T",
    help="Above 0 answers are drawn at random; 0 gives the one most likely.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=SEED, show_default=True, metavar="N", help="Draws them.")
@click.option(
    "--generation", default="", metavar="NAME",
    help="Config of type generation_config.  [default: that of the export, else the project's default]",
)  # fmt: skip
def command(
    name: str, prompts: tuple[str, ...], folder: Path, environment: str, given: dict[str, str], as_json: bool,
    file: Path | None, rows: tuple[int, ...], fields: tuple[str, ...], max_new_tokens: int | None, temperature: float,
    seed: int, generation: str,
) -> int:  # fmt: skip
    """Ask the base model and what was made of it the same, and print both answers.

    NAME is a job, its adapter or an export, as it was applied; it answers on this machine. A PROMPT is passed on as it
    is; - reads one from standard input. --row and --field fill the template that the job was trained with.
    """
    from studio.cli import serve
    from studio.load.project import load_project
    from studio.workflow import places, trying
    from studio.workflow.serving import Shelf

    loaded = load_project(options.root_of(folder), environment, given)
    shelf = Shelf(loaded, places.open_state(loaded), verb="try")
    ref = serve.find(_named(name), shelf, loaded, trying.TRIED)
    trial = trying.trial(shelf, ref, len(os.sched_getaffinity(0)), generation)
    wanted = trying.Wanted(_read(prompts), file, rows, _row(fields))
    questions = trying.questions(shelf, ref, wanted)
    serve.demand_libraries()
    serve.prepare(trial.subject.resources.cpu)
    _hush()
    from studio.jobs.serving.requests import Ask

    said = [tuple(turn.message() for turn in each.turns) for each in questions]
    asks = [
        Ask("" if turns else each.prompt, turns, max_tokens=max_new_tokens, temperature=temperature, seed=seed)
        for each, turns in zip(questions, said, strict=True)
    ]
    return _compare(trial, questions, asks, as_json)


def _named(name: str) -> str:
    if not name.strip() or any(character.isspace() for character in name):
        raise UsageError(f"{name!r} names no resource", "the resource comes first: studio try NAME PROMPT")
    return name


def _read(prompts: tuple[str, ...]) -> tuple[str, ...]:
    if prompts.count(STANDARD_INPUT) > 1:
        raise UsageError("standard input can be read only once", "say - once; -f FILE holds several prompts")
    return tuple(_standard_input() if prompt == STANDARD_INPUT else prompt for prompt in prompts)


def _standard_input() -> str:
    """Without the line break that every editor and ``echo`` puts at the end: it is not part of the question."""
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not UTF-8 (byte {error.start})", "send UTF-8 text") from error


def _row(fields: tuple[str, ...]) -> dict[str, str] | None:
    row: dict[str, str] = {}
    for text in fields:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageError(f"--field {text!r} has no value", "write --field NAME=VALUE")
        if name in row:
            raise UsageError(f"--field {name} is given twice", "leave one of them out; a second row needs -f FILE")
        row[name] = value
    return row or None


def _hush() -> None:
    """Libraries keep their warnings: this is a terminal, and what is printed are two answers. Errors stay."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for library in ("bitsandbytes", "mlflow", "py.warnings"):
        logging.getLogger(library).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


def _compare(trial: Trial, questions: list[Question], asks: list[Ask], as_json: bool) -> int:
    """Load, ask, and print what comes. Ends with 1 when a question could not be answered."""
    from studio.jobs.serving import comparing
    from studio.report import trials

    click.echo(f"{trial.subject.title}: loading", err=True)
    paper = trials.Paper(trial, questions, _ignore if as_json else _write)
    comparing.compare(trial.subject, trial.beside, asks, comparing.Telling(paper.begin, paper.say, paper.end))
    if as_json:
        options.echo_json(trials.to_json(trial, questions, paper.told))
    gc.freeze()  # as at the end of 'studio serve'
    return Exit.FINDINGS if any(each.fault for each in paper.told.values()) else Exit.OK


def _write(text: str) -> None:
    click.echo(text, nl=False)


def _ignore(text: str) -> None:
    """With --json nothing else is printed."""
