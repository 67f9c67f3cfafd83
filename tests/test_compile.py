"""Jobs compiled from manifests: what a review found missing stays in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from studio.compile import Target, compile_job
from studio.core.job_keys import job_key
from studio.core.jobspec import EvaluationWork, JobSpec, TrainingWork
from studio.core.references import Ref
from studio.state.base import Artifact
from studio.state.sql import EmptyState
from studio.workflow import planning

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PROJECT = """\
apiVersion: studio/v1
kind: Project
metadata: {name: desk}
spec: {allow_remote_code: [acme/small]}
"""
MANIFESTS = """\
apiVersion: studio/v1
kind: Dataset
metadata: {name: replies}
spec: {type: huggingface, huggingface_name: acme/replies, revision: %(commit)s%(features)s}
---
apiVersion: studio/v1
kind: Model
metadata: {name: small}
spec: {type: huggingface, huggingface_model_name: acme/small, revision: %(commit)s}
---
apiVersion: studio/v1
kind: Prompt
metadata: {name: reply}
spec:
  dataset: replies
  prompt_template: "Q: {text}\\nA: {answer}"
  input_template: "Q: {text}\\nA:"
  completion_template: " {answer}"
---
apiVersion: studio/v1
kind: FineTuningJob
metadata: {name: train}
spec: {base_model: small, dataset: replies, prompt: reply, adapter_name: tuned, num_cpu: 1, num_memory: 1}
---
apiVersion: studio/v1
kind: EvaluationJob
metadata: {name: compare}
spec:
  dataset: replies
  prompt: reply
  model_adapter_combinations: [{base_model: small}, {base_model: small, adapter: tuned}]
  metrics: [exact_match]
  num_cpu: 1
  num_gpu: 0
  num_memory: 1
"""


class Trained(EmptyState):
    """A state in which every adapter has been trained."""

    def artifact(self, kind: str, fingerprint: str) -> Artifact | None:
        output = {"adapter": "adapters/tuned", "digest": "d" * 64}
        return Artifact(kind, fingerprint, output, "k", "r", "", "", 1.0, {}, "2026-01-01T00:00:00Z")


def planned(root: Path, features: str = "") -> planning.Planned:
    (root / "manifests").mkdir(parents=True, exist_ok=True)
    (root / "studio.yaml").write_text(PROJECT)
    (root / "manifests" / "all.yaml").write_text(MANIFESTS % {"commit": COMMIT, "features": features})
    found = planning.plan(root, "default")
    assert isinstance(found, planning.Planned), found.findings
    return found


def compiled(root: Path, kind: str, name: str) -> JobSpec:
    found = planned(root)
    target = Target(root, found.checked.loaded.settings, "default", "")
    return compile_job(found.desire.items[Ref(kind, name)], found.desire, target, Trained(), 1)


def test_rows_of_a_hub_data_set_that_training_saw_are_left_out_without_declared_features(tmp_path: Path) -> None:
    work = compiled(tmp_path, "EvaluationJob", "compare").work
    assert isinstance(work, EvaluationWork)
    assert [seen.dataset_digest for seen in work.seen] == [work.dataset.digest] and work.dataset.digest


def test_declaring_the_features_of_a_hub_data_set_retrains_nothing(tmp_path: Path) -> None:
    before = planned(tmp_path / "a").desire.items
    after = planned(tmp_path / "b", ", features: [text, answer]").desire.items
    assert {ref: item.fingerprint for ref, item in before.items()} == {r: i.fingerprint for r, i in after.items()}


def test_remote_code_is_trusted_by_hub_name_only(tmp_path: Path) -> None:
    work = compiled(tmp_path, "FineTuningJob", "train").work
    assert isinstance(work, TrainingWork) and work.model.trust_remote_code
    found = planned(tmp_path)
    spec = found.desire.graph.resources[Ref("Model", "small")]
    local = spec.model_copy(update={"spec": spec.spec.model_copy(update={"type": "project", "location": "evil"})})
    found.desire.graph.resources[Ref("Model", "small")] = local
    target = Target(tmp_path, found.checked.loaded.settings, "default", "")
    job = compile_job(found.desire.items[Ref("FineTuningJob", "train")], found.desire, target, Trained(), 1)
    assert isinstance(job.work, TrainingWork) and not job.work.model.trust_remote_code


def test_a_job_is_named_by_kind_name_and_fingerprint(tmp_path: Path) -> None:
    item = planned(tmp_path).desire.items[Ref("FineTuningJob", "train")]
    assert job_key(item.ref, item.fingerprint) == f"finetuningjob-train-{item.fingerprint[:16]}"


def test_secrets_travel_as_names_of_variables(tmp_path: Path) -> None:
    spec = compiled(tmp_path, "FineTuningJob", "train")
    assert spec.secrets == {"hf_token": "HUGGINGFACE_ACCESS_TOKEN"}


def test_a_job_knows_the_names_that_its_manifest_gives_and_those_of_the_defaults_in_force(tmp_path: Path) -> None:
    names = compiled(tmp_path, "EvaluationJob", "compare").names
    assert (names["dataset"], names["prompt"]) == ("replies", "reply")
    assert names["generation_config"] and "model_bnb_config" not in names
    trained = compiled(tmp_path, "FineTuningJob", "train").names
    assert (trained["base_model"], trained["prompt"]) == ("small", "reply")
    assert trained["lora_config"] and trained["training_arguments_config"] and "axolotl_config" not in trained


def test_a_config_that_is_written_into_the_job_has_no_name(tmp_path: Path) -> None:
    found = planned(tmp_path)
    item = found.desire.items[Ref("FineTuningJob", "train")]
    inline = item.resource.model_copy(
        update={"spec": item.resource.spec.model_copy(update={"lora_config": {"r": 4}})}  # type: ignore[attr-defined]
    )
    target = Target(tmp_path, found.checked.loaded.settings, "default", "")
    assert "lora_config" not in compile_job(replace(item, resource=inline), found.desire, target, Trained(), 1).names
