"""CF: configurations (guide, Config Validation)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from studio.core.enumerations import members
from studio.core.findings import Severity
from studio.core.fingerprints import canonical
from studio.core.json_values import refusal
from studio.core.references import Ref
from studio.core.suggest import did_you_mean
from studio.load.documents import parse
from studio.load.nodes import YamlFault
from studio.resources.config import YAML_TYPES, Config, ConfigType
from studio.rules.base import Breach, View, rule

JSON_HINT = "write a JSON object, or the mapping itself"
YAML_HINT = "write a YAML mapping"


@rule("CF-001", Config)
def unknown_type(config: Config, view: View) -> Iterator[Breach]:
    """The type of the configuration is missing or unknown.

    It says which library reads it.

    Bad:
        kind: Config
        spec:
          type: lora  # <-
    Good:
        kind: Config
        spec:
          type: lora_config
    """
    found = config.spec.type
    if found not in members(ConfigType):
        message = f"type is {found!r}; it must be one of {', '.join(ConfigType)}" if found else "type is missing"
        yield Breach("spec.type", message, did_you_mean(found, ConfigType))


@rule("CF-002", Config)
def not_json(config: Config, view: View) -> Iterator[Breach]:
    """The text of the configuration is not a JSON object.

    Bad:
        kind: Config
        spec:
          config: "{r: 16}"  # <-
    Good:
        kind: Config
        spec:
          config: '{"r": 16}'
    """
    text = config.spec.config
    if isinstance(text, str) and text.strip() and config.spec.type not in YAML_TYPES:
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            yield Breach("spec.config", f"not valid JSON: {error.msg} ({where})", JSON_HINT)
        except (RecursionError, ValueError) as error:
            yield Breach("spec.config", f"not readable as JSON: {refusal(error)}", JSON_HINT)
        else:
            yield from _unless_mapping(found, JSON_HINT)


@rule("CF-003", Config)
def not_yaml(config: Config, view: View) -> Iterator[Breach]:
    """The text of an Axolotl configuration is not a YAML mapping.

    Bad:
        kind: Config
        metadata:
          name: axolotl-small
        spec:
          type: axolotl
          config: "sequence_len: [512"  # <-
    Good:
        kind: Config
        metadata:
          name: axolotl-small
        spec:
          type: axolotl
          config: "sequence_len: 512"
    """
    text = config.spec.config
    if isinstance(text, str) and text.strip() and config.spec.type in YAML_TYPES:
        try:
            found = parse(text)
        except YamlFault as fault:
            where = f"line {fault.line}, column {fault.column}"
            yield Breach("spec.config", f"not valid YAML: {fault.message} ({where})", YAML_HINT)
        else:
            yield from _unless_mapping(found[0] if len(found) == 1 else found, YAML_HINT)


def _unless_mapping(value: Any, hint: str) -> Iterator[Breach]:
    if not isinstance(value, dict):
        yield Breach("spec.config", "the text is not a mapping of keys to values", hint)


@rule("CF-004", severity=Severity.INFO)
def same_content(view: View) -> Iterator[Breach]:
    """Another configuration of the same type and model family has the same content.

    Nothing is wrong: both count as one, and no job runs again when one takes the place of the other.

    Bad:
        kind: Config
        metadata:
          name: lora-small-again
        spec:
          config:  # <-
            r: 8
            lora_alpha: 16
    Good:
        kind: Config
        metadata:
          name: lora-large
        spec:
          config:
            r: 64
            lora_alpha: 128
    """
    first: dict[tuple[str, str, str], Ref] = {}
    shipped = (m.resource for ref, m in view.defaults.items() if ref not in view.manifests)
    for resource in shipped:
        if isinstance(resource, Config):
            first.setdefault(_content(resource), resource.ref)
    for config, source in view.each(Config):
        before = first.setdefault(_content(config), config.ref)
        if before != config.ref and config.spec.config:
            hint = f"nothing needs to be done; {before} could take its place"
            yield Breach("spec.config", f"the content is that of {before}", hint, config.ref, source)


def _content(config: Config) -> tuple[str, str, str]:
    """Type, family and canonical content; text that does not parse stands for itself."""
    spec = config.spec
    value: Any = spec.config
    if isinstance(value, str):
        try:
            value = parse(value) if spec.type in YAML_TYPES else json.loads(value)
            value = value[0] if spec.type in YAML_TYPES and value else value
        except (YamlFault, ValueError, RecursionError):
            pass  # CF-002 and CF-003 report it
    return spec.type, spec.model_family, canonical(value)


@rule("CF-005", Config)
def empty_config(config: Config, view: View) -> Iterator[Breach]:
    """The configuration is empty.

    A job that names it would run on the library's defaults, and look as if it had been configured.

    Bad:
        kind: Config
        spec:
          config: ""  # <-
    Good:
        kind: Config
        spec:
          config:
            r: 16
    """
    content = config.spec.config
    if not (content.strip() if isinstance(content, str) else content):
        yield Breach("spec.config", "config is empty", "write at least one key, or remove the Config")


@rule("CF-006")
def second_default(view: View) -> Iterator[Breach]:
    """Two configurations of the same type are the default for the same model family.

    Which of them a job gets would depend on their names.

    Bad:
        kind: Config
        metadata:
          name: my-lora
        spec:
          default: true
          config:
            r: 8
        ---
        kind: Config
        metadata:
          name: your-lora
        spec:
          default: true  # <-
          config:
            r: 32
    Good:
        kind: Config
        metadata:
          name: my-lora
        spec:
          default: true
          config:
            r: 8
        ---
        kind: Config
        metadata:
          name: your-lora
        spec:
          default: true
          model_family: LlamaForCausalLM
          config:
            r: 32
    """
    first: dict[tuple[str, str], Config] = {}
    for config, source in view.each(Config):
        spec = config.spec
        if spec.default:
            before = first.setdefault((spec.type, spec.model_family), config)
            if before is not config:
                family = spec.model_family or "every model family"
                message = f"{before.ref} is already the default {spec.type} for {family}"
                yield Breach("spec.default", message, "let one of them go, or set model_family", config.ref, source)
