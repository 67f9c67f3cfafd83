"""The content of a Config, and what is wrong with its text."""

from __future__ import annotations

import pytest

from studio import api
from studio.core.references import Ref
from studio.load import configs
from studio.resources.config import Config

BROKEN = {
    "axolotl": ["a: [b\n c: }", "", "# nothing", "- a", "[[a, b]]", "text", "!tag {a: 1}", "[" * 500],
    "lora_config": ["{", "", "[]", '[["a", 1]]', "null", "[" * 100_000],
}
CASES = [(type, text) for type, texts in BROKEN.items() for text in texts]


def config(type: str, text: str) -> Config:
    return Config(
        apiVersion="studio/v1", kind="Config", metadata={"name": "broken"}, spec={"type": type, "config": text}
    )


@pytest.mark.parametrize(("type", "text"), [("axolotl", "a: {b: 1}"), ("lora_config", '{"a": {"b": 1}}')])
def test_text_says_what_a_mapping_would(type: str, text: str) -> None:
    assert configs.content(config(type, text)) == {"a": {"b": 1}}


@pytest.mark.parametrize(("type", "text"), CASES, ids=lambda value: value[:20])
def test_text_that_is_no_mapping_is_a_value_error(type: str, text: str) -> None:
    with pytest.raises(ValueError, match="Config/broken"):
        configs.content(config(type, text))


@pytest.mark.parametrize(("type", "text"), CASES, ids=lambda value: value[:20])
def test_a_broken_config_is_reported_whatever_uses_it(type: str, text: str) -> None:
    fields = ("axolotl_config", "lora_config", "training_arguments_config", "model_bnb_config")
    job = {"framework_type": "legacy", "base_model": "m", "adapter_name": "a", **dict.fromkeys(fields, "broken")}
    documents = [
        {"kind": "Config", "metadata": {"name": "broken"}, "spec": {"type": type, "config": text}},
        {"kind": "FineTuningJob", "metadata": {"name": "job"}, "spec": job},
    ]
    found = api.validate(api.from_documents([{"apiVersion": "studio/v1", **document} for document in documents]))
    assert Ref("Config", "broken") in {finding.resource for finding in found}
