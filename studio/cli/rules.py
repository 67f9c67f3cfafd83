"""``studio rules``."""

from __future__ import annotations

import click

from studio.cli import options
from studio.core.errors import UsageError
from studio.core.findings import Phase, Severity


@click.command(epilog="Example: studio rules --kind FineTuningJob --severity warning")
@click.option("--kind", metavar="KIND", help="Only rules about this kind; Project for the whole project.")
@click.option("--severity", type=click.Choice([str(each) for each in Severity]), help="Only rules of this severity.")
@click.option("--phase", type=click.Choice([str(each) for each in Phase]), help="Only rules of this phase.")
@options.as_json
def command(kind: str | None, severity: str | None, phase: str | None, as_json: bool) -> None:
    """Every rule on one line: id, severity, phase, kind, fault. 'studio explain ID' says more."""
    from studio.core.suggest import did_you_mean
    from studio.report import catalogue
    from studio.rules import base

    rules = base.catalogue()
    kinds = {catalogue.subject(rule).lower(): catalogue.subject(rule) for rule in rules}
    if kind is not None and kind.lower() not in kinds:
        raise UsageError(f"no rule is about the kind {kind!r}", did_you_mean(kind, kinds.values()))
    found = [
        rule
        for rule in rules
        if (kind is None or catalogue.subject(rule) == kinds[kind.lower()])
        and severity in (None, rule.severity)
        and phase in (None, rule.phase)
    ]
    if as_json:
        options.echo_json({"version": catalogue.JSON_VERSION, "rules": [catalogue.to_json(rule) for rule in found]})
    elif found:
        click.echo(catalogue.list_text(found))
    else:
        click.echo("no rule is of this kind, severity and phase", err=True)
