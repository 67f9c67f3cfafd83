"""What a field's mark promises, for every field of every kind: only outcomes run jobs again, and outcomes always do."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.checking import Checked
from studio.core.references import Ref
from studio.plan.actions import Action, Verb
from studio.resources import KINDS
from studio.resources.base import Effect, FieldMark
from studio.workflow import planning
from tests import projects
from tests.invariants import changes
from tests.invariants.changes import AXOLOTL, METADATA, OTHERS, SUBJECTS, WITHOUT, World, edited

FIELDS = [(kind, path, mark) for kind, path, mark in changes.fields() if (kind, path) not in WITHOUT]
NAMES = [f"{kind}.{path} {mark.effect.value}" for kind, path, mark in FIELDS]


def actions(root: Path, before: World, after: World) -> dict[Ref, Action]:
    """What a plan says of a project that was applied as it was before; both must be without a fault."""
    past = projects.recorded(projects.wanted(changes.write(root, before)))
    check_valid(root)
    changes.write(root, after)
    check_valid(root)
    return {action.ref: action for action in projects.plan(root, past).actions}


def check_valid(root: Path) -> None:
    found = planning.plan(root, "default")
    assert not isinstance(found, Checked), [str(error) for error in found.errors]


def test_every_field_of_every_kind_is_changed() -> None:
    there = {(kind, path) for kind, path, _ in changes.fields()}
    changed = {(kind, path) for kind, others in OTHERS.items() for path in others}
    assert changed | set(WITHOUT) == there and not changed & set(WITHOUT)
    assert set(SUBJECTS) == set(KINDS)


@pytest.mark.parametrize(("kind", "path", "mark"), FIELDS, ids=NAMES)
def test_a_change_does_what_its_fields_mark_promises(tmp_path: Path, kind: str, path: str, mark: FieldMark) -> None:
    other = OTHERS[kind][path]
    subject = other.subject(kind)
    before = edited(changes.world(), {subject: other.given})
    found = actions(tmp_path, before, edited(before, {**other.also, subject: other.spec}))
    running = {ref.name for ref, action in found.items() if action.dispatches or action.chooses}
    assert found[subject].verb is not Verb.NONE
    if mark.effect is Effect.OUTCOME:
        assert running >= other.users(kind), found[subject].reason
    else:
        assert running == set() and found[subject].verb is Verb.UPDATE


@pytest.mark.parametrize("name", METADATA)
def test_metadata_never_runs_a_job_again(tmp_path: Path, name: str) -> None:
    before, after = changes.world(), changes.world()
    for document in after.documents:
        value = METADATA[name]
        document["metadata"][name] = f"{value}-{document['metadata']['name']}" if name == "renamed_from" else value
    if name == "uid":  # an id is one resource's
        after.documents[1:] = before.documents[1:]
    found = actions(tmp_path, before, after)
    assert {action.verb for action in found.values()} <= {Verb.UPDATE, Verb.NONE}
    assert name == "renamed_from" or any(action.verb is Verb.UPDATE for action in found.values())


def test_a_default_config_that_comes_into_force_runs_exactly_the_jobs_that_name_none(tmp_path: Path) -> None:
    before = changes.world()
    jobs = [Ref("FineTuningJob", name) for name in ("train", "again", "other")]
    before = edited(before, {jobs[1]: {"lora_config": None}})
    after = edited(before, {Ref("Config", "unused"): {"default": True, "model_family": "LlamaForCausalLM"}})
    found = actions(tmp_path, before, after)
    assert [ref for ref in jobs if found[ref].dispatches] == [jobs[1]]


def test_a_default_that_axolotl_does_not_read_trains_no_axolotl_job_again(tmp_path: Path) -> None:
    """Axolotl has its own configuration; only what the job itself names is laid over it."""
    names = ("train", "again", "other")
    axolotl, named, legacy = (Ref("FineTuningJob", name) for name in names)
    before = edited(
        changes.world(),
        {
            axolotl: {**AXOLOTL, "lora_config": None, "training_arguments_config": None},
            named: {**AXOLOTL, "lora_config": "unused", "training_arguments_config": None},
            legacy: {"lora_config": None, "training_arguments_config": None},
        },
    )
    family = {"default": True, "model_family": "LlamaForCausalLM"}
    arguments = projects.manifest(
        "Config", "fast", {"type": "training_arguments", "config": {"learning_rate": 0.3}, **family}
    )
    lora = edited(before, {Ref("Config", "unused"): family})
    for after, again in ((lora, [legacy]), (World([*before.documents, arguments], before.files), [legacy])):
        found = actions(tmp_path, before, after)
        assert [ref for ref in (axolotl, named, legacy) if found[ref].dispatches] == again
    found = actions(tmp_path, lora, edited(lora, {Ref("Config", "unused"): {"config": {"r": 3}}}))
    assert [ref for ref in (axolotl, named, legacy) if found[ref].dispatches] == [named, legacy]
