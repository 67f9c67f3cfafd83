"""The jobs: what trains, evaluates and exports. Modules are named here, and imported only when a spec asks."""

from __future__ import annotations

JOBS: dict[str, str] = {
    "training": "studio.jobs.training:run",
    "evaluation": "studio.jobs.evaluation:run",
    "export": "studio.jobs.export:run",
    "removal": "studio.jobs.removal:run",
    "revision": "studio.jobs.revision:run",
}
"""``work.task`` to ``module:function``; the function takes (JobSpec, EventLog) and returns an Outcome."""
