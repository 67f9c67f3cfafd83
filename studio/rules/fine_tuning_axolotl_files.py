"""FT: files that an Axolotl configuration names."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Path
from studio.load import chat_templates, job_files
from studio.load.observation import Unusable
from studio.resources.fine_tuning_job import FineTuningJob, Framework
from studio.rules.axolotl_views import breaches, content
from studio.rules.base import Breach, View, rule


@rule("FT-062", FineTuningJob)
def missing_axolotl_file(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The Axolotl configuration names a file that is not in the project, or holds nothing that Axolotl could use.

    These are the JSON file of ``deepspeed`` and the template of ``chat_template_jinja``, unless the template itself is
    written there. Axolotl would end after the wait for a machine, or, worse, take the name for the template. The file
    is part of the job: when it changes, the job runs again.

    Bad:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            chat_template: jinja
            chat_template_jinja: templates/desk.jinja  # <-
            datasets:
              - type: chat_template
    Good:
        kind: FineTuningJob
        spec:
          framework_type: axolotl
          axolotl_config:
            chat_template: jinja
            chat_template_jinja: "{% for turn in messages %}{{ turn.content }}{% endfor %}"
            datasets:
              - type: chat_template
    """
    if job.spec.framework_type != Framework.AXOLOTL:
        return
    said = content(job, "axolotl_config", view)
    yield from breaches(job, view, (*_missing(said, view), *_trigger(said)))


def _missing(said: dict[str, object], view: View) -> Iterator[tuple[Path, str, str]]:
    """Where, what is wrong, and what to do."""
    for path, name in job_files.axolotl_files(said, view.root):
        if path[-1] == job_files.DEEPSPEED:
            held = job_files.settings(view.root, name)
            fault = held if isinstance(held, str) else ""
            hint = "write the path of a JSON file in the project, or the settings here"
        else:
            template = chat_templates.given(view.root, name)
            fault, hint = (template.message, template.hint) if isinstance(template, Unusable) else ("", "")
        if fault:
            yield path, f"{'.'.join(map(str, path))}: {fault}", hint


def _trigger(said: dict[str, object]) -> Iterator[tuple[Path, str, str]]:
    """Axolotl removes that file when it is there."""
    held = said.get("dynamic_checkpoint")
    name = held.get("trigger_file_path") if isinstance(held, dict) else None
    if isinstance(name, str) and ("/" in name or name == ".."):
        message = f"trigger_file_path: {name!r} leaves the run's folder, and Axolotl removes that file"
        yield ("dynamic_checkpoint", "trigger_file_path"), message, "write a plain file name"
