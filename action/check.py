"""Validate and plan a project for a pull request: annotations, SARIF, saved plans, the text of comment and summary.

Ends well even when there is something to mend: the action's last step is the one that fails, so that the findings
reach the reviewer first. Nothing here writes to the repository or to state.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from clip import clip
from workflow_commands import add_summary, annotate, say_safely, set_outputs

CHANGES = 2
LONGEST_SUMMARY = 260_000
"""Characters, of up to four bytes each: GitHub refuses a step's summary of more than 1 MiB."""
SHOWN_WHOLE = 30_000
"""A plan's Markdown of at most so many characters leaves nothing out; the log has what a longer one leaves out."""
_ANNOTATION = re.compile(r"::(error|warning|notice) [^\n]*")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The action's inputs, and where what it makes is put."""

    project: str
    environments: tuple[str, ...]
    plan: bool
    fork: bool
    folder: Path


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one environment. ``text`` is Markdown."""

    environment: str
    text: str
    errors: int = 0
    warnings: int = 0
    changes: bool = False
    failed: bool = False
    annotations: tuple[str, ...] = ()


def main() -> int:
    """Check every environment; returns a process exit code."""
    inputs = read_inputs()
    if isinstance(inputs, str):
        annotate("error", inputs)
        add_summary(f"### Nothing was checked\n\n{html.escape(inputs)}\n")
        return 1
    reports = [check(inputs, environment) for environment in inputs.environments]
    for line in dict.fromkeys(line for report in reports for line in report.annotations):
        print(line, flush=True)
    bodies = {report.environment: body(inputs, report) for report in reports}
    add_summary(clip("\n".join(bodies.values()), LONGEST_SUMMARY, "The log of this step has all."))
    set_outputs(outputs(inputs, reports) | {"reports": str(save(inputs, bodies))})
    return 0


def read_inputs() -> Inputs | str:
    """The inputs, or what is wrong with them."""
    plan, project = os.environ["PLAN"], os.environ["PROJECT"]
    environments = tuple(dict.fromkeys(os.environ["ENVIRONMENTS"].split()))
    if plan not in ("true", "false"):
        return f"the input plan is {plan!r}: write true or false"
    if not environments:
        return "the input environments names none: write at least one, such as default"
    if not Path(project).is_dir():
        return f"the input project is {project!r}, and there is no such folder: name the one that holds studio.yaml"
    folder = Path(os.environ["RUNNER_TEMP"]) / "studio" / quote(project, safe="")
    for part in ("plans", "sarif", "comments"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    return Inputs(project, environments, plan == "true", is_fork(), folder)


def is_fork() -> bool:
    """Whether the pull request comes from a fork: no secrets, no right to write."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text("utf-8"))
    head = (event.get("pull_request") or {}).get("head") or {}
    return bool((head.get("repo") or {}).get("fork"))


def check(inputs: Inputs, environment: str) -> Report:
    """Validate one environment, and plan it when that is asked for."""
    sarif = inputs.folder / "sarif" / f"{quote(environment, safe='')}.sarif"
    sarif.unlink(missing_ok=True)
    validated = studio(inputs, environment, "validate", "--format=sarif", f"--output={sarif}")
    if not sarif.is_file():
        return Report(environment, refusal(environment, validated), failed=True)
    levels = Counter(result["level"] for run in json.loads(sarif.read_bytes())["runs"] for result in run["results"])
    found = commands(inputs, environment) if levels else ()
    text, changes, failed = (
        plan(inputs, environment) if inputs.plan else (findings(environment, validated.stdout), False, False)
    )
    return Report(
        environment, text, levels["error"], levels["warning"], changes, failed or bool(levels["error"]), found
    )


def commands(inputs: Inputs, environment: str) -> tuple[str, ...]:
    """Findings as workflow commands; nothing else that studio prints gets to the runner."""
    shown = studio(inputs, environment, "validate", "--format=github")
    return tuple(line for line in shown.stdout.splitlines() if _ANNOTATION.fullmatch(line))


def plan(inputs: Inputs, environment: str) -> tuple[str, bool, bool]:
    """The plan as Markdown, whether anything would change, and whether there is something to mend."""
    file = inputs.folder / "plans" / f"{quote(environment, safe='')}.plan.json"
    file.unlink(missing_ok=True)
    done = studio(inputs, environment, "plan", "--markdown", f"--out={file}", "--detailed-exitcode")
    if len(done.stdout) > SHOWN_WHOLE:
        say_safely(studio(inputs, environment, "plan").stdout)
    if done.returncode in (0, CHANGES) or done.stdout.strip():
        return done.stdout, done.returncode == CHANGES, done.returncode not in (0, CHANGES)
    text = refusal(environment, done)
    if inputs.fork and done.returncode == 1:
        text += "\nThis pull request comes from a fork, which gets no secrets, so that state may be out of reach. "
        text += "Validation is complete.\n"
        return text, False, False
    return text, False, True


def findings(environment: str, text: str) -> str:
    """Findings as Markdown, without a plan."""
    return f"### Findings in {code(environment)}\n\n{fenced(text)}"


def studio(inputs: Inputs, environment: str, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a command of studio. ``-P``: what a pull request puts into the working folder is not imported."""
    arguments = [f"--project={inputs.project}", f"--env={environment}", *options]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "studio", command, *arguments],
        capture_output=True, encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"},
    )  # fmt: skip
    if done.stderr.strip():
        say_safely(f"studio {command} --env {environment}: {done.stderr}")
    return done


def refusal(environment: str, done: subprocess.CompletedProcess[str]) -> str:
    """What studio said instead of a plan."""
    said = done.stderr.strip() or done.stdout.strip() or f"studio ended with exit code {done.returncode}"
    return f"### No plan for {code(environment)}\n\n{fenced(said)}"


def body(inputs: Inputs, report: Report) -> str:
    """The Markdown of one environment, as comment and summary show it."""
    again = f"studio plan --project {inputs.project} --env {report.environment}"
    head = f"## Fine Tuning Studio: {code(inputs.project)}\n\n" if inputs.project != "." else ""
    foot = f"\n<sub>Made anew at every push. The same on your machine: <code>{html.escape(again)}</code></sub>\n"
    return f"{head}{report.text.rstrip()}\n{foot}"


def save(inputs: Inputs, bodies: dict[str, str]) -> Path:
    """Write the texts of the comments, and the list of them that ``comment.py`` reads."""
    listed = []
    for environment, text in bodies.items():
        file = inputs.folder / "comments" / f"{quote(environment, safe='')}.md"
        file.write_text(text, "utf-8")
        listed.append({"project": inputs.project, "environment": environment, "file": str(file)})
    index = inputs.folder / "comments.json"
    index.write_text(json.dumps(listed), "utf-8")
    return index


def outputs(inputs: Inputs, reports: Iterable[Report]) -> dict[str, str]:
    """The step's outputs."""
    made = list(reports)
    return {
        "errors": str(sum(report.errors for report in made)),
        "warnings": str(sum(report.warnings for report in made)),
        "changes": " ".join(report.environment for report in made if report.changes),
        "failed": " ".join(report.environment for report in made if report.failed),
        "plans": str(inputs.folder / "plans"),
        "sarif": str(inputs.folder / "sarif"),
    }


def code(text: str) -> str:
    """Inline code; an input of the workflow, so on one line already."""
    return f"<code>{html.escape(text)}</code>"


def fenced(text: str) -> str:
    """A code block that nothing in ``text`` can end."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text.rstrip()}\n{fence}\n"


if __name__ == "__main__":
    sys.exit(main())
