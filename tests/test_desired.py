"""Fingerprints: what changes them, what must not, and their values for ever."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from studio.resources import KINDS
from studio.resources.base import Effect, effects
from tests import projects
from tests.projects import Document, changed, manifest, support_desk, with_spec

JOBS = ["EvaluationJob/compare", "FineTuningJob/train", "ModelExport/release"]


def fingerprints(root: Path, documents: list[Document]) -> dict[str, str]:
    return projects.fingerprints(projects.write(root, documents))


def differing(before: dict[str, str], after: dict[str, str]) -> list[str]:
    assert set(before) == set(after)
    return sorted(name for name in before if before[name] != after[name])


# What changes nothing


MOVES = ("location", "dataset", "adapter_name")
"""What these name would have to change as well: each has a test of its own."""


def descriptive_and_placement() -> list[tuple[str, str]]:
    found = []
    for document in support_desk():
        kind = document["kind"]
        spec = KINDS[kind].model.model_fields["spec"].annotation
        assert spec is not None
        found += [(kind, name) for name, effect in effects(spec).items() if effect is not Effect.OUTCOME]
    return [(kind, name) for kind, name in found if name not in MOVES]


OTHER: dict[str, Any] = {
    "features": ["text", "queue"],
    "examples": [{"row": {"queue": "card"}, "completion": " card"}],
    "chat_template": "templates/chat.jinja",
    "framework": "onnx",
    "model_family": "GPT2LMHeadModel",
    "default": True,
    "gates": [{"metric": "latency", "max": 1.0}],
    "requires": [],
    "out_dir": "elsewhere",
    "model_description": "other",
    "enable_authentication": False,
}


@pytest.mark.parametrize(("kind", "name"), descriptive_and_placement())
def test_a_descriptive_or_placement_change_changes_no_fingerprint(tmp_path: Path, kind: str, name: str) -> None:
    before = fingerprints(tmp_path, support_desk())
    after = fingerprints(tmp_path, with_spec(support_desk(), kind, **{name: OTHER.get(name, 3)}))
    assert differing(before, after) == []


def test_the_content_of_a_chat_template_counts_and_its_place_does_not(tmp_path: Path) -> None:
    chat = {"chat": True, "prompt_template": "", "chat_template": "templates/chat.jinja"}
    desk = with_spec(support_desk(), "Prompt", **chat)
    (tmp_path / "templates").mkdir()
    for name, text in (("chat", "{{ messages }}"), ("moved", "{{ messages }}"), ("other", "{{ messages | list }}")):
        (tmp_path / "templates" / f"{name}.jinja").write_text(text)
    before = fingerprints(tmp_path, desk)
    assert differing(fingerprints(tmp_path, support_desk()), before) == [*JOBS, "Prompt/route"]
    for name, changed_ones in (("moved", []), ("other", [*JOBS, "Prompt/route"])):
        moved = with_spec(desk, "Prompt", chat_template=f"templates/{name}.jinja")
        assert differing(before, fingerprints(tmp_path, moved)) == changed_ones


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"Adapter"}))
def test_metadata_changes_no_fingerprint(tmp_path: Path, kind: str) -> None:
    said = {
        "title": "T", "description": "D", "labels": {"a": "b"}, "annotations": {"c": "d"}, "uid": "u",
        "protect": True, "renamed_from": "old",
    }  # fmt: skip
    before = fingerprints(tmp_path, support_desk())
    documents = changed(support_desk(), kind, lambda document: document["metadata"].update(said))
    assert differing(before, fingerprints(tmp_path, documents)) == []


def test_moving_an_inline_config_into_a_config_changes_nothing(tmp_path: Path) -> None:
    before = fingerprints(tmp_path, support_desk())
    content = projects.pick(support_desk(), "FineTuningJob")["spec"]["training_arguments_config"]
    documents = with_spec(
        support_desk(), "FineTuningJob", training_arguments_config="arguments", lora_config=projects.LORA
    )
    documents.append(manifest("Config", "arguments", {"type": "training_arguments", "config": content}))
    after = fingerprints(tmp_path, documents)
    assert {name: after[name] for name in JOBS} == {name: before[name] for name in JOBS}


@pytest.mark.parametrize("text", [json.dumps(projects.LORA), json.dumps(projects.LORA, indent=3, sort_keys=True)])
def test_a_config_means_the_same_as_text_and_as_a_mapping(tmp_path: Path, text: str) -> None:
    before = fingerprints(tmp_path, support_desk())
    assert differing(before, fingerprints(tmp_path, with_spec(support_desk(), "Config", config=text))) == []


def test_naming_the_shipped_default_is_the_same_as_naming_none(tmp_path: Path) -> None:
    silent = changed(support_desk(), "FineTuningJob", lambda document: document["spec"].pop("lora_config"))
    spoken = with_spec(support_desk(), "FineTuningJob", lora_config="default-lora")
    assert differing(fingerprints(tmp_path, silent), fingerprints(tmp_path, spoken)) == []


def test_writing_out_a_fields_default_changes_nothing(tmp_path: Path) -> None:
    before = fingerprints(tmp_path, support_desk())
    said = with_spec(support_desk(), "FineTuningJob", framework_type="legacy", num_workers=1, dataset_fraction=1)
    assert differing(before, fingerprints(tmp_path, said)) == []


def test_renaming_the_adapter_everywhere_changes_nothing(tmp_path: Path) -> None:
    before = fingerprints(tmp_path, support_desk())
    documents = json.loads(json.dumps(support_desk()).replace('"router"', '"dispatcher"'))
    projects.pick(documents, "ModelExport")["spec"]["model_name"] = "router"
    assert differing(before, fingerprints(tmp_path, documents)) == []


def test_giving_the_adapter_a_manifest_of_its_own_changes_nothing_else(tmp_path: Path) -> None:
    before = fingerprints(tmp_path, support_desk())
    own = manifest("Adapter", "router", {"type": "project", "model": "tiny", "fine_tuning_job": "train"})
    after = fingerprints(tmp_path, [*support_desk(), own])
    assert {name: after[name] for name in before} == before


def test_moving_a_data_file_and_a_model_folder_changes_nothing(tmp_path: Path) -> None:
    before = fingerprints(tmp_path, support_desk())
    (tmp_path / "data" / "tickets.csv").rename(tmp_path / "data" / "moved.csv")
    (tmp_path / "models" / "tiny").rename(tmp_path / "models" / "moved")
    documents = with_spec(support_desk(), "Dataset", location="data/moved.csv")
    documents = with_spec(documents, "Model", location="models/moved")
    (tmp_path / "manifests" / "all.yaml").write_text(projects.stream(documents))
    assert differing(before, projects.fingerprints(tmp_path)) == []


def test_renaming_a_resource_and_its_references_changes_nothing(tmp_path: Path) -> None:
    before = fingerprints(tmp_path, support_desk())
    documents = json.loads(json.dumps(support_desk()).replace('"tickets"', '"letters"').replace('"train"', '"teach"'))
    after = fingerprints(tmp_path, documents)
    assert sorted(before.values()) == sorted(after.values())


def block_style(documents: list[Document]) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    stream = StringIO()
    yaml.dump_all(documents, stream)
    return "# another style\n" + stream.getvalue()


def test_another_yaml_style_changes_nothing(tmp_path: Path) -> None:
    root = projects.write(tmp_path, support_desk())
    before = projects.fingerprints(root)
    for text in (block_style(support_desk()), block_style(support_desk()).replace("\n", "\r\n")):
        (root / "manifests" / "all.yaml").write_bytes(text.encode())
        assert projects.fingerprints(root) == before


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_splitting_joining_and_shuffling_files_changes_nothing(tmp_path: Path, random: Random) -> None:
    shutil.rmtree(tmp_path / "manifests", ignore_errors=True)  # of the example before
    root = projects.write(tmp_path, support_desk())
    before = projects.wanted(root)
    (root / "manifests" / "all.yaml").unlink()
    documents = support_desk()
    random.shuffle(documents)
    for document in documents:
        file = root / "manifests" / random.choice(["", "deep/"]) / f"{random.choice('abc')}.yaml"
        file.parent.mkdir(exist_ok=True)
        with file.open("a") as stream:
            stream.write(projects.stream([document]))
    after = projects.wanted(root)
    assert list(after.items) == list(before.items)
    assert [item.fingerprint for item in after.items.values()] == [item.fingerprint for item in before.items.values()]


# What changes the outcome


def edit(kind: str, **values: Any) -> Callable[[Path], list[Document]]:
    return lambda root: with_spec(support_desk(), kind, **values)


def rows_changed(root: Path) -> list[Document]:
    with (root / "data" / "tickets.csv").open("a") as stream:
        stream.write("one more,card\n")
    return support_desk()


def weights_changed(root: Path) -> list[Document]:
    (root / "models" / "tiny" / "model.safetensors").write_bytes(projects.safetensors(["other"]))
    return support_desk()


def combinations(root: Path) -> list[Document]:
    return with_spec(
        support_desk(), "EvaluationJob", model_adapter_combinations=[{"base_model": "tiny", "adapter": "router"}]
    )


ALL = ["EvaluationJob/compare", "FineTuningJob/train", "ModelExport/release"]


@pytest.mark.parametrize(
    ("change", "own", "jobs"),
    [
        (edit("FineTuningJob", learning_rate=0.001), [], ALL),
        (edit("FineTuningJob", num_epochs=3), [], ALL),
        (edit("FineTuningJob", num_workers=2), [], ALL),
        (edit("FineTuningJob", loss="full"), [], ALL),
        (edit("FineTuningJob", train_test_split=0.5), [], ALL),
        (edit("FineTuningJob", training_arguments_config={"use_cpu": True}), [], ALL),
        (edit("FineTuningJob", model_bnb_config="default-bitsandbytes"), [], ALL),
        (edit("Config", config={**projects.LORA, "r": 4}), ["Config/lora"], ALL),
        (edit("Prompt", completion_template=" {queue}!"), ["Prompt/route"], ALL),
        (rows_changed, ["Dataset/tickets"], ALL),
        (weights_changed, ["Model/tiny"], ALL),
        (edit("EvaluationJob", metrics=["latency"]), [], ["EvaluationJob/compare"]),
        (edit("EvaluationJob", selected_features=["text"]), [], ["EvaluationJob/compare"]),
        (combinations, [], ["EvaluationJob/compare"]),
        (edit("ModelExport", task="llm/v1/chat"), [], ["ModelExport/release"]),
        (edit("ModelExport", model_name="other"), [], ["ModelExport/release"]),
    ],
)
def test_an_outcome_change_changes_the_job_and_everything_downstream_and_nothing_else(
    tmp_path: Path, change: Callable[[Path], list[Document]], own: list[str], jobs: list[str]
) -> None:
    before = fingerprints(tmp_path, support_desk())
    documents = change(tmp_path)
    (tmp_path / "manifests" / "all.yaml").write_text(projects.stream(documents))
    assert differing(before, projects.fingerprints(tmp_path)) == sorted([*own, *jobs])


def test_a_new_default_config_retrains_only_the_jobs_that_name_none(tmp_path: Path) -> None:
    own = manifest("Config", "mine", {"type": "training_arguments", "config": {"seed": 1}, "default": True})
    named = fingerprints(tmp_path, support_desk())
    after = fingerprints(tmp_path, [*support_desk(), own])
    assert {name: after[name] for name in named} == named
    silent = changed(support_desk(), "FineTuningJob", lambda d: d["spec"].pop("training_arguments_config"))
    before, after = fingerprints(tmp_path, silent), fingerprints(tmp_path, [*silent, own])
    assert sorted(name for name in before if before[name] != after[name]) == ALL


def test_a_default_of_the_models_family_counts_before_a_general_one(tmp_path: Path) -> None:
    def mine(family: str) -> Document:
        content = {"type": "lora_config", "config": {"r": 2}, "default": True, "model_family": family}
        return manifest("Config", "mine", content)

    silent = changed(support_desk(), "FineTuningJob", lambda d: d["spec"].pop("lora_config"))
    without = fingerprints(tmp_path, silent)
    ours, theirs = (fingerprints(tmp_path, [*silent, mine(f)]) for f in ("LlamaForCausalLM", "GPT2LMHeadModel"))
    assert ours["FineTuningJob/train"] != without["FineTuningJob/train"] == theirs["FineTuningJob/train"]


@pytest.mark.parametrize(("old", "new"), [(1, True), (1, 1.0), ("1", 1), (None, "")])
def test_values_of_another_type_are_another_config(tmp_path: Path, old: Any, new: Any) -> None:
    before, after = (
        fingerprints(tmp_path, with_spec(support_desk(), "Config", config={"x": value})) for value in (old, new)
    )
    assert before["Config/lora"] != after["Config/lora"]


def test_generated_templates_follow_the_columns(tmp_path: Path) -> None:
    generated = changed(support_desk(), "Prompt", lambda d: d.update(spec={"dataset": "tickets", "generate": True}))
    before = fingerprints(tmp_path, generated)
    text = (tmp_path / "data" / "tickets.csv").read_text()
    (tmp_path / "data" / "tickets.csv").write_text(text.replace("text,queue", "message,queue"))
    after = projects.fingerprints(tmp_path)
    assert before["Prompt/route"] != after["Prompt/route"]


# Any change of the training job at all


FIELD_VALUES = {
    "learning_rate": st.floats(1e-6, 1),
    "num_epochs": st.integers(1, 9),
    "dataset_fraction": st.sampled_from([0.25, 0.5]),
    "loss": st.just("full"),
    "out_dir": st.text("abc"),
    "num_cpu": st.integers(1, 64),
    "num_memory": st.integers(1, 64),
    "gpu_label_id": st.integers(0, 9),
}


@settings(max_examples=40)
@given(st.sampled_from(sorted(FIELD_VALUES)).flatmap(lambda name: st.tuples(st.just(name), FIELD_VALUES[name])))
def test_a_fields_effect_alone_decides_whether_a_new_value_trains_again(
    tmp_path: Path, change: tuple[str, Any]
) -> None:
    name, value = change
    spec = KINDS["FineTuningJob"].model.model_fields["spec"].annotation
    assert spec is not None
    same = projects.pick(support_desk(), "FineTuningJob")["spec"].get(name) == value
    before = fingerprints(tmp_path, support_desk())
    after = fingerprints(tmp_path, with_spec(support_desk(), "FineTuningJob", **{name: value}))
    outcome = effects(spec)[name] is Effect.OUTCOME and not same
    assert differing(before, after) == (ALL if outcome else [])


# For ever


def frozen_project() -> list[Document]:
    """No file and no shipped default is in it, so that only the definition of fingerprints decides their values."""
    job = {
        "base_model": "m", "dataset": "d", "prompt": "p", "adapter_name": "a", "learning_rate": 0.0002,
        "lora_config": {"r": 16}, "training_arguments_config": {"seed": 1}, "num_cpu": 1, "num_memory": 1,
    }  # fmt: skip
    evaluation = {
        "dataset": "d", "prompt": "p", "generation_config": {"do_sample": False},
        "model_adapter_combinations": [{"base_model": "m"}, {"base_model": "m", "adapter": "a"}],
    }  # fmt: skip
    templates = {"prompt_template": "{a}: {b}", "input_template": "{a}:", "completion_template": " {b}"}
    hub = {"type": "huggingface", "revision": "0123456789abcdef0123456789abcdef01234567"}
    return [
        manifest("Dataset", "d", {**hub, "huggingface_name": "o/d", "features": ["a", "b"]}),
        manifest("Model", "m", {**hub, "huggingface_model_name": "o/m"}),
        manifest("Prompt", "p", {"dataset": "d", **templates}),
        manifest("Config", "c", {"type": "lora_config", "config": {"r": 16}}),
        manifest("FineTuningJob", "j", job),
        manifest("EvaluationJob", "e", evaluation),
        manifest("ModelExport", "x", {"type": "model_registry", "base_model": "m", "adapter": "a", "model_name": "n",
                                      "generation_config": {"do_sample": False}}),
    ]  # fmt: skip


def test_fingerprints_keep_their_values_because_a_new_definition_would_train_everything_again(tmp_path: Path) -> None:
    assert fingerprints(tmp_path, frozen_project()) == {
        "Config/c": "73b2125b1e40645f91f49a584f32383c40645e8b8285851110e4d1780f6256cb",
        "Dataset/d": "4165c726684795a14b281b8c35bed6a72bb054307f69ea5e0aa8b63bd67e9e7f",
        "Model/m": "257c9c8294aaa8b7f849e12e6a61ec16a98003ae13e44cd5decf127159e7b25c",
        "Prompt/p": "2d22e45e72213ba3325e0012e3ab6fa6935cf093347e003de133d6f9262e2c1f",
        "FineTuningJob/j": "9a10a856ac67dfa17c609a1ba41f194d12f0be602f563d47c8586c550d712562",
        "EvaluationJob/e": "c8929d5b0f10ebbec4cbfd2db8eb95e34e0fca2c669deda3a353c59d2dad7f0b",
        "ModelExport/x": "8f7fca149f902c7946e319775b6b40ac4c80fb280452192c8ff48daa5185e84a",
    }


def test_fingerprints_depend_on_nothing_but_their_input(tmp_path: Path) -> None:
    one = fingerprints(tmp_path / "one", support_desk())
    assert fingerprints(tmp_path / "two", deepcopy(support_desk())) == one


def test_what_feeds_a_fingerprint_is_labelled(tmp_path: Path) -> None:
    made = projects.wanted(projects.write(tmp_path, support_desk()))
    inputs = {str(ref): sorted(item.inputs) for ref, item in made.items.items()}
    assert inputs["Dataset/tickets"] == ["content"]
    assert inputs["FineTuningJob/train"] == ["Config/lora", "Dataset/tickets", "Model/tiny", "Prompt/route"]
    assert "FineTuningJob/train" in inputs["EvaluationJob/compare"]
