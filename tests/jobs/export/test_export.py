"""Exports: what the registry holds answers as base and adapter do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from studio.core.fingerprints import folder_digest, tree
from studio.core.jobresult import EvaluationOutput, ExportOutput, JobResult, Measures
from studio.core.jobspec import JobSpec

from ..evaluation.test_evaluation import table
from ..workbench import MakeSpec, adapter, evaluation, export, failure, messages, perform
from .test_packed_weights import quantised

pytestmark = pytest.mark.slow


def exported(spec: JobSpec) -> tuple[JobResult, ExportOutput]:
    result = perform(spec)
    assert isinstance(result.output, ExportOutput), result.failure
    return result, result.output


def versions(spec: JobSpec) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{spec.path('.studio/mlflow.db')}")
    return list(client.search_model_versions("name = 'ticket-router'"))


def test_the_registered_model_answers_as_base_and_adapter_do(make_spec: MakeSpec, router: str) -> None:
    import mlflow

    asked = make_spec(evaluation(router), "evaluation")
    evaluated = perform(asked).output
    assert isinstance(evaluated, EvaluationOutput)
    rows = table(asked.path(evaluated.combinations[1].predictions))[:6]

    _, made = exported(make_spec(export(router)))
    assert made.uri == "models:/ticket-router/1" and len(made.digest) == 64
    served = mlflow.pyfunc.load_model(made.uri)
    answers = served.predict([row["prompt"] for row in rows])
    assert answers == [row["prediction"].strip() for row in rows]  # MLflow strips white space
    assert answers[0] == "card"


def test_the_folder_tells_where_everything_came_from(make_spec: MakeSpec, router: str) -> None:
    spec = make_spec(export(router))
    for left in (".model.building", ".mlflow.building"):  # by an attempt that was killed
        (spec.folder / left).mkdir(parents=True)
        (spec.folder / left / "half").touch()
    _, made = exported(spec)
    folder = spec.folder / "model"
    assert made.digest == folder_digest(tree(folder))
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md"}
    provenance = json.loads((folder / "studio.provenance.json").read_text())
    assert provenance["commit"] == "abc123" and provenance["adapter"]["name"] == "router"
    assert {"peft", "torch", "transformers", "python"} <= provenance["versions"].keys()
    assert "| commit | abc123 |" in (folder / "README.md").read_text()
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [2] and generation["max_new_tokens"] == 8
    assert not list(spec.folder.glob(".*"))


def test_the_version_has_a_signature_tags_requirements_and_no_path_of_ours(make_spec: MakeSpec, router: str) -> None:
    import mlflow
    from mlflow.artifacts import download_artifacts

    spec = make_spec(export(router))
    _, made = exported(spec)
    (version,) = versions(spec)
    assert version.tags["studio.key"] == spec.key and version.description == "Routes tickets"
    folder = Path(download_artifacts(made.uri, dst_path=str(spec.path("downloaded"))))
    model = mlflow.models.Model.load(folder)
    assert model.signature is not None and model.metadata["studio"]["commit"] == "abc123"
    assert model.flavors["transformers"]["source_model_name"] == "tiny"
    requirements = (folder / "requirements.txt").read_text()
    assert "torch==" in requirements and "+cpu" not in requirements
    assert str(spec.folder) not in (folder / "MLmodel").read_text() + (folder / "LICENSE.txt").read_text()
    assert not (folder / "model" / "model.safetensors").is_symlink()


def test_a_retried_export_registers_once(make_spec: MakeSpec, router: str) -> None:
    spec = make_spec(export(router))
    exported(spec)
    _, again = exported(spec.model_copy(update={"attempt": 2}))
    assert again.model_version == "1" and len(versions(spec)) == 1
    assert "an earlier attempt registered version 1" in messages(spec)
    _, other = exported(make_spec(export(router), "other"))
    assert other.model_version == "2"


def test_it_measures_what_it_stored_unless_an_earlier_attempt_did_the_work(make_spec: MakeSpec, router: str) -> None:
    spec = make_spec(export(router))
    stored = perform(spec).measures
    sizes = [path.stat().st_size for path in (spec.folder / "model").rglob("*") if path.is_file()]
    assert (stored.device, stored.bytes) == ("cpu", sum(sizes))
    assert perform(spec.model_copy(update={"attempt": 2})).measures == Measures()


def test_a_model_without_adapter_is_exported_as_it_is(make_spec: MakeSpec, tiny_model: Path) -> None:
    spec = make_spec(export(None))
    exported(spec)
    copied = (spec.folder / "model" / "model.safetensors").read_bytes()
    assert copied == (tiny_model / "model.safetensors").read_bytes()


def test_a_completions_endpoint_answers_in_its_format(make_spec: MakeSpec, router: str) -> None:
    import mlflow

    _, made = exported(make_spec(export(router, inference_task="llm/v1/completions")))
    (answer,) = mlflow.pyfunc.load_model(made.uri).predict({"prompt": "### thanks for card\n>"})
    assert answer["object"] == "text_completion" and answer["choices"][0]["text"].strip() == "card"


def test_a_chat_endpoint_answers_through_the_chat_template(
    make_spec: MakeSpec, router: str, project: Path, tiny_model: Path
) -> None:
    import mlflow

    folder = project / "models" / "chatty"
    shutil.copytree(tiny_model, folder)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}### {{ m.content }}\n>{% endfor %}")
    model = {"name": "chatty", "type": "project", "location": "models/chatty"}
    _, made = exported(make_spec(export(router, model=model, inference_task="llm/v1/chat")))
    asked = {"messages": [{"role": "user", "content": "thanks for card"}]}
    (answer,) = mlflow.pyfunc.load_model(made.uri).predict(asked)
    message = answer["choices"][0]["message"]
    assert answer["object"] == "chat.completion" and message["role"] == "assistant"
    assert message["content"].strip() == "card"


def test_a_version_over_a_quantised_base_asks_for_what_loads_it(make_spec: MakeSpec, project: Path) -> None:
    from mlflow.artifacts import download_artifacts

    quantised(project / "models" / "tiny", project / "models" / "small", load_in_4bit=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(project / "models" / "tiny" / name, project / "models" / "small" / name)
    model = {"name": "small", "type": "project", "location": "models/small"}
    spec = make_spec(export(None, model=model))
    _, made = exported(spec)
    folder = Path(download_artifacts(made.uri, dst_path=str(spec.path("downloaded"))))
    assert "bitsandbytes==" in (folder / "requirements.txt").read_text()


def test_sampling_settings_are_kept_out_of_a_greedy_configuration(make_spec: MakeSpec, router: str) -> None:
    generation = {"do_sample": False, "temperature": 0.7, "top_p": 0.9, "max_new_tokens": 4, "max_length": None}
    spec = make_spec(export(router, generation=generation))
    exported(spec)
    assert "temperature" not in json.loads((spec.folder / "model" / "generation_config.json").read_text())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"inference_task": "llm/v1/chat"}, "needs a chat template"),
        ({"weights": "reference"}, "would be lost"),
        ({"weights": "adapter"}, "is of type project"),
        ({"weights": "adapter", "adapter": None}, "needs an adapter"),
        ({"weights": "reference", "adapter": None}, "is of type project"),
        ({"adapter": adapter("gone")}, "gone does not exist"),
        ({"generation": {"max_tokens": 3}}, "unknown key 'max_tokens'"),
    ],
)
def test_what_a_user_can_mend_is_said(make_spec: MakeSpec, router: str, changes: dict[str, Any], fault: str) -> None:
    spec = make_spec(export(router, **changes))
    assert fault in failure(spec)
    assert versions(spec) == []


def test_pickled_weights_are_refused(make_spec: MakeSpec, project: Path, tiny_model: Path) -> None:
    folder = project / "models" / "pickled"
    folder.mkdir()
    (folder / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    text = failure(make_spec(export(None, model={"name": "p", "type": "project", "location": "models/pickled"})))
    assert "pickled weights are refused" in text
