"""Write the tables of ``studio/libraries/data`` anew: ``make library-tables``. A test fails when they are stale.

Types come from annotations, signatures and docstrings of the installed classes, as the small part of JSON Schema that
``studio.libraries.types`` reads. What they do not say is in ``library_refinements.py``, each with its source.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterable
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from schemas import library_refinements as refine  # noqa: E402
from studio.libraries import TABLES  # noqa: E402

Schema = dict[str, Any]
DATA = ROOT / "studio" / "libraries" / "data"
NULL: Schema = {"type": "null"}
HELP_LENGTH = 160


def hugging_face() -> dict[str, Schema]:
    """The tables of the classes that are installed here, by Config type."""
    from peft import LoraConfig
    from transformers import BitsAndBytesConfig, GenerationConfig
    from trl import SFTConfig

    return {
        "training_arguments": _table(
            SFTConfig, ("trl", "transformers"), of_dataclass(SFTConfig, refine.training_arguments())
        ),
        "lora_config": _table(LoraConfig, ("peft",), of_dataclass(LoraConfig, refine.lora_config())),
        "bitsandbytes_config": _table(
            BitsAndBytesConfig, ("transformers",), of_signature(BitsAndBytesConfig, refine.bitsandbytes_config())
        ),
        "generation_config": _table(
            GenerationConfig, ("transformers",), of_attributes(GenerationConfig(), refine.generation_config())
        ),
    }


def _table(cls: type, packages: Iterable[str], root: Schema) -> Schema:
    module = cls.__module__.partition(".")[0]
    versions = {name: version(name) for name in packages}
    return {"class": f"{module}.{cls.__qualname__}", "licence": "Apache-2.0", "versions": versions, **root}


def of_dataclass(cls: type, refined: dict[str, Schema]) -> Schema:
    """A closed mapping with the fields of a dataclass that its constructor takes."""
    hints = typing.get_type_hints(cls)
    properties = {}
    for field in dataclasses.fields(cls):
        if field.init and field.name not in refine.UNSETTABLE:
            found = refined.get(field.name, of_type(hints[field.name]))
            choices = field.metadata.get("choices")
            if choices and field.name not in refined:
                found = any_of([{"enum": list(choices)}, *([NULL] if field.default is None else [])])
            properties[field.name] = _described(found, _default(field), str(field.metadata.get("help") or ""))
    return {"type": "object", "properties": properties, "additionalProperties": False}


def of_signature(cls: type, refined: dict[str, Schema]) -> Schema:
    """A closed mapping with the parameters of a constructor; a default tells the type."""
    documented = _documented(cls)
    properties = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            found = refined.get(name) or of_type(type(parameter.default))
            properties[name] = _described(found, parameter.default, documented.get(name, ("", ""))[1])
    properties |= {name: dict(extra) for name, extra in refined.items() if name not in properties}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def of_attributes(example: Any, refined: dict[str, Schema]) -> Schema:
    """A closed mapping with the public attributes of an object, each of which may be null. Types are in the docstring:
    a key that is neither there nor refined takes anything."""
    documented = _documented(type(example))
    properties = {}
    for name in vars(example):
        if not name.startswith("_") and name not in refine.UNSETTABLE:
            words, help = documented.get(name, ("", ""))
            found = refined.get(name) or of_words(words)
            properties[name] = _described(any_of([found, NULL]) if found else {}, None, help)
    return {"type": "object", "properties": properties, "additionalProperties": False}


def of_type(hint: Any) -> Schema:
    """The schema of an annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        coerced = any(isinstance(each, type) and issubclass(each, Enum) for each in arguments)
        return any_of([of_type(each) for each in arguments if not (coerced and each is str)])
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": of_type(arguments[0])}
    if origin is tuple:
        places = [of_type(each) for each in arguments]
        return {"type": "array", "prefixItems": places, "minItems": len(places), "maxItems": len(places)}
    if origin is dict:
        return {"type": "object", "additionalProperties": of_type(arguments[1])}
    return _of_class(hint)


def _of_class(hint: Any) -> Schema:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    if hint is Any:
        return {}
    if hint in (None, type(None)):
        return dict(NULL)
    if hint in names:
        return {"type": names[hint]}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [each.value for each in hint]}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return of_dataclass(hint, refine.NESTED.get(hint.__name__, {}))
    raise TypeError(f"no schema for {hint!r}: refine the key")


def of_words(words: str) -> Schema:
    """The schema of a docstring's type, such as ``int`` or list[int]; {} for no words."""
    plain = words.replace("`", "").replace(" or ", " | ").replace("tuple(", "list[").replace(")", "]")
    named = {"bool": bool, "int": int, "float": float, "str": str, "dict": dict, "list": list, "Union": typing.Union}
    return of_type(eval(plain, {"__builtins__": {}}, named)) if plain else {}


def any_of(options: list[Schema]) -> Schema:
    """One of several schemas, flat and without repetition; sorted, because ``typing`` hands out equal unions in either
    order."""
    flat: list[Schema] = []
    for option in options:
        flat += [each for each in option.get("anyOf", [option]) if each not in flat]
    return flat[0] if len(flat) == 1 else {"anyOf": sorted(flat, key=json.dumps)}


def _documented(cls: type) -> dict[str, tuple[str, str]]:
    """Parameter to its type and its text in the docstring of a class."""
    pattern = r"^\s{4,8}(\w+):? ?\(([^\n]*?)(?:, \*optional\*[^\n]*)?\)\)?:\n(.*?)(?=^\s{4,8}\w+:? ?\(|^\s{0,8}>|\Z)"
    found = re.findall(pattern, cls.__doc__ or "", re.MULTILINE | re.DOTALL)
    return {name: (words, text) for name, words, text in found}


def _default(field: dataclasses.Field[Any]) -> Any:
    value = field.default_factory() if field.default is dataclasses.MISSING else field.default  # type: ignore[misc]
    return value.value if isinstance(value, Enum) else None if dataclasses.is_dataclass(value) else value


def _described(schema: Schema, default: Any, help: str) -> Schema:
    line = one_line(help)
    return {**schema, "default": default, **({"description": line} if line else {})}


def one_line(help: str) -> str:
    """The first sentence of a help text, without a final full stop."""
    text = " ".join(help.replace("%%", "%").split())
    sentence = re.split(r"(?<=[a-z)`])[.:](?:\s|$)", text, maxsplit=1)[0].rstrip(".")
    return sentence if len(sentence) <= HELP_LENGTH else sentence[: HELP_LENGTH - 1].rstrip() + "…"


def written(table: Schema) -> str:
    """A table as text, one key a line, so that a new version of a library reads as a diff."""
    lines = []
    for name, value in table.items():
        if name in ("properties", "$defs", "x-facts"):
            entries = [f"    {json.dumps(key)}: {_compact(value[key])}" for key in sorted(value)]
            lines.append(f'  "{name}": {{\n' + ",\n".join(entries) + "\n  }")
        else:
            lines.append(f"  {json.dumps(name)}: {_compact(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def main() -> None:
    from schemas import axolotl_table

    for type, found in {**hugging_face(), "axolotl": axolotl_table.downloaded()}.items():
        (DATA / TABLES[type]).write_text(written(found), encoding="utf-8")


if __name__ == "__main__":
    main()
