"""``studio version``."""

from __future__ import annotations

import platform
from importlib import metadata

import click

from studio import __version__
from studio.cli import options

TRAINING = ("torch", "transformers", "trl", "peft", "datasets", "bitsandbytes", "accelerate", "mlflow")


@click.command(epilog="Example: studio version --json")
@options.as_json
def command(as_json: bool) -> None:
    """Versions of studio and of what it runs on; nothing of it is imported."""
    found = {"studio": __version__, "python": platform.python_version()}
    for package in TRAINING:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    if as_json:
        options.echo_json(found)
        return
    for name, version in found.items():
        click.echo(f"{name:14} {version}")
    if found["torch"] == "not installed":
        click.echo("\nvalidate and plan work as they are; jobs need: pip install 'fine-tuning-studio[train]'")
