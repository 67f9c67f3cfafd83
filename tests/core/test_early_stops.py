"""Why a training stopped early, as this version and earlier ones recorded it."""

from __future__ import annotations

import pytest

from studio.core.jobresult import TrainingOutput
from studio.report import telling

MADE = {"adapter": "a", "digest": "d", "metrics": {}, "train_rows": 1, "held_out_rows": 1}
NUMBERS = {"step": 4, "steps": 10, "best": 0.25, "best_step": 2, "patience": 2}


@pytest.mark.parametrize("said", ["", "stopped at step 4 of 10: no lower loss"])
def test_a_result_of_an_earlier_version_is_read_and_told_in_its_own_words(said: str) -> None:
    assert TrainingOutput.model_validate(MADE | {"stopped": said}).stopped is None
    assert telling.early_stop({"stopped": said}) == said


def test_a_result_tells_step_metric_and_patience() -> None:
    stopped = TrainingOutput.model_validate(MADE | {"stopped": NUMBERS}).model_dump()["stopped"]
    assert telling.early_stop({"stopped": stopped}) == (
        "stopped early at step 4 of 10 (patience 2): eval_loss did not fall below the 0.2500 of step 2"
    )
    assert telling.early_stop({"stopped": None}) == telling.early_stop({}) == ""
