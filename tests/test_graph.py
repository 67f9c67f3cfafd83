"""References to a graph: what resolves to what, in which order, and which circles there are."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.findings import Source
from studio.core.references import Ref
from studio.graph import Graph, build, producer
from studio.load.manifests import parse_manifest
from studio.load.project import shipped_defaults
from studio.resources.base import Resource
from tests.projects import Document, manifest, support_desk

DEFAULTS = {ref: each.resource for ref, each in shipped_defaults().items()}


def parsed(documents: Iterable[Document]) -> dict[Ref, Resource]:
    found = {}
    for document in documents:
        each, problems = parse_manifest(document, Source("a.yaml"))
        assert each is not None and problems == []
        found[each.resource.ref] = each.resource
    return found


def graph_of(*documents: Document) -> Graph:
    return build(parsed(documents), DEFAULTS)


def ref(text: str) -> Ref:
    return Ref.parse(text)


def names(refs: Iterable[Ref]) -> list[str]:
    return [str(each) for each in refs]


JOB = manifest("FineTuningJob", "job", {"base_model": "m", "adapter_name": "made"})
MODEL = manifest("Model", "m")


def evaluation(adapter: str) -> Document:
    return manifest("EvaluationJob", "e", {"model_adapter_combinations": [{"base_model": "m", "adapter": adapter}]})


ADAPTER_PATH = ("spec", "model_adapter_combinations", 0, "adapter")


def test_an_adapter_that_a_job_produces_leads_to_the_job() -> None:
    graph = graph_of(MODEL, JOB, evaluation("made"))
    target = graph.target(ref("EvaluationJob/e"), *ADAPTER_PATH)
    assert target == ref("FineTuningJob/job") and producer(graph, target) == ref("FineTuningJob/job")
    assert names(graph.upstream(ref("EvaluationJob/e"))) == ["FineTuningJob/job", "Model/m"]


def test_an_adapter_with_a_manifest_leads_to_the_manifest_and_from_there_to_its_job() -> None:
    made = manifest("Adapter", "made", {"model": "m", "fine_tuning_job": "job"})
    graph = graph_of(MODEL, JOB, made, evaluation("made"))
    target = graph.target(ref("EvaluationJob/e"), *ADAPTER_PATH)
    assert target == ref("Adapter/made") and producer(graph, target) == ref("FineTuningJob/job")


def test_an_adapter_from_elsewhere_has_no_producer() -> None:
    graph = graph_of(MODEL, manifest("Adapter", "found", {"model": "m"}), evaluation("found"))
    assert producer(graph, ref("Adapter/found")) is None


def test_the_producers_of_a_name_are_all_the_jobs_that_claim_it() -> None:
    twin = manifest("FineTuningJob", "twin", {"adapter_name": "made"})
    assert names(graph_of(MODEL, JOB, twin).producers["made"]) == ["FineTuningJob/job", "FineTuningJob/twin"]


@pytest.mark.parametrize("adapter", ["mad", "job", "m"])
def test_a_name_that_nothing_has_stays_unresolved(adapter: str) -> None:
    graph = graph_of(MODEL, JOB, evaluation(adapter))
    [lost] = graph.unresolved[ref("EvaluationJob/e")]
    assert (lost.kind, lost.name, lost.path) == ("Adapter", adapter, ADAPTER_PATH)


def test_a_shipped_default_joins_only_where_it_is_named() -> None:
    named = manifest("FineTuningJob", "job", {"lora_config": "default-lora"})
    assert names(graph_of(JOB, MODEL).resources) == ["FineTuningJob/job", "Model/m"]
    assert names(graph_of(named).resources) == ["FineTuningJob/job", "Config/default-lora"]


def test_a_config_of_the_project_takes_the_place_of_a_shipped_one_of_its_name() -> None:
    own = manifest("Config", "default-lora", {"type": "lora_config", "config": {"r": 1}})
    graph = graph_of(own, manifest("FineTuningJob", "job", {"lora_config": "default-lora"}))
    assert graph.resources[ref("Config/default-lora")] is not DEFAULTS[ref("Config/default-lora")]


def test_the_names_of_a_kind_include_the_adapters_that_jobs_make() -> None:
    graph = graph_of(MODEL, JOB, manifest("Adapter", "own"))
    assert graph.names("Adapter") == ["made", "own"] and graph.names("Model") == ["m"]


def test_a_descriptive_reference_orders_but_does_not_determine() -> None:
    graph = graph_of(manifest("Dataset", "d"), manifest("Prompt", "p", {"dataset": "d"}))
    assert names(graph.upstream(ref("Prompt/p"))) == ["Dataset/d"]
    assert graph.outcome_upstream(ref("Prompt/p")) == ()


def test_what_is_up_and_down_the_stream_is_told_all_the_way() -> None:
    graph = graph_of(*support_desk())
    assert names(sorted(graph.downstream(ref("FineTuningJob/train")))) == ["EvaluationJob/compare", "ModelExport/release"]
    assert len(graph.ancestors(ref("ModelExport/release"))) == 6
    assert graph.downstream(ref("Model/nowhere")) == graph.ancestors(ref("Model/nowhere")) == set()


# Circles


def circle(*jobs: str) -> list[Document]:
    """Adapters and jobs in a circle: each job names, through an adapter, the evaluation that needs the next one."""
    found = []
    for here, after in zip(jobs, (*jobs[1:], jobs[0]), strict=True):
        found.append(manifest("Adapter", here, {"fine_tuning_job": here, "prompt": here}))
        found.append(manifest("FineTuningJob", here, {"adapter_name": f"made-by-{here}", "prompt": here}))
        found.append(manifest("Prompt", here, {"dataset": here}))
        found.append(manifest("Dataset", here))
        found.append(manifest("ModelExport", here, {"adapter": here, "requires": [f"e-{after}"]}))
    return found


def test_a_project_without_a_circle_reports_none() -> None:
    assert graph_of(*support_desk(), *circle("a", "b")).cycles == []


def test_a_resource_that_needs_itself_is_a_circle_of_one() -> None:
    graph = build(parsed([manifest("Adapter", "a", {"model": "a"})]), {})
    assert graph.cycles == []
    graph._dag.add_edge(ref("Adapter/a"), ref("Adapter/a"))
    graph.cycles.clear()
    assert graph.unresolved


# Order


@given(st.randoms(use_true_random=False))
def test_the_order_is_the_same_however_the_manifests_are_shuffled(random: Random) -> None:
    documents = support_desk()
    expected = names(graph_of(*documents).order())
    random.shuffle(documents)
    assert names(graph_of(*documents).order()) == expected


def test_everything_comes_after_what_it_needs() -> None:
    graph = graph_of(*support_desk())
    order = graph.order()
    for each in order:
        assert all(order.index(need) < order.index(each) for need in graph.upstream(each))


def test_ties_are_broken_by_kind_and_name() -> None:
    documents = [manifest("Model", name) for name in "cab"] + [manifest("Dataset", "z")]
    assert names(graph_of(*documents).order()) == ["Dataset/z", "Model/a", "Model/b", "Model/c"]
