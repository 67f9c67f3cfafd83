"""The public API: values in, values out; what its page says is what it does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from studio import api
from tests import projects
from tests.cli.front_door import ask, environment
from tests.projects import ROOT, support_desk

PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
CONFIG = {"apiVersion": "studio/v1", "kind": "Config", "metadata": {"name": "c"}}
LORA = {"type": "lora_config", "config": {"r": 8}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return projects.write(tmp_path, support_desk())


def test_the_examples_of_the_page_run_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(compile(example, "docs/api.md", "exec"), names)
    assert len(EXAMPLES) >= 6 and names["plan"].environment == "default"


def test_everything_public_is_there_and_documented() -> None:
    assert sorted(api.__all__) == api.__all__
    assert [name for name in api.__all__ if not getattr(api, name).__doc__] == []


def test_a_good_project_has_no_errors_and_a_plan(root: Path) -> None:
    project = api.load(root / "manifests")
    assert (project.root, project.environment, project.name) == (root, "default", "desk")
    assert api.Ref("FineTuningJob", "train") in project.resources
    assert [finding for finding in api.validate(project) if finding.severity is api.Severity.ERROR] == []
    assert api.plan(project).counts[api.Verb.CREATE] == 7


def test_a_project_says_what_the_commands_say(root: Path) -> None:
    (root / "manifests" / "bad.yaml").write_text(
        "apiVersion: studio/v1\nkind: Model\nmetadata: {name: m}\nspec: {typ: x}\n"
    )
    project = api.load(root)
    told = ask(root, "validate", "--json")
    assert json.loads(told.out) == api.findings_to_json(api.validate(project)) and told.code == 1
    (root / "manifests" / "bad.yaml").unlink()
    assert json.loads(ask(root, "plan", "--json").out) == api.plan_to_json(api.plan(api.load(root)))


def test_a_project_with_errors_has_no_plan_and_says_all_of_them(root: Path) -> None:
    (root / "data" / "tickets.csv").unlink()
    with pytest.raises(api.InvalidProjectError, match="DS-003") as refused:
        api.plan(api.load(root))
    assert refused.value.findings == api.validate(api.load(root))


@pytest.mark.parametrize(("folder", "name", "words"), [("nowhere", "default", "studio.yaml"), (".", "prod", "prod")])
def test_no_project_and_no_environment_are_usage_errors(root: Path, folder: str, name: str, words: str) -> None:
    where = root if folder == "." else root.parent.parent
    with pytest.raises(api.UsageError, match=words):
        api.load(where, name)


def test_state_that_does_not_exist_is_empty_and_is_not_created(root: Path) -> None:
    state = api.read_state(api.load(root))
    assert (state.lineage, dict(state.records), state.runs, state.operations) == (api.Lineage("", 0), {}, (), ())
    assert not (root / ".studio").exists()


def test_state_holds_what_was_applied(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(ROOT / "tests" / "golden" / "apply-data", data)
    assert ask(data, "apply", "--yes").code == 0
    project = api.load(data)
    state = api.read_state(project, operations=1)
    assert state.records[api.Ref("Dataset", "tickets")].status is api.RecordStatus.READY
    assert state.lineage.serial > 0 and [operation.outcome for operation in state.operations] == ["succeeded"]
    assert api.plan(project).pending == ()


def test_documents_without_a_file_are_validated_where_they_stand() -> None:
    good = {**CONFIG, "spec": LORA}
    assert api.validate(api.from_documents([good])) == ()
    bad = {**CONFIG, "metadata": {"name": "other"}, "spec": {**LORA, "tipe": 1}}
    [finding] = [f for f in api.validate(api.from_documents([good, bad])) if f.severity is api.Severity.ERROR]
    assert (finding.rule, finding.path, finding.resource) == ("MF-006", ("spec", "tipe"), api.Ref("Config", "other"))
    assert finding.source and finding.source.document == 1 and str(finding.position) == "(memory):1:1"


@pytest.mark.parametrize("document", [{}, {"kind": []}, {"kind": "Config"}, {1: 2}, {**CONFIG, "spec": [1]}])
def test_documents_of_any_shape_are_findings(document: Any) -> None:
    assert any(finding.severity is api.Severity.ERROR for finding in api.validate(api.from_documents([document])))


def test_reading_a_project_imports_no_ml_library_and_writes_nothing(root: Path) -> None:
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    program = (
        "import sys; from studio import api; p = api.load(sys.argv[1]); api.validate(p); api.plan(p);"
        "api.read_state(p); print(sorted({'torch', 'transformers', 'mlflow', 'trl'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(root)], env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "[]\n", done.stderr
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == before


def test_every_rule_of_the_catalogue_is_listed_with_its_page() -> None:
    assert all(rule.page.title and rule.page.bad for rule in api.rules())
    assert len(api.rules()) > 150
