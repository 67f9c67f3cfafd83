"""References to a graph: what resolves to what, in which order, and which circles there are."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from random import Random
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Strict

from studio.core.findings import Source
from studio.core.references import Ref
from studio.graph import Graph, build, producer
from studio.load.manifests import parse_manifest
from studio.load.project import shipped_defaults
from studio.resources.base import OUTCOME, Metadata, Resource, Spec, field
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
    assert graph.names("Adapter") == ("made", "own") and graph.names("Model") == ("m",)


def test_a_descriptive_reference_orders() -> None:
    graph = graph_of(manifest("Dataset", "d"), manifest("Prompt", "p", {"dataset": "d"}))
    assert names(graph.upstream(ref("Prompt/p"))) == ["Dataset/d"]


def test_what_is_up_and_down_the_stream_is_told_all_the_way() -> None:
    graph = graph_of(*support_desk())
    assert names(sorted(graph.downstream(ref("FineTuningJob/train")))) == [
        "EvaluationJob/compare",
        "ModelExport/release",
    ]
    assert len(graph.ancestors(ref("ModelExport/release"))) == 6
    assert graph.downstream(ref("Model/nowhere")) == graph.ancestors(ref("Model/nowhere")) == set()


# Circles: the kinds there are cannot form one; a kind that could come to exist can


class ThingSpec(Spec):
    needs: Annotated[tuple[str, ...], Strict(False)] = field(OUTCOME, "What it needs.", (), references="Thing")


class Thing(Resource):
    kind: Literal["Thing"] = "Thing"
    spec: ThingSpec


def things(needs: dict[str, str]) -> Graph:
    made = [Thing(metadata=Metadata(name=name), spec=ThingSpec(needs=tuple(of.split()))) for name, of in needs.items()]
    return build({each.ref: each for each in made}, {})


@pytest.mark.parametrize(
    ("needs", "circles"),
    [
        ({"a": "", "b": "a", "c": "a b"}, []),
        ({"a": "a"}, ["a a"]),
        ({"a": "b", "b": "a"}, ["a b a"]),
        ({"c": "a", "a": "b", "b": "c"}, ["a b c a"]),
        ({"x": "y", "y": "x", "b": "a", "a": "b", "z": "x a"}, ["a b a", "x y x"]),
        ({"a": "b", "b": "c d", "c": "b", "d": ""}, ["b c b"]),
        ({"d": "c", "c": "b", "b": "c"}, ["b c b"]),
    ],
)
def test_a_circle_is_told_as_a_path_in_which_each_needs_the_next(needs: dict[str, str], circles: list[str]) -> None:
    assert [" ".join(each.name for each in cycle) for cycle in things(needs).cycles] == circles


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3), min_size=1))
def test_whatever_the_references_every_circle_is_real_and_none_is_missed(needs: dict[str, list[str]]) -> None:
    graph = things({name: " ".join(of) for name, of in needs.items()})
    for cycle in graph.cycles:
        assert cycle[0] == cycle[-1] and len(cycle) > 1
        assert all(after in graph.upstream(here) for here, after in pairwise(cycle))
    if not graph.cycles:
        assert sorted(graph.order) == sorted(graph.resources)
    needs_itself = any(
        each in (need, *graph.ancestors(need)) for each in graph.resources for need in graph.upstream(each)
    )
    assert bool(graph.cycles) is needs_itself


def test_the_circles_are_the_same_however_the_manifests_are_ordered() -> None:
    needs = {"a": "b", "b": "c", "c": "a", "x": "y", "y": "x"}
    assert things(needs).cycles == things(dict(reversed(needs.items()))).cycles


# Order


@given(st.randoms(use_true_random=False))
def test_the_order_is_the_same_however_the_manifests_are_shuffled(random: Random) -> None:
    documents = support_desk()
    expected = names(graph_of(*documents).order)
    random.shuffle(documents)
    assert names(graph_of(*documents).order) == expected


def test_everything_comes_after_what_it_needs() -> None:
    graph = graph_of(*support_desk())
    order = graph.order
    for each in order:
        assert all(order.index(need) < order.index(each) for need in graph.upstream(each))


def test_ties_are_broken_by_kind_and_name() -> None:
    documents = [manifest("Model", name) for name in "cab"] + [manifest("Dataset", "z")]
    assert names(graph_of(*documents).order) == ["Dataset/z", "Model/a", "Model/b", "Model/c"]
