"""EV: language models that judge the answers of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core import judge_parameters
from studio.core.judge_names import ENDPOINT, NAME, SCALE, key_variable, url_variable
from studio.core.metric_names import EVALUATION_METRICS
from studio.resources.evaluation_job import EvaluationJob, Judge
from studio.rules.base import Breach, View, rule

WIDEST = 100
"""Steps of a scale; a model does not tell more apart."""


@rule("EV-033", EvaluationJob)
def bad_judge_name(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A judge has a name that no metric can have, or that another metric has.

    A judge's scores are a metric of its name: gates ask for it, tables and MLflow have it as a column.

    Bad:
        kind: EvaluationJob
        spec:
          judges:
            - name: Is it helpful?  # <-
              model: judge-large
              definition: The answer helps the customer.
    Good:
        kind: EvaluationJob
        spec:
          judges:
            - name: helpfulness
              model: judge-large
              definition: The answer helps the customer.
    """
    taken = {*EVALUATION_METRICS, "rows_per_second"}
    for index, judge in enumerate(job.spec.judges):
        path = f"spec.judges.{index}.name"
        if not NAME.match(judge.name):
            message = f"{judge.name!r} is not a name for a metric" if judge.name else "the judge has no name"
            yield Breach(path, message, "write up to 40 small letters, digits and underscores, such as helpfulness")
        elif judge.name in taken:
            yield Breach(path, f"{judge.name} is a metric already", "call the judge something else")
        taken.add(judge.name)


@rule("EV-034", EvaluationJob)
def judge_without_question(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A judge lacks its model, or what it is to judge.

    Bad:
        kind: EvaluationJob
        spec:
          judges:
            - name: helpfulness  # <-
              model: judge-large
    Good:
        kind: EvaluationJob
        spec:
          judges:
            - name: helpfulness
              model: judge-large
              definition: The answer names the queue that would really help the customer.
    """
    for index, judge in enumerate(job.spec.judges):
        if not judge.model.strip():
            hint = "write the name by which its service knows the model"
            yield Breach(f"spec.judges.{index}.model", "the judge has no model", hint)
        if not judge.definition.strip():
            hint = "say in a sentence or two what makes an answer good"
            yield Breach(f"spec.judges.{index}.definition", "the judge is not told what to judge", hint)


@rule("EV-035", EvaluationJob)
def bad_judge_setting(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A judge's service, scale, sample or parameters are not such.

    The address of a service never stands in a manifest: rows of the dataset are sent there, so the environment says
    where that is: for `endpoint: house` in STUDIO_JUDGE_URL_HOUSE, and its key in STUDIO_JUDGE_KEY_HOUSE.

    Bad:
        kind: EvaluationJob
        spec:
          judges:
            - name: helpfulness
              model: judge-large
              definition: The answer helps the customer.
              endpoint: https://judges.example.com/v1  # <-
    Good:
        kind: EvaluationJob
        spec:
          judges:
            - name: helpfulness
              model: judge-large
              definition: The answer helps the customer.
              endpoint: house
              scale: [1, 5]
    """
    for index, judge in enumerate(job.spec.judges):
        for field, message, hint in _faults(judge):
            yield Breach(f"spec.judges.{index}.{field}", message, hint)
        for path, message, hint in judge_parameters.faults(judge.parameters or {}):
            yield Breach(("spec", "judges", index, "parameters", *path), message, hint)


def _faults(judge: Judge) -> Iterator[tuple[str, str, str]]:
    """Field, what is wrong with it, what to do."""
    if judge.endpoint and not ENDPOINT.match(judge.endpoint):
        what = "an address does not belong here" if "/" in judge.endpoint else f"{judge.endpoint!r} names no service"
        variables = f"{url_variable('house')} and its key into {key_variable('house')}"
        yield "endpoint", what, f"write endpoint: house, and put its address into {variables} where jobs run"
    if not _is_scale(judge.scale):
        message = f"the scale is {list(judge.scale)}; it is the lowest and the highest score, at most {WIDEST} apart"
        yield "scale", message, f"write scale: {list(SCALE)}"
    if judge.sample is not None and judge.sample < 1:
        yield "sample", f"sample is {judge.sample}; it must be at least 1", "leave it out to judge all rows"


def _is_scale(scale: tuple[int, ...]) -> bool:
    return len(scale) == len(SCALE) and 0 < scale[1] - scale[0] <= WIDEST
