"""``studio explain``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from studio.cli import options
from studio.core.errors import UsageError

if TYPE_CHECKING:
    from studio.report.fields import FieldPage

KEYED = "mapping of names"
"""Type of a field whose keys the user chooses."""
_SHORT_ID = re.compile(r"^([A-Z]{2,3})(\d{3})$")
"""A rule's id without its hyphen."""


@click.command(epilog="Example: studio explain FineTuningJob.spec.lora_config")
@click.argument("subject", metavar="RULE|KIND[.FIELD]")
@options.as_json
def command(subject: str, as_json: bool) -> None:
    """A rule's page: what it finds, why, a bad and a good manifest. Or a kind, or one of its fields."""
    from studio.report import catalogue, fields
    from studio.rules import base

    wanted = _SHORT_ID.sub(r"\1-\2", subject.upper())
    rule = next((rule for rule in base.catalogue() if rule.id == wanted), None)
    if rule:
        _echo(catalogue.rule_text(rule), catalogue.to_json(rule), as_json)
        return
    subject = _in_full(subject)
    schema = _kind(subject)
    steps = [step for step in re.split(r"[.\[\]/]", subject)[1:] if step and not step.isdigit()]
    if not steps:
        pages = [fields.to_json(page) for page in fields.pages(schema)]
        content = {"kind": schema["title"], "description": schema["description"], "fields": pages}
        _echo(fields.kind_text(schema), content, as_json)
        return
    page = _field(schema["title"], fields.pages(schema), steps)
    _echo(fields.field_text(page), fields.to_json(page), as_json)


def _echo(text: str, content: Any, as_json: bool) -> None:
    if as_json:
        options.echo_json(content)
    else:
        click.echo(text)


def _in_full(subject: str) -> str:
    """A field's bare name as ``Kind.spec.name``; raises UsageError when several kinds have one of that name."""
    from studio.report import fields
    from studio.report.schemas import kind_schema
    from studio.resources import KINDS

    if not subject.isidentifier() or subject.lower() in {kind.lower() for kind in KINDS}:
        return subject
    pages = [(kind, page) for kind, declared in KINDS.items() for page in fields.pages(kind_schema(declared.model))]
    specs = [(kind, part) for kind, page in pages if page.name == "spec" for part in page.parts]
    found = [f"{kind}.spec.{part.name}" for kind, part in specs if part.name == subject.lower()]
    if len(found) > 1:
        raise UsageError(f"{len(found)} kinds have a field {subject!r}", f"studio explain {' | '.join(found)}")
    return found[0] if found else subject


def _kind(subject: str) -> dict[str, Any]:
    """The schema of the kind that ``subject`` begins with."""
    from studio.core.suggest import did_you_mean
    from studio.load.settings import Project
    from studio.report.schemas import kind_schema, project_schema
    from studio.resources import KINDS
    from studio.rules.base import catalogue

    word = re.split(r"[.\[/]", subject)[0]
    kind = next((kind for kind in KINDS if kind.lower() == word.lower()), None)
    if kind:
        return kind_schema(KINDS[kind].model)
    if word.lower() == Project.__name__.lower():
        return project_schema()
    known = [rule.id for rule in catalogue()] if "-" in word else [*KINDS, Project.__name__]
    what = "rule" if "-" in word else "kind"
    raise UsageError(f"there is no {what} {word!r}", f"{did_you_mean(word, known)} ('studio rules' lists the rules)")


def _field(kind: str, listed: tuple[FieldPage, ...], steps: list[str]) -> FieldPage:
    """The field at ``steps``; ``spec`` may be left out, and keys that the user chooses count for nothing."""
    from studio.core.suggest import did_you_mean

    spec = next(page for page in listed if page.name == "spec")
    if steps[0] not in {page.name for page in listed}:
        steps = ["spec", *steps]
    page, above, keyed = spec, listed, False
    for step in steps:
        found = next((each for each in above if each.name == step.lower()), None)
        if found is None and page.type.startswith(KEYED) and not keyed:
            keyed = True
            continue
        if found is None:
            where = page.path if above is not listed else kind
            hint = did_you_mean(step, [each.name for each in above]) if above else f"it is {page.type}"
            raise UsageError(f"{where} has no field {step!r}", hint)
        page, above, keyed = found, found.parts, False
    return page
