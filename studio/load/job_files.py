"""The files of the project that a fine-tuning job reads besides its data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.core.fingerprints import file_digest
from studio.core.references import Ref
from studio.load import configs
from studio.load.files import Place, inside, look
from studio.resources.base import ConfigValue, Resource
from studio.resources.fine_tuning_job import FineTuningJobSpec, Framework, JobFacts, settings_files

Keys = tuple[str | int, ...]
DEEPSPEED, TEMPLATE = "deepspeed", "chat_template_jinja"
"""Keys of an Axolotl configuration that name files; what says where rows, weights and outputs are, jobs decide."""
LARGEST = 1 << 20
"""Bytes of a file of settings that are read."""


def observe(spec: FineTuningJobSpec, resources: Mapping[Ref, Resource], root: Path) -> JobFacts | None:
    """What a job's files hold; None for a job that reads none. Files that are missing are left to the rules."""
    named = {*settings_files(_arguments(spec, resources)).values(), *_axolotl_files(spec, resources, root)}
    if not spec.user_script and not named:
        return None
    files, fault = {name: digest for name in sorted(named) if (digest := _digest(root, name))}, ""
    alone = False
    if spec.user_script:
        from studio.load import scripts  # only for those who have one: the parser takes its time to load

        found = scripts.sources(root, spec.user_script)
        files, fault = {**files, **found.files}, found.fault
        alone = bool(found.files) and not found.shares
    return JobFacts(dict(sorted(files.items())), fault, alone)


def _arguments(spec: FineTuningJobSpec, resources: Mapping[Ref, Resource]) -> Mapping[str, Any]:
    if spec.framework_type == Framework.AXOLOTL:
        return {}
    return _held(resources, "training_arguments", spec.training_arguments_config)


def _axolotl_files(spec: FineTuningJobSpec, resources: Mapping[Ref, Resource], root: Path) -> set[str]:
    if spec.framework_type != Framework.AXOLOTL:
        return set()
    return {name for _, name in axolotl_files(_held(resources, "axolotl", spec.axolotl_config), root)}


def _held(resources: Mapping[Ref, Resource], type: str, value: ConfigValue) -> Mapping[str, Any]:
    try:
        return configs.in_force(resources, {}, type, value, "")[1]
    except (KeyError, ValueError):  # rules report it
        return {}


def axolotl_files(values: Mapping[str, Any], root: Path) -> Iterator[tuple[Keys, str]]:
    """Where an Axolotl configuration names a file of the project, and which. A chat template is a file's name, or the
    template itself, which has braces."""
    if isinstance(values.get(DEEPSPEED), str) and values[DEEPSPEED]:
        yield (DEEPSPEED,), values[DEEPSPEED]
    datasets = values.get("datasets")
    places: list[tuple[Keys, Any]] = [((), values)]
    places += [(("datasets", index), each) for index, each in enumerate(datasets if isinstance(datasets, list) else ())]
    for path, place in places:
        said = place.get(TEMPLATE) if isinstance(place, dict) else None
        if isinstance(said, str) and said and ("{" not in said or look(root, said) is Place.FILE):
            yield (*path, TEMPLATE), said


def _digest(root: Path, name: str) -> str:
    path = inside(root, name) if look(root, name) is Place.FILE else None
    try:
        return file_digest(path) if path else ""
    except OSError:
        return ""


def settings(root: Path, text: str) -> dict[str, Any] | str:
    """What a training argument holds that is written as JSON, or names a file of it; else why there is nothing."""
    is_file = not text.lstrip().startswith("{")
    try:
        held = json.loads(_content(root, text) if is_file else text)
    except OSError as error:
        return str(error.strerror)
    except (ValueError, RecursionError):
        return f"{text!r} is not JSON" if is_file else "it is not JSON"
    return held if isinstance(held, dict) else "it is no JSON object"


def _content(root: Path, name: str) -> str:
    """Raises OSError, with words for a user."""
    match look(root, name):
        case Place.OUTSIDE:
            raise OSError(0, f"{name!r} leaves the project")
        case Place.MISSING:
            raise OSError(0, f"the file {name!r} does not exist")
        case Place.FOLDER:
            raise OSError(0, f"{name!r} is a folder")
        case _:
            path = inside(root, name)
            with (path or Path(name)).open("rb") as stream:
                return stream.read(LARGEST).decode("utf-8")
