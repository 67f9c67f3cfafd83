"""Manifests come from anyone who can open a pull request: whatever they hold, rules only report."""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.checking import validate
from studio.core.templates import TemplateError, parse
from studio.load.files import inside
from studio.resources import KINDS
from studio.resources.config import ConfigType
from tests.rules.conftest import Check

PIECES = (
    "{", "}", "{{", "}}", ".", "[", "]", "!r", "!s", ":", ":>10", "__class__", "__mro__", "__globals__", "__init__",
    "__subclasses__", "0", "1", "a", "text", "queue", " ", "(", ")", "\\", "\n", "%s", "$x", "'", "é", "\0", "{text}",
)  # fmt: skip
DEEP = "[" * (sys.getrecursionlimit() + 100)


class Tripwire:
    """A value whose attributes must never be read; only its text is asked for."""

    touched: ClassVar[list[str]] = []

    def __getattribute__(self, name: str) -> Any:
        Tripwire.touched.append(name)
        raise AssertionError(name)

    def __getitem__(self, key: object) -> Any:
        Tripwire.touched.append(str(key))
        raise AssertionError(key)

    def __format__(self, spec: str) -> str:
        Tripwire.touched.append(f"format {spec}")
        raise AssertionError(spec)

    def __str__(self) -> str:
        return "value"


def test_ten_thousand_hostile_templates_never_reach_an_attribute() -> None:
    chance = random.Random(7)
    row = {name: Tripwire() for name in ("a", "text", "queue", "__class__", "__init__", "__globals__")}
    rendered = 0
    for _ in range(10_000):
        template = "".join(chance.choices(PIECES, k=chance.randint(1, 12)))
        try:
            parsed = parse(template)
        except TemplateError as error:
            assert 0 <= error.offset <= len(template)
            continue
        assert all(not set(field) & set(".[]!:{}") and not field[0].isdigit() for field in parsed.fields)
        if set(parsed.fields) <= set(row):
            rendered += 1
            assert parsed.render(row).count("value") >= len(parsed.fields)
    assert rendered > 100
    assert Tripwire.touched == []


VALUES: list[Any] = [
    DEEP, None, True, False, 0, -1, 1, 1 << 70, 0.5, 1e308, "", " ", "x", "tickets", "tiny-llama", "ticket-router",
    "router", "lora-small", "route-ticket", "router-vs-base", "acme/x", "../x", "/etc/passwd", "a\0b",
    "a" * 5000, "é\u2028",
    "{text.__class__}", "{", '{"a": 1}', "- a", "&a [*a]", "project", "project_csv", "project_json", "huggingface",
    "model_registry", "cml_model", "axolotl", "legacy", "reference", [], ["x"], [None], [[1]], {}, {"a": 1}, {"": None},
    {"trust_remote_code": True}, {"password": "x"}, [{"base_model": "tiny-llama"}], [{"metric": "x", "min": 1}],
    "data/tickets.csv", "data/broken.json", "data", "loop", "deep.json", "deep.jsonl", "models/odd", "adapters/odd",
]  # fmt: skip
FIELDS = {
    kind: [*known.model.model_fields["spec"].annotation.model_fields, "no_such_field"]  # type: ignore[union-attr]
    for kind, known in KINDS.items()
    if kind != "Stage"
}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(FIELDS)))
    names = draw(st.lists(st.sampled_from(FIELDS[kind]), unique=True, max_size=12))
    spec = {name: draw(st.sampled_from(VALUES)) for name in names}
    name = draw(st.sampled_from(["", "x", "router", "ticket-router", "tickets", "A b", "é", "-" * 300]))
    metadata = draw(st.sampled_from([{"name": name}, {"name": name, "labels": {"a": "b"}}, {"name": 7}, {}, None, "x"]))
    return {"apiVersion": "studio/v1", "kind": kind, "metadata": metadata, "spec": spec}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=st.lists(documents(), min_size=1, max_size=6))
def test_no_manifest_makes_a_rule_raise(held: list[dict[str, Any]], project: Path) -> None:
    add_odd_inputs(project)
    text = "\n---\n".join(json.dumps(document) for document in held)
    (project / "manifests" / "hostile.yaml").write_text(text, encoding="utf-8")
    for finding in validate(project, "default").findings:
        assert finding.message
        assert finding.position


