"""The files of an AMP: their form, the scripts they name, and how ``studio init --cml`` writes them."""

from __future__ import annotations

import ast
import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from studio import __version__
from studio.backends.workspace import templates
from studio.cli.init import command as init
from studio.core.errors import UsageError
from tests.projects import ROOT


def text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


SIZE = {"cpu": {"type": "number", "minimum": 1}, "memory": {"type": "number", "minimum": 1},
        "gpu": {"type": "integer", "minimum": 0}}  # fmt: skip
SUMMARIES = {"short_summary": text(200), "long_summary": text(2048)}
SCRIPT = {**SIZE, **SUMMARIES, "name": text(200), "script": text(256), "arguments": text(256), "kernel": text(64)}
VARIABLES = {"type": "object", "additionalProperties": {"type": "string"}}


def task(kind: str, required: tuple[str, ...], **fields: Any) -> dict[str, Any]:
    return {
        "if": {"properties": {"type": {"const": kind}}},
        "then": {
            "properties": {"type": True, **fields}, "required": ["type", *required], "additionalProperties": False,
        },
    }  # fmt: skip


TASKS = {
    "run_session": task("run_session", ("script", "cpu", "memory"), **SCRIPT),
    "create_job": task(
        "create_job", ("name", "entity_label", "script"), **SCRIPT, entity_label=text(64), environment=VARIABLES
    ),
    "run_job": task("run_job", ("entity_label",), **SUMMARIES, entity_label=text(64)),
    "start_application": task(
        "start_application", ("name", "subdomain", "script"), **SCRIPT,
        subdomain={"type": "string", "pattern": "^[a-z0-9-]{1,63}$"}, environment_variables=VARIABLES,
    ),
}  # fmt: skip
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "description", "author", "specification_version", "prototype_version"],
    "properties": {
        "name": text(200), "description": text(2048), "author": text(64),
        "date": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        "specification_version": text(16), "prototype_version": text(16),
        "shared_memory_limit": {"type": "number", "exclusiveMinimum": 0},
        "environment_variables": {
            "type": "object",
            "additionalProperties": {
                "type": "object", "additionalProperties": False, "required": ["default", "description"],
                "properties": {"default": {"type": "string"}, "description": text(2048)},
            },
        },
        "runtimes": {
            "type": "array", "minItems": 1,
            "items": {
                "type": "object", "additionalProperties": False, "required": ["editor", "kernel", "edition"],
                "properties": {name: text(64) for name in ("editor", "kernel", "edition", "version")},
            },
        },
        "tasks": {
            "type": "array", "minItems": 1,
            "items": {
                "properties": {"type": {"enum": sorted(TASKS)}}, "required": ["type"], "allOf": list(TASKS.values()),
            },
        },
    },
}  # fmt: skip
"""Version 1.0 of the AMP project specification, as far as it is used here: names, lengths, what is required."""


def checked(metadata: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(metadata)]


def metadata(folder: Path = ROOT) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / ".project-metadata.yaml").read_text("utf-8")))


def written(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(init, [str(folder), *arguments])


def test_the_metadata_has_the_form_of_the_specification() -> None:
    assert checked(metadata()) == []


WRONG: dict[str, Any] = {
    "an unknown task": lambda amp: amp["tasks"].append({"type": "start_job"}),
    "a job without a label": lambda amp: amp["tasks"][1].pop("entity_label"),
    "an application without a subdomain": lambda amp: amp["tasks"][-1].pop("subdomain"),
    "an unknown field": lambda amp: amp["tasks"][1].update(scripts="x"),
    "a number as version": lambda amp: amp.update(specification_version=1.0),
    "no author": lambda amp: amp.pop("author"),
    "a name that is too long": lambda amp: amp.update(name="x" * 201),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_of_that_form_is_found(case: str) -> None:
    amp = copy.deepcopy(metadata())
    WRONG[case](amp)
    assert checked(amp) != []


def test_every_script_is_there_and_every_template_that_jobs_are_made_from_is_created() -> None:
    tasks = metadata()["tasks"]
    assert all((ROOT / each["script"]).is_file() for each in tasks)
    jobs = [each for each in tasks if each["type"] == "create_job"]
    assert {each["name"] for each in jobs} == {templates.TRAINING, templates.EVALUATION, templates.GENERAL}
    assert {each["script"] for each in jobs} == {"cml/run_job.py"}
    assert len({each["entity_label"] for each in jobs}) == len(jobs)
    assert (tasks[0]["type"], tasks[0]["script"]) == ("run_session", "cml/install.py")


def test_no_template_is_run_when_the_project_is_set_up() -> None:
    assert "run_job" not in {each["type"] for each in metadata()["tasks"]}


def test_a_new_project_gets_them_too(tmp_path: Path) -> None:
    done = written(tmp_path / "Support: desk", "--cml")
    folder = tmp_path / "Support: desk"
    assert done.exit_code == 0, done.output
    assert metadata(folder)["name"] == "Support: desk" and checked(metadata(folder)) == []
    assert (folder / "studio.yaml").is_file()
    for name in ("install", "run_job", "app", "predict"):
        ast.parse((folder / "cml" / f"{name}.py").read_text())
    assert f'VERSION = "{__version__}"' in (folder / "cml/install.py").read_text()


def test_a_project_that_is_there_gets_only_them(tmp_path: Path) -> None:
    (tmp_path / "studio.yaml").write_text("kind: Project\n")
    done = written(tmp_path, "--cml")
    assert done.exit_code == 0 and "studio.yaml" not in done.output
    assert (tmp_path / "studio.yaml").read_text() == "kind: Project\n" and not (tmp_path / "manifests").exists()
    again = written(tmp_path, "--cml")
    assert again.exit_code == 0 and again.output.count("kept") == 5


def test_what_somebody_changed_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "cml").mkdir()
    (tmp_path / "cml" / "app.py").write_text("mine\n")
    (tmp_path / ".project-metadata.yaml").symlink_to("elsewhere")
    done = written(tmp_path, "--cml")
    assert isinstance(done.exception, UsageError)
    assert "cml/app.py" in done.exception.message and ".project-metadata.yaml" in done.exception.message
    assert sorted(each.name for each in tmp_path.rglob("*")) == [".project-metadata.yaml", "app.py", "cml"]


def test_without_the_option_a_project_that_is_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "studio.yaml").touch()
    done = written(tmp_path)
    assert isinstance(done.exception, UsageError) and "init --cml" in done.exception.hint


@pytest.mark.parametrize(
    ("settings", "named", "wanted"),
    [
        ('name = "fine-tuning-studio"\n', "", "--editable {folder}[train]"),
        ("", "", f"fine-tuning-studio[train]=={__version__}"),
        (
            'name = "another"\n',
            "https://example.org/studio.whl",
            "fine-tuning-studio[train] @ https://example.org/studio.whl",
        ),
        ("", "fine-tuning-studio[train]==9.9", "fine-tuning-studio[train]==9.9"),
    ],
)
def test_what_is_installed(settings: str, named: str, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(settings)
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'cml')!r}); import install, pathlib\n"
    code += "print(*install.package(pathlib.Path.cwd()))"
    environ = {"STUDIO_PACKAGE": named, "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.stdout.strip() == wanted.format(folder=tmp_path), done.stderr
