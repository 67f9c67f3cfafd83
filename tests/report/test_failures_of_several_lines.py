"""A failure that brings the end of a log: its first line says what it is, the others follow below."""

from __future__ import annotations

from studio.apply.outcome import Ending, Outcome
from studio.core.event import Event
from studio.core.references import Ref
from studio.plan.actions import Action, Verb
from studio.report.advice import Here
from studio.report.outcomes import line, summary
from studio.report.telling import progress

MESSAGE = "the job was killed by SIGKILL (out of memory?)\nthe end of its log:\nstep 7\n\x1b[31mred\x1b[0m"
OUTCOME = Outcome(Action(Ref("FineTuningJob", "router"), Verb.CREATE, "f" * 64), Ending.FAILED, MESSAGE, "apply again")


def test_the_line_of_an_outcome_is_one_line_and_its_summary_has_them_all() -> None:
    assert line(OUTCOME).endswith("the job was killed by SIGKILL (out of memory?)")
    assert (
        "  FineTuningJob/router: failed: the job was killed by SIGKILL (out of memory?)\n"
        "      | the end of its log:\n      | step 7\n      | \\x1b[31mred\\x1b[0m\n      apply again\n"
    ) in summary([OUTCOME], Here())


def test_what_a_job_calls_its_phase_commands_no_terminal() -> None:
    assert progress(Event(time=1.0, phase="\x1b[2Jtrain", step=1, total=2)) == "\\x1b[2Jtrain 1/2"
