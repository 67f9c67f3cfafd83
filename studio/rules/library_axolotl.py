"""CF: data sets in an Axolotl configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from studio.core.findings import Path
from studio.core.suggest import nearest
from studio.libraries.axolotl_code import PREFERENCES, is_module
from studio.libraries.words import written
from studio.load import chat_templates
from studio.resources.config import Config, ConfigType
from studio.rules.base import Breach, View, rule
from studio.rules.configurations import library_table
from studio.rules.library_breach import breach


@rule("CF-018")
def unknown_dataset_type(view: View) -> Iterator[Breach]:
    """The type of an Axolotl data set is neither one of Axolotl's nor a format of the project.

    Axolotl finds out when it has loaded the tokenizer. The types that begin with ``sharegpt`` were removed from it.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            datasets:
              - type: sharegpt  # <-
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            datasets:
              - type: chat_template
    """
    known = {*library_table("axolotl").facts["dataset_types"], *_formats(view)}
    for each in view.configurations:
        datasets = each.values.get("datasets")
        if each.type != "axolotl" or not isinstance(datasets, list) or any(map(each.values.get, PREFERENCES)):
            continue
        for index, dataset in enumerate(datasets):
            type = dataset.get("type") if isinstance(dataset, dict) else None
            if isinstance(type, str) and type and not _is_known(type, known):
                message = f"Axolotl has no data set type {written(type)}"
                yield breach(each, ("datasets", index, "type"), message, _hint(type, known))


def _formats(view: View) -> set[str]:
    """The types that Configs describe, shipped or of the project. Describing a module does not make it a type."""
    every = {**view.defaults, **view.manifests}.values()
    configs = [manifest.resource for manifest in every if isinstance(manifest.resource, Config)]
    formats = (each.spec.config for each in configs if each.spec.type == ConfigType.AXOLOTL_DATASET_FORMATS)
    said = {str(content.get("description", "")) for content in formats if isinstance(content, dict)}
    return {each for each in said if "." not in each}


def _is_known(type: str, known: set[str]) -> bool:
    """``alpaca:chat`` is alpaca in a style of its own; SEC-008 reports modules of the user."""
    return type in known or (type.partition(":")[0] in known and ":load" not in type) or is_module(type)


def _hint(type: str, known: set[str]) -> str:
    if type.startswith("sharegpt"):
        return "write type: chat_template"
    if ":load_" in type:
        return f"write type: {type.replace(':load_', '.load_')}"
    match = nearest(type, known)
    return f"did you mean {match!r}?" if match else f"known: {', '.join(sorted(known))}"


@rule("CF-019")
def broken_chat_template(view: View) -> Iterator[Breach]:
    """A chat template that is written into an Axolotl configuration is no Jinja.

    It is parsed here, and nothing of it runs. Axolotl would find out when its process has loaded the tokenizer.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            chat_template: jinja
            chat_template_jinja: "{% for message in messages %}{{ message.content }"  # <-
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            chat_template: jinja
            chat_template_jinja: "{% for message in messages %}{{ message.content }}{% endfor %}"
    """
    for each in view.configurations:
        for path, text in _templates(each.values) if each.type == "axolotl" else ():
            found = chat_templates.flaw(text, _TEMPLATE)
            if found:
                yield breach(each, path, *found)


def _templates(values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Chat templates that are written out, for all data sets and for single ones; others are names of files."""
    listed = values.get("datasets")
    datasets = [*enumerate(listed)] if isinstance(listed, list) else []
    held: list[tuple[Path, Any]] = [((_TEMPLATE,), values.get(_TEMPLATE))]
    held += [
        (("datasets", index, _TEMPLATE), each.get(_TEMPLATE)) for index, each in datasets if isinstance(each, dict)
    ]
    yield from ((path, text) for path, text in held if isinstance(text, str) and "{" in text)


_TEMPLATE = "chat_template_jinja"
