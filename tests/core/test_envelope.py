"""A job spec survives its way through an environment variable, and nothing else passes for one."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio import __version__
from studio.core.envelope import MAX_BYTES, SPEC_VARIABLE, pack, unpack
from studio.core.errors import JobError, RefusedError
from studio.core.jobspec import DatasetInput, JobSpec, ModelInput, Tracking, TrainingWork
from studio.core.prompting import Templates

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
ARGUMENTS = st.dictionaries(
    TEXT, st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT), max_size=4
)


def spec(arguments: dict[str, Any] | None = None, prompt: str = "{a}", name: str = "x", attempt: int = 1) -> JobSpec:
    work = TrainingWork(
        model=ModelInput(name="m", type="project", location="models/m"),
        dataset=DatasetInput(name="d", type="project_csv", location="data/d.csv"),
        templates=Templates(prompt=prompt),
        adapter_name="a",
        epochs=1,
        learning_rate=0.001,
        training_arguments=arguments or {},
    )
    return JobSpec(
        key="finetuningjob-x-0000", attempt=attempt, kind="FineTuningJob", name=name, fingerprint="f" * 64,
        environment="default", project_dir="/home/cdsw", run_dir=".studio/runs/finetuningjob-x-0000", work=work,
        tracking=Tracking(tracking_uri="sqlite:///.studio/mlflow.db", experiment="x"),
    )  # fmt: skip


def sealed(content: object) -> dict[str, str]:
    """What carries any content, as the packing does."""
    return {SPEC_VARIABLE: base64.b64encode(zlib.compress(json.dumps(content).encode())).decode()}


@given(ARGUMENTS, TEXT, TEXT, st.integers(1, 1000))
def test_a_spec_arrives_as_it_was_but_for_the_place_it_came_from(
    arguments: dict[str, Any], prompt: str, name: str, attempt: int
) -> None:
    sent = spec(arguments, prompt, name, attempt)
    carried = pack(sent)
    assert unpack({**carried, "HOME": "/"}) == sent.model_copy(update={"project_dir": ""})
    assert list(carried) == [SPEC_VARIABLE] and len(carried[SPEC_VARIABLE]) <= MAX_BYTES


def test_numbers_without_end_arrive() -> None:
    assert (
        unpack(pack(spec({"a": float("inf"), "b": -float("inf")}))).work
        == spec({"a": float("inf"), "b": -float("inf")}).work
    )


@given(st.data())
def test_a_letter_that_changed_on_the_way_is_noticed(data: st.DataObject) -> None:
    text = pack(spec())[SPEC_VARIABLE]
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCxyz019+/=!\n\x00é"))
    changed = text[:at] + other + text[at + 1 :]
    try:
        assert unpack({SPEC_VARIABLE: changed}) == unpack(pack(spec()))  # a bit that base64 or zlib does not use
    except JobError as error:
        assert error.hint


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(JobError):
        unpack({SPEC_VARIABLE: base64.b64encode(noise).decode()})
    with pytest.raises(JobError):
        unpack({SPEC_VARIABLE: base64.b64encode(zlib.compress(noise)).decode()})


@pytest.mark.parametrize("length", [1, 4, 100, -4, -1])
def test_what_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(JobError, match=f"{SPEC_VARIABLE} is damaged"):
        unpack({SPEC_VARIABLE: pack(spec())[SPEC_VARIABLE][:length]})


@pytest.mark.parametrize("environ", [{}, {SPEC_VARIABLE: ""}])
def test_a_job_that_was_started_by_hand_is_told_so(environ: dict[str, str]) -> None:
    with pytest.raises(JobError, match="no job was given") as caught:
        unpack(environ)
    assert "studio apply" in caught.value.hint


@pytest.mark.parametrize("content", [None, 1, [], "x", {}, {"spec": {}}, {"studio": "1"}, {"studio": 1, "spec": {}}])
def test_something_else_is_refused(content: object) -> None:
    with pytest.raises(JobError, match="it holds something else"):
        unpack(sealed(content))


def test_another_version_of_the_spec_is_named_with_who_sent_it() -> None:
    body = json.loads(spec().model_dump_json())
    with pytest.raises(JobError, match=f"sent by studio 9.9 and cannot be read by studio {__version__}") as caught:
        unpack(sealed({"studio": "9.9", "spec": {**body, "version": 2}}))
    assert "version 2" in caught.value.message and "same version" in caught.value.hint


def test_a_field_that_only_the_sender_knows_is_named() -> None:
    body = json.loads(spec().model_dump_json())
    body["work"]["novelty"] = 1
    with pytest.raises(JobError, match=r"work\.training\.novelty: Extra inputs are not permitted"):
        unpack(sealed({"studio": "9.9", "spec": body}))


def test_a_spec_that_does_not_fit_is_refused_before_it_is_sent() -> None:
    noise = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=200_000))
    with pytest.raises(RefusedError, match="at most 96 KiB fit") as caught:
        pack(spec(prompt=noise))
    assert "configs and templates" in caught.value.hint


def test_a_long_spec_that_compresses_well_fits() -> None:
    assert unpack(pack(spec(prompt="a customer writes: {a} " * 20_000))).key == spec().key


def test_what_unpacks_without_end_is_refused() -> None:
    bomb = base64.b64encode(zlib.compress(b" " * (64 << 20), 9)).decode()
    assert len(bomb) < MAX_BYTES
    with pytest.raises(JobError, match="larger than"):
        unpack({SPEC_VARIABLE: bomb})


def test_deep_nesting_is_refused() -> None:
    text = base64.b64encode(zlib.compress(b"[" * 1_000_000)).decode()
    with pytest.raises(JobError, match="not JSON"):
        unpack({SPEC_VARIABLE: text})


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(RefusedError, match="no Unicode"):
        pack(spec(prompt="\ud800"))


def test_the_largest_envelope_is_passed_on_by_a_process() -> None:
    text = "x" * MAX_BYTES
    code = f"import os; print(len(os.environ[{SPEC_VARIABLE!r}]))"
    env = {**os.environ, SPEC_VARIABLE: text}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert int(said.stdout) == MAX_BYTES