def add_odd_inputs(project: Path) -> None:
    """Inputs that are read while manifests are checked, and that no program wrote."""
    if (project / "loop").is_symlink():
        return
    (project / "loop").symlink_to("loop")
    (project / "deep.json").write_text(DEEP)
    (project / "deep.jsonl").write_text(DEEP)
    for folder, config, weights in (
        ("models/odd", "config.json", "model.safetensors"),
        ("adapters/odd", "adapter_config.json", "adapter_model.safetensors"),
    ):
        (project / folder).mkdir()
        (project / folder / config).write_text('{"architectures": {"a": 1}, "r": "x", "target_modules": 7}')
        (project / folder / weights).write_bytes(b"")
        (project / folder / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize("location", ["a\0b", "loop", "../x", "/etc", "loop/x", "out/passwd", "x/../../y"])
def test_no_location_leads_out_of_the_project(location: str, project: Path) -> None:
    add_odd_inputs(project)
    (project / "out").symlink_to("/etc")
    assert inside(project, location) is None


def test_a_link_to_a_file_outside_is_not_read(checked: Check, project: Path, tmp_path: Path) -> None:
    secret = tmp_path / "people.csv"
    secret.write_text("text,queue\nsecret,people\n")
    (project / "data" / "people.csv").symlink_to(secret)
    outcome = checked("kind: Dataset\nspec:\n  location: data/people.csv  # <-")
    assert outcome.at("SEC-001") == outcome.marked
    assert [finding.rule for finding in outcome.findings] == ["SEC-001"]


def test_a_manifest_that_is_a_link_out_of_the_project_is_not_read(
    checked: Check, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.yaml").write_text("password: hunter2\n")
    (project / "manifests" / "linked.yaml").symlink_to(tmp_path / "other.yaml")
    outcome = checked("kind: Project")
    assert [finding.rule for finding in outcome.findings] == ["SEC-001"]


def test_ten_mistakes_are_ten_findings(checked: Check) -> None:
    outcome = checked(
        "kind: FineTuningJob\nmetadata:\n  name: wrong\nspec:\n  framework_type: x\n  adapter_name: a b\n"
        "  base_model: x\n"
        "  dataset: x\n  prompt: x\n  num_cpu: 0\n  num_gpu: -1\n  num_memory: 0\n  num_epochs: 0\n  learning_rate: 0\n"
    )
    wanted = {"FT-001", "FT-002", "FT-004", "FT-005", "FT-006", "FT-008", "FT-009", "FT-013", "FT-014", "FT-015"}
    assert {finding.rule for finding in outcome.findings} == wanted
    assert len(outcome.findings) == 10


def test_a_value_that_did_not_parse_is_reported_once(checked: Check) -> None:
    outcome = checked(
        "kind: EvaluationJob\nspec:\n  num_cpu: two\n  dataset: [tickets]\n  prompt: 7\n  metrics: [1, rougeN]\n"
        "  model_adapter_combinations: [tiny-llama]\n  gates: []\n---\nkind: ModelExport\nspec:\n  requires: []"
    )
    assert {finding.rule for finding in outcome.findings} == {"MF-007"}


def test_settings_that_did_not_parse_are_not_judged(checked: Check) -> None:
    outcome = checked("kind: Project\nmetadata:\n  name: 7\nspec:\n  backend: {type: [x]}\n  state: [y]")
    assert [finding.rule for finding in outcome.findings] == ["MF-007"] * 3


def test_keys_of_several_types_are_compared_without_an_error(checked: Check) -> None:
    config = 'kind: Config\nmetadata:\n  name: {name}\nspec:\n  type: axolotl\n  config: "1: a\\nb: c\\n"'
    outcome = checked(config.format(name="one") + "\n---\n" + config.format(name="two"))
    assert {finding.rule for finding in outcome.findings} == {"CF-004", "CF-007"}


def test_the_project_folder_itself_may_hold_manifests(project: Path, checked: Check) -> None:
    for folder in ("tasks", "hostile", "twice", "unsound"):  # YAML of others
        shutil.rmtree(project / folder)
    assert checked("kind: Project\nspec:\n  manifests: ['.']").findings == []


@pytest.mark.parametrize("type", list(ConfigType))
def test_text_that_is_nested_too_deeply_is_reported(type: str, checked: Check) -> None:
    head = "apiVersion: studio/v1\nkind: Config\nmetadata: {name: deep}\nspec:\n"
    outcome = checked(f"{head}  type: {type}\n  config: '{DEEP}'")
    assert {finding.rule for finding in outcome.findings} == {"CF-003" if type == "axolotl" else "CF-002"}
