"""Accelerator labels: the one that is asked for, and more GPUs than a job can get."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.core.errors import RefusedError
from studio.core.jobspec import Resources
from tests.backends.workspace.places import KEY, backend, prepared, training
from tests.fakes.cml_server import Workspace
from tests.fakes.workspace import faults


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with prepared(tmp_path / "project") as found:
        limits = zip(found.state.labels, ("4", "2"), strict=True)
        found.state.labels[:] = [{**label, "max_gpu_per_workload": limit} for label, limit in limits]
        yield found


def labelled(workspace: Workspace) -> list[str]:
    return [job["accelerator_label_id"] for job in workspace.state.jobs.values() if job["name"].startswith(KEY)]


def test_a_job_gets_the_label_that_its_manifest_names(workspace: Workspace) -> None:
    backend(workspace).submit(training(resources=Resources(gpu=2, gpu_label=2)))
    assert labelled(workspace) == ["2"]


def test_a_label_that_is_not_there_is_refused_with_those_that_are(workspace: Workspace) -> None:
    with pytest.raises(RefusedError, match="no accelerator label 7") as caught:
        backend(workspace).submit(training(resources=Resources(gpu=1, gpu_label=7)))
    assert "1 (NVIDIA-A100-SXM4-80GB); 2 (Tesla-T4)" in caught.value.message
    assert caught.value.hint == "correct gpu_label_id" and labelled(workspace) == []


def test_a_workspace_without_labels_says_so(workspace: Workspace) -> None:
    workspace.state.labels.clear()
    with pytest.raises(RefusedError, match="there are: none"):
        backend(workspace).submit(training(resources=Resources(gpu=1, gpu_label=1)))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Resources(gpu=3, gpu_label=2), r"asks for 3 GPU of the label 2 \(Tesla-T4\), a job may have at most 2"),
        (Resources(gpu=8), "asks for 8 GPU, a job may have at most 4 of any label"),
    ],
)
def test_more_gpus_than_a_job_can_get_are_refused_with_the_figures(
    workspace: Workspace, asked: Resources, expected: str
) -> None:
    with pytest.raises(RefusedError, match=expected):
        backend(workspace).submit(training(resources=asked))
    assert labelled(workspace) == []


@pytest.mark.parametrize("said", ["", "0", None, "many"])
def test_a_label_that_names_no_limit_has_none(workspace: Workspace, said: str | None) -> None:
    workspace.state.labels[0]["max_gpu_per_workload"] = said
    backend(workspace).submit(training(resources=Resources(gpu=64)))
    assert len(labelled(workspace)) == 1


def test_without_gpus_nobody_asks_for_labels_and_with_them_once(workspace: Workspace) -> None:
    used = backend(workspace)
    used.submit(training())
    assert workspace.count("list_all_accelerator_node_labels") == 0
    for number in range(3):
        used.submit(training(f"{KEY}-{number}", resources=Resources(gpu=1)))
    assert workspace.count("list_all_accelerator_node_labels") == 1


@pytest.mark.parametrize("fault", [faults.FORBIDDEN, faults.NOT_FOUND])
def test_who_may_not_list_labels_may_use_gpus_but_no_label(workspace: Workspace, fault: faults.Fault) -> None:
    workspace.faults.always("list_all_accelerator_node_labels", fault)
    used = backend(workspace)
    used.submit(training(resources=Resources(gpu=1)))
    with pytest.raises(RefusedError):
        used.submit(training(f"{KEY}-labelled", resources=Resources(gpu=1, gpu_label=1)))
    used.submit(training(f"{KEY}-again", resources=Resources(gpu=1)))
    assert workspace.count("list_all_accelerator_node_labels") == 1
