"""Base models of one evaluation share a machine one after the other."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from studio.core.jobresult import EvaluationOutput
from studio.jobs.evaluation import run
from studio.jobs.events import EventLog
from studio.jobs.model import models

from ..workbench import MODEL, MakeSpec, evaluation


@pytest.mark.slow
def test_a_base_has_left_memory_when_the_next_one_comes(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    bases: list[dict[str, Any]] = [{"model": {**MODEL, "name": name}} for name in ("first", "second", "third")]
    spec = make_spec(evaluation(combinations=bases, metrics=["exact_match"], generation={"max_new_tokens": 2}))
    spec.folder.mkdir(parents=True)
    held: list[weakref.ref[Any]] = []
    still: list[int] = []
    load = models.load

    def counting(*arguments: Any) -> Any:
        still.append(sum(each() is not None for each in held))
        model = load(*arguments)
        held.append(weakref.ref(model))
        return model

    monkeypatch.setattr(models, "load", counting)
    with EventLog(spec.folder / "events.jsonl") as log:
        outcome = run.run(spec, log)
    assert isinstance(outcome.output, EvaluationOutput)
    assert [each.model for each in outcome.output.combinations] == ["first", "second", "third"]
    assert still == [0, 0, 0]
