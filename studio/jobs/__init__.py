"""The jobs: what trains, evaluates and exports. Modules are named here, and imported only when a spec asks."""

from __future__ import annotations

JOBS: dict[str, str] = {
    "training": "studio.jobs.training.run:run",
    "evaluation": "studio.jobs.evaluation.run:run",
    "export": "studio.jobs.export.run:run",
    "removal": "studio.jobs.export.removal:run",
    "revision": "studio.jobs.export.revision:run",
}
"""``work.task`` to ``module:function``; the function takes (JobSpec, EventLog) and returns an Outcome."""
