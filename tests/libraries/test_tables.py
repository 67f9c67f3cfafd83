"""The committed tables say what the installed libraries accept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from schemas import axolotl_table, library_tables
from studio.libraries import TABLES
from studio.libraries.tables import table, text
from studio.resources.config import ConfigType

HUGGING_FACE = [type for type in TABLES if type != "axolotl"]
HEAVY = {"torch", "transformers", "trl", "peft", "axolotl", "accelerate"}


@pytest.fixture(scope="module")
def extracted() -> dict[str, str]:
    return {type: library_tables.written(found) for type, found in library_tables.hugging_face().items()}


@pytest.mark.parametrize("type", HUGGING_FACE)
def test_a_table_is_what_the_installed_library_gives(type: str, extracted: dict[str, str]) -> None:
    assert text(type) == extracted[type], "run 'make library-tables'"


def test_the_axolotl_table_is_of_the_version_that_the_generator_names() -> None:
    found = table("axolotl")
    assert found and found.versions == {"axolotl": axolotl_table.VERSION}, "run 'make library-tables'"


def test_the_axolotl_table_is_what_an_unpacked_wheel_gives(request: pytest.FixtureRequest) -> None:
    """With ``--axolotl FOLDER``, where the wheel of that version was unpacked."""
    folder = request.config.getoption("--axolotl")
    if not folder:
        pytest.skip("no --axolotl FOLDER")
    assert text("axolotl") == library_tables.written(axolotl_table.table(Path(folder)))


def test_every_table_belongs_to_a_type_of_config() -> None:
    assert set(TABLES) < set(ConfigType)


@pytest.mark.parametrize("type", TABLES)
def test_a_table_names_its_class_its_licence_and_its_versions(type: str) -> None:
    data = json.loads(text(type))
    assert data["class"] and data["licence"] == "Apache-2.0" and data["versions"]


def test_the_keys_a_job_refuses_are_unknown_to_the_table_and_no_others() -> None:
    from studio.jobs.model import lora, quantization
    from studio.jobs.training import training_arguments

    known = {type: set(found.root.keys) for type in TABLES if (found := table(type))}
    assert known["training_arguments"] == training_arguments.KNOWN - {"parallelism_config"}
    assert known["lora_config"] == lora.KNOWN - {"runtime_config"}
    assert known["bitsandbytes_config"] == quantization.KNOWN


def test_reading_every_table_imports_no_library() -> None:
    code = (
        "import sys; from studio.libraries.tables import table; from studio.libraries import TABLES;"
        f"assert all(table(type) for type in TABLES); sys.exit(bool({HEAVY!r} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
