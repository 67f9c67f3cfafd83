"""The table of Axolotl's configuration, from the wheel that is named here.

Axolotl cannot be installed beside the libraries of this project; its pydantic models need next to nothing, and are
imported alone, from a folder.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, TypeGuard

VERSION = "0.19.0"
Schema = dict[str, Any]
PRINT_SCHEMA = """
import json, logging, sys, types

class Names(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name

def stand_in(name, module=types.ModuleType, **attributes):
    sys.modules[name] = module(name)
    sys.modules[name].__dict__.update(attributes, __path__=[])

sys.path.insert(0, sys.argv[1])
stand_in("torch", Names)
stand_in("PIL")
stand_in("PIL.Image", Resampling=int)
stand_in("accelerate")
stand_in("accelerate.utils", is_fp8_available=lambda: False)
stand_in("transformers")
stand_in("transformers.utils")
stand_in("transformers.utils.import_utils", is_torch_npu_available=lambda: False)
stand_in("axolotl.utils.datasets", get_default_process_count=lambda: None)
stand_in("axolotl.utils.logging", get_logger=logging.getLogger)
from axolotl.utils.schemas.config import AxolotlInputConfig
print(json.dumps(AxolotlInputConfig.model_json_schema()))
"""
"""Run by another interpreter, so that the stand-ins for heavy packages stay out of this one."""


def downloaded() -> Schema:
    """The table, from a wheel that pip downloads into a folder that is then removed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", folder, f"axolotl=={VERSION}"], check=True)
        (wheel,) = Path(folder).glob("axolotl-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        return table(Path(folder))


def table(folder: Path) -> Schema:
    """The table, from a folder that holds the ``axolotl`` package."""
    from transformers.training_args import OptimizerNames

    run = subprocess.run(
        [sys.executable, "-c", PRINT_SCHEMA, str(folder)], check=True, capture_output=True, text=True
    )  # fmt: skip
    schema = json.loads(run.stdout)
    definitions = {name: _plain(each) for name, each in schema["$defs"].items()}
    properties = {name: _plain(each) for name, each in schema["properties"].items()}
    own = definitions.pop("CustomSupportedOptimizers")["enum"]
    optimizers = sorted({*own, *(each.value for each in OptimizerNames)})
    _narrow(properties, "optimizer", {"enum": optimizers})
    _narrow(properties, "attn_implementation", {"enum": attentions(folder)}, {"type": "string", "pattern": "/"})
    definitions["TorchAOQuantDType"]["enum"] += ["fp8", "float8"]
    properties |= _also_taken(properties, folder)
    for each in definitions.values():
        if each.get("type") == "object":
            each.setdefault("additionalProperties", False)
    return {
        "class": "axolotl.utils.schemas.config.AxolotlInputConfig",
        "licence": "Apache-2.0",
        "versions": {"axolotl": VERSION},
        "type": "object",
        "x-lenient": True,
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
        "x-facts": {
            "dataset_types": dataset_types(folder / "axolotl"),
            "plugin_keys": plugin_keys(folder / "axolotl"),
            "plugins": plugins(folder / "axolotl"),
        },
    }


def _narrow(properties: Schema, key: str, *taken: Schema) -> None:
    """What a validator of the model takes, where the annotation of the field says any text."""
    properties[key] = {**properties[key], "anyOf": [*taken, {"type": "null"}]}


def attentions(folder: Path) -> list[str]:
    """The names of ``attn_implementation``; a hub kernel, which has a slash, is taken beside them."""
    for each in ast.parse((folder / "axolotl/utils/schemas/enums.py").read_text(encoding="utf-8")).body:
        if isinstance(each, ast.Assign) and getattr(each.targets[0], "id", "") == "CANONICAL_ATTN_IMPLS":
            return sorted(ast.literal_eval(each.value.args[0]))  # type: ignore[attr-defined]
    raise LookupError("axolotl.utils.schemas.enums has no CANONICAL_ATTN_IMPLS any more")


def _plain(schema: Any) -> Any:
    """Without titles, and with one line of help."""
    from schemas.library_tables import one_line

    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: _plain(each) for name, each in value.items()}
        elif key == "description":
            found[key] = one_line(value)
        elif key not in ("title", "help"):
            found[key] = value if key in ("default", "enum") else _plain(value)
    return found


def _also_taken(properties: Schema, folder: Path) -> Schema:
    """Keys under the names of their fields, which the model takes beside their aliases (``populate_by_name``), and
    those that the removed-fields check of the model reads."""
    text = (folder / "axolotl/utils/schemas/deprecated.py").read_text(encoding="utf-8")
    found = {}
    for field in ast.walk(ast.parse(text)):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.value, ast.Call)
            and isinstance(field.target, ast.Name)
        ):
            aliases = [each.value for each in field.value.keywords if each.arg == "alias"]
            for alias in aliases:
                if isinstance(alias, ast.Constant):
                    found[field.target.id] = properties[str(alias.value)]
    return found


