"""The page beside jobs in a workspace: people leave it open, and the workspace must not pay for that."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from studio.page.content import KEPT_SECONDS, Source
from tests.workspace.desk import desk, trainings


def test_who_leaves_the_page_open_costs_the_workspace_little(tmp_path: Path) -> None:
    with desk(tmp_path, trainings(4), limit=0) as made:
        assert made.studio("apply", "--yes", "--offline", "--detach", "--parallelism", "4")[0] == 0
        source = Source(made.root, "default", os.environ, made.clock)
        made.cml.calls.clear()
        first = source.content()
        assert [each["state"] for each in first["status"]].count("running") == 4
        made.cml.calls.clear()
        for _ in range(3):
            made.clock.now += KEPT_SECONDS
            assert source.content()["fault"] == ""
        assert len(made.cml.calls) <= 3 + 4 * 3
        assert made.cml.count("list_jobs") == made.cml.count("list_job_runs") == 0


def test_many_who_look_at_once_look_once(tmp_path: Path) -> None:
    with desk(tmp_path, trainings(1), limit=0) as made:
        assert made.studio("apply", "--yes", "--offline", "--detach")[0] == 0
        source, there = Source(made.root, "default", os.environ, made.clock), threading.Barrier(6)
        made.cml.calls.clear()

        def look() -> None:
            there.wait()
            source.content()

        threads = [threading.Thread(target=look) for _ in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert made.cml.count("get_job_run") == 1
