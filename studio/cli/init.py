"""``studio init``."""

from __future__ import annotations

from pathlib import Path

import click

from studio.core.errors import UsageError
from studio.resources.base import NAME_PATTERN

MODELINE = "# yaml-language-server: $schema={}\n"
"""How editors with the YAML language server find the schema of a file."""
SETTINGS = """\
# Project settings. Manifests live below the folders named here.
apiVersion: studio/v1
kind: Project
metadata: {{name: {name}}}
spec:
  manifests: [manifests]
  state: sqlite:///.studio/state.db
  backend: {{type: local}}
  mlflow: {{tracking_uri: "sqlite:///.studio/mlflow.db"}}
"""
DATA = """\
question,answer
How do I reset my password?,Open Settings and choose Reset password.
Where is my invoice?,Invoices are under Account and Billing.
Can I change my delivery address?,"Yes, until the parcel has been handed to the carrier."
"""
MANIFEST = """\
# A data set and the prompt that turns its rows into training text. Replace the data, keep the shape.
apiVersion: studio/v1
kind: Dataset
metadata: {name: questions}
spec: {type: project_csv, location: data/questions.csv}
---
apiVersion: studio/v1
kind: Prompt
metadata: {name: answer-question}
spec:
  type: in_place
  dataset: questions
  prompt_template: "Question: {question}\\nAnswer: {answer}"
  input_template: "Question: {question}\\nAnswer:"    # no space at the end: it belongs to the completion
  completion_template: " {answer}"
"""
SCHEMAS = "schemas"
"""Committed with the project: editors find it offline, and in every clone."""


def files(name: str) -> dict[str, str]:
    """The files of a new project, and their content."""
    from studio.report import schemas
    from studio.report.published import published

    known = published()
    editors = {f"{SCHEMAS}/{each}": schemas.schema_text(known[each]) for each in (schemas.MANIFEST, schemas.PROJECT)}
    return {
        "studio.yaml": MODELINE.format(f"./{SCHEMAS}/{schemas.PROJECT}") + SETTINGS.format(name=name),
        "data/questions.csv": DATA,
        "manifests/questions.yaml": MODELINE.format(f"../{SCHEMAS}/{schemas.MANIFEST}") + MANIFEST,
        **editors,
        ".gitignore": ".studio/\n",
    }


@click.command(epilog="Example: studio init support-desk")
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--cml", is_flag=True, help="Also, or only in a project, what a workspace of Cloudera ML needs.")
def command(folder: Path, cml: bool) -> None:
    """Start a project: settings, a small data set and a prompt that validate as they are.

    The schemas that come with it give completion and checks in editors; 'studio schemas' writes them anew. With --cml
    come .project-metadata.yaml and the scripts of its jobs in cml/; files that say something else are not overwritten.
    """
    import re

    from studio.cli import workspace_files

    there = (folder / "studio.yaml").exists()
    if there and not cml:
        raise UsageError(
            f"{folder / 'studio.yaml'} is already there",
            "'studio validate' checks the project; 'studio init --cml' adds what a workspace needs",
        )
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "project"
    assert re.match(NAME_PATTERN, name)
    wanted = workspace_files.files(folder.resolve().name or name) if cml else {}
    workspace_files.demand_none_is_lost(folder, wanted)
    for path, content in {**({} if there else files(name)), **wanted}.items():
        _write(folder / path, content)
    where = "" if folder == Path() else f"cd {folder} && "
    published = f"{where}git add .project-metadata.yaml cml, commit and push; then deploy the repository as an AMP"
    next = published if there else f"{where}studio validate && studio plan"
    click.echo(f"\nNext: {next}")


def _write(target: Path, content: str) -> None:
    if target.exists():
        click.echo(f"kept     {target}")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content, "utf-8")
    click.echo(f"created  {target}")