def dataset_types(package: Path) -> list[str]:
    """What ``datasets[].type`` may be: a prompt strategy, one of its loaders, or a format with a handler of its own."""
    wrappers = ast.parse((package / "utils/data/wrappers.py").read_text(encoding="utf-8"))
    handlers = next(
        each.value
        for each in ast.walk(wrappers)
        if isinstance(each, ast.Assign) and getattr(each.targets[0], "id", "") == "DATASET_HANDLERS"
    )
    found = {str(key.value) for key in getattr(handlers, "keys", ()) if isinstance(key, ast.Constant)}
    found |= {"messages", "chat_template", "user_defined"}
    for module in (package / "prompt_strategies").glob("*.py"):
        if module.stem not in ("__init__", "base") and not module.stem.startswith("_"):
            for name in _functions(module):
                if name == "load":
                    found.add(module.stem)
                elif name.startswith("load_"):
                    found.add(f"{module.stem}.{name}")
    return sorted(found)


def _functions(module: Path) -> list[str]:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return [each.name for each in tree.body if isinstance(each, ast.FunctionDef)]


def plugin_keys(package: Path) -> list[str]:
    """Keys that Axolotl's own plugins add."""
    found: set[str] = set()
    for module in package.glob("integrations/*/args.py"):
        for model in ast.parse(module.read_text(encoding="utf-8")).body:
            if isinstance(model, ast.ClassDef):
                fields = (each.target for each in model.body if isinstance(each, ast.AnnAssign))
                found |= {field.id for field in fields if isinstance(field, ast.Name) and field.id != "model_config"}
    return sorted(found)


def plugins(package: Path) -> list[str]:
    """Axolotl's own plugins, under each name by which they can be asked for."""
    found: set[str] = set()
    for integration in sorted((package / "integrations").glob("*/__init__.py")):
        own = f"axolotl.integrations.{integration.parent.name}"
        for module in sorted(integration.parent.glob("*.py")):
            names = {each.name for each in ast.parse(module.read_text(encoding="utf-8")).body if _is_plugin(each)}
            exported = _names(integration) & names
            stem = "" if module == integration else f".{module.stem}"
            found |= {f"{own}{stem}.{name}" for name in names} | {f"{own}.{name}" for name in exported}
    return sorted(found)


def _is_plugin(node: ast.stmt) -> TypeGuard[ast.ClassDef]:
    return isinstance(node, ast.ClassDef) and "BasePlugin" in {getattr(base, "id", "") for base in node.bases}


def _names(module: Path) -> set[str]:
    """What can be imported from a module by name: its imports, and the classes of its own."""
    tree = ast.parse(module.read_text(encoding="utf-8")).body
    imported = {name.name for each in tree if isinstance(each, ast.ImportFrom) for name in each.names}
    return imported | {each.name for each in tree if isinstance(each, ast.ClassDef)}
