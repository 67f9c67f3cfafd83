"""What a descriptive change says of a thing outside its record: carried out by a small job, and recorded after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio.apply.outcome import Ending, Outcome
from studio.backends import BACKENDS
from studio.core.jobspec import CopyRevision, RevisionWork
from studio.core.references import Ref
from studio.plan.actions import Action
from studio.resources import KINDS
from studio.resources.base import Effect, Metadata, Part, marks
from studio.resources.evaluation_job import Gate
from studio.resources.prompt import PromptExample
from studio.resources.scope import Made
from studio.state.base import RecordStatus
from studio.workflow import applying, places, planning
from tests import projects
from tests.fakes.backend import CountingBackend, failed
from tests.projects import changed, support_desk, with_spec
from tests.test_apply import Notes

TRAIN, RELEASE = Ref("FineTuningJob", "train"), Ref("ModelExport", "release")
DECISION = (projects.ROOT / "docs" / "decisions" / "0008-what-descriptions-reach.md").read_text("utf-8")
WORDS = {"model_description": "Routes tickets"}


@dataclass
class Desk:
    root: Path
    backend: CountingBackend

    def write(self, documents: list[projects.Document]) -> None:
        projects.write(self.root, documents)

    def planned(self, environment: str = "default") -> planning.Planned:
        planned = planning.plan(self.root, environment)
        assert isinstance(planned, planning.Planned), planned.findings
        return planned

    def pending(self, environment: str = "default") -> dict[Ref, Action]:
        return {action.ref: action for action in self.planned(environment).plan.pending}

    def apply(self, environment: str = "default") -> dict[Ref, Outcome]:
        return applying.apply(self.planned(environment), Notes(), 4).outcomes

    def revisions(self) -> list[RevisionWork]:
        works = [self.backend.specs[key].work for key, _ in self.backend.submissions if key.startswith("revise-")]
        return [work for work in works if isinstance(work, RevisionWork)]

    def record(self, ref: Ref) -> Any:
        return self.planned().state.records()[ref]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    root = projects.write(tmp_path / "desk", with_spec(support_desk(), "ModelExport", **WORDS))
    (root / "copies").mkdir()
    backend = CountingBackend(root)
    monkeypatch.setitem(BACKENDS, "local", lambda site: backend)
    monkeypatch.setattr(places, "pause", lambda _: None)
    made = Desk(root, backend)
    made.apply()
    assert made.pending() == {} and made.revisions() == []
    yield made


def described(words: str) -> list[projects.Document]:
    return with_spec(support_desk(), "ModelExport", model_description=words)


def test_a_new_description_is_said_by_a_small_job_and_nothing_is_made_again(desk: Desk) -> None:
    desk.write(described("Routes tickets well"))
    [action] = desk.pending().values()
    assert action.verb.value == "update" and action.revises and not action.dispatches
    assert [change.reason for change in action.changes] == ["changed where it is; nothing is made again"]
    assert desk.apply()[RELEASE].ending is Ending.DONE
    [work] = desk.revisions()
    [version] = work.versions
    assert (version.model_name, version.model_version, version.description) == ("router", "1", "Routes tickets well")
    record = desk.record(RELEASE)
    assert version.tags == {"studio.key": record.outcome["run_key"], "studio.fingerprint": record.fingerprint}
    assert record.spec["model_description"] == "Routes tickets well"
    assert record.outcome["output"]["description"] == "Routes tickets well"
    assert desk.pending() == {} and len(desk.backend.submissions) == 4


def test_a_description_that_goes_is_taken_away_too(desk: Desk) -> None:
    desk.write(support_desk())
    desk.apply()
    assert [work.versions[0].description for work in desk.revisions()] == [""] and desk.pending() == {}


def test_a_revision_that_fails_leaves_the_record_and_is_tried_again(desk: Desk) -> None:
    desk.write(described("Routes tickets well"))
    desk.backend.ends["release"] = failed("the registry is closed")
    outcome = desk.apply()[RELEASE]
    assert outcome.ending is Ending.FAILED and "closed" in outcome.message
    record = desk.record(RELEASE)
    assert record.status is RecordStatus.READY and record.spec["model_description"] == "Routes tickets"
    [action] = desk.pending().values()
    assert action.verb.value == "update" and action.revises
    del desk.backend.ends["release"]
    assert desk.apply()[RELEASE].ending is Ending.DONE
    assert [attempt for key, attempt in desk.backend.submissions if key.startswith("revise-")] == [1, 2]
    assert desk.record(RELEASE).spec["model_description"] == "Routes tickets well" and desk.pending() == {}


def test_going_back_and_forth_says_each_thing_once_more(desk: Desk) -> None:
    for words in ("one", "two", "one"):
        desk.write(described(words))
        desk.apply()
    assert [work.versions[0].description for work in desk.revisions()] == ["one", "two", "one"]
    assert desk.pending() == {}


def test_other_descriptive_changes_of_an_export_run_no_job(desk: Desk) -> None:
    documents = with_spec(support_desk(), "ModelExport", **WORDS, requires=[])
    desk.write(changed(documents, "ModelExport", lambda each: each["metadata"].update(title="Words")))
    [action] = desk.pending().values()
    assert action.verb.value == "update" and not action.revises
    desk.apply()
    assert desk.revisions() == [] and desk.pending() == {}


def copied(desk: Desk, **spec: str) -> list[CopyRevision]:
    documents = with_spec(support_desk(), "ModelExport", **WORDS)
    desk.write(with_spec(documents, "FineTuningJob", **spec))
    desk.apply()
    assert desk.pending() == {}
    return [copy for work in desk.revisions() for copy in work.copies]


def test_an_adapter_is_copied_where_out_dir_says_and_training_does_not_run_again(desk: Desk) -> None:
    (desk.root / "others").mkdir()
    [copy] = copied(desk, out_dir="copies")
    output = desk.record(TRAIN).outcome["output"]
    assert copy == CopyRevision(source=output["adapter"], digest=output["digest"], target="copies/router")
    assert output["copies"] == ["copies/router"]
    assert [each.target for each in copied(desk, out_dir="others")] == ["copies/router", "others/router"]
    assert len(copied(desk)) == 2  # what was copied stays, and nothing is copied
    assert len(copied(desk, out_dir="copies")) == 2  # it is there already
    assert not any(key.endswith("-2") for key, _ in desk.backend.submissions)


def test_a_reused_adapter_is_copied_before_it_is_recorded(desk: Desk) -> None:
    patch = "{target: {kind: FineTuningJob}, patch: {spec: {out_dir: copies}}}"
    settings = f"{projects.SETTINGS}spec: {{environments: {{prod: {{patches: [{patch}]}}}}}}\n"
    (desk.root / "studio.yaml").write_text(settings)
    assert desk.pending("prod")[TRAIN].verb.value == "reuse"
    outcomes = desk.apply("prod")
    assert outcomes[TRAIN].ending is Ending.DONE and outcomes[RELEASE].ending is Ending.REUSED
    [work] = desk.revisions()
    assert work.copies[0].target == "copies/router" and desk.pending("prod") == {} and desk.pending() == {}


def test_a_revision_under_way_is_attached_to_and_never_started_twice(desk: Desk) -> None:
    desk.write(described("Routes tickets well"))
    desk.backend.polls = 3
    planned = desk.planned()
    from studio.apply.manner import Manner

    applying.apply(planned, Notes(), 4, manner=Manner(detach=True))
    begun = len(desk.backend.submissions)
    assert desk.pending()[RELEASE].revises and not desk.pending()[RELEASE].attaches
    desk.backend.polls = 0
    assert desk.apply()[RELEASE].ending is Ending.DONE
    assert desk.pending() == {} and len(desk.backend.submissions) == begun


def parts(kind: str) -> list[type[Part]]:
    return [KINDS[kind].model.model_fields["spec"].annotation]  # type: ignore[list-item]


@pytest.mark.parametrize("kind", KINDS)
def test_every_descriptive_field_is_decided_upon(kind: str) -> None:
    """Decision 8 says of each what a change of it reaches."""
    rows = [line for line in DECISION.splitlines() if line.startswith(f"| {kind} |")]
    for mark in marks(parts(kind)[0]):
        if mark.effect is Effect.DESCRIPTIVE:
            assert any(f"`{mark.name}`" in row.split("|")[2] for row in rows), mark.name
        if mark.revised:
            assert KINDS[kind].revise and any("carried out" in row for row in rows if f"`{mark.name}`" in row)
    everywhere = next(line for line in DECISION.splitlines() if line.startswith("| all |"))
    assert all(f"`{mark.name}`" in everywhere for mark in marks(Metadata))


def test_parts_of_descriptive_fields_describe_nothing_else() -> None:
    assert {mark.effect for part in (Gate, PromptExample) for mark in marks(part)} == {Effect.DESCRIPTIVE}


@pytest.mark.parametrize("kind", [kind for kind, declared in KINDS.items() if declared.revise])
def test_what_was_never_made_is_not_revised(kind: str) -> None:
    document = projects.pick(support_desk(), kind)
    resource = KINDS[kind].model.model_validate(document)
    revise = KINDS[kind].revise
    assert revise and revise(resource, Made({}, "", ""), True) is None
