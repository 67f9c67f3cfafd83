"""A training script of the team's own: what it is given, what is taken from it, and what is said of a wrong one."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest

from studio.core.fingerprints import file_digest
from studio.core.jobresult import TrainingOutput
from studio.core.jobspec import JobSpec
from studio.jobs import offspring
from studio.jobs.tracking import TrackedRun
from studio.jobs.training import posting, script_process, user_script

from ..workbench import MakeSpec, events, failure, in_process_of_its_own, messages, perform, start, training

pytestmark = pytest.mark.slow
HEAD = """
import json, os, shutil, sys, time
from pathlib import Path
job = json.loads(Path(sys.argv[1]).read_text())
adapter, told = Path(job["adapter"]), Path(job["events"])
def tell(line):
    with told.open("a") as stream: stream.write(line + "\\n")
def leave():
    shutil.copytree(Path(job["project"], "adapters/router"), adapter)
"""


@pytest.fixture
def script(project: Path, router: str, make_spec: MakeSpec) -> Any:
    """A job that runs these lines; ``leave()`` in them leaves an adapter that was trained for this model."""

    def script(lines: str, run: str = "run", config: Any = None, **changes: Any) -> JobSpec:
        path = project / "scripts" / f"{run}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(HEAD + dedent(lines))
        name = f"scripts/{run}.py"
        files = {name: file_digest(path)}
        work = training(user_script=name, user_config=config, files=files, **changes.pop("work", {}))
        return make_spec(work, run, **changes)

    return script


def output(spec: JobSpec) -> TrainingOutput:
    result = perform(spec)
    assert isinstance(result.output, TrainingOutput), result.failure
    return result.output


def test_a_script_is_given_rows_and_settings_and_leaves_an_adapter(script: Any, project: Path) -> None:
    from mlflow.tracking import MlflowClient

    spec = script(
        """
        Path(job["project"], "given.json").write_text(json.dumps({**job, "rows": Path(job["train"]).read_text(),
            "held": Path(job["held_out"]).read_text(), "cwd": os.getcwd(), "path": sys.path[0]}))
        for step in (1, 2):
            tell(json.dumps({"step": step, "total": 2, "loss": 2.0 / step, "reward": step}))
        tell(json.dumps({"message": "halfway"}))
        leave()
        (adapter / "optimizer.pt").write_bytes(b"pickle")
        (adapter / "training_args.bin").write_bytes(b"pickle")
        Path(job["metrics"]).write_text(json.dumps({"accuracy": 0.5, "eval_loss": 99, "nan": float("nan")}))
        """,
        config={"rounds": 2},
    )
    result = perform(spec)
    made = result.output
    assert isinstance(made, TrainingOutput), result.failure
    given = json.loads((project / "given.json").read_text())
    assert given["config"] == {"rounds": 2} and given["settings"]["lora"]["r"] == 8 and given["attempt"] == 1
    rows = [json.loads(line) for line in given["rows"].splitlines()]
    assert len(rows) == 20 and rows[0]["prompt"].endswith("\n>") and rows[0]["completion"].endswith("</s>")
    assert len(given["held"].splitlines()) == 5
    assert given["cwd"] == str(spec.folder / "script" / "work") and given["path"] == str(project / "scripts")
    assert made.metrics["accuracy"] == 0.5 and made.metrics["eval_loss"] < 20 and "nan" not in made.metrics
    assert made.metrics["train_loss"] == 1.5 and made.metrics["final_loss"] == 1.0
    assert sorted(path.name for path in spec.path(made.adapter).iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert "left out: optimizer.pt" in messages(spec) and "halfway" in messages(spec) and "nan" in messages(spec)
    run = MlflowClient(f"sqlite:///{spec.path('.studio/mlflow.db')}").get_run(result.mlflow_run_id)
    assert run.data.metrics["reward"] == 2 and run.data.params["user_config.rounds"] == "2"
    assert [event.loss for event in events(spec) if event.phase == "train" and event.loss][-1] == 1.0
    assert not (spec.folder / "script").exists() and spec.path(made.curve).exists()
    assert result.measures.steps == 2 and not list(project.rglob("__pycache__"))


def test_the_public_module_says_the_same_in_one_word(script: Any) -> None:
    spec = script(
        """
        from studio import script
        heavy = {name.split(".")[0] for name in sys.modules} & {"torch", "pydantic", "transformers"}
        mine = script.job()
        mine.log("begun " + str(sorted(heavy)), step=1, loss=3)
        mine.write_metrics({"accuracy": 1})
        assert mine.train.exists() and mine.model.is_dir() and mine.config == {}
        leave()
        """
    )
    assert output(spec).metrics["accuracy"] == 1.0
    assert "begun []" in messages(spec)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("raise ValueError('no luck')", r"scripts/run.py ended with exit code 1: ValueError: no luck\n.*the log"),
        ("sys.exit(7)", "ended with exit code 7"),
        ("os.kill(os.getpid(), 9)", r"was killed by SIGKILL \(out of memory\?\)"),
        ("this is no Python", "exit code 1: SyntaxError: invalid syntax"),
        ("import no_such_library", "No module named 'no_such_library'\n.*installed where jobs run"),
        ("pass", "left no adapter: the folder is not there or empty\nsave it with save_pretrained"),
        ("adapter.mkdir(); (adapter / 'config.json').write_text('{}')", "the folder holds a whole model"),
        ("adapter.mkdir(); (adapter / 'adapter_config.json').write_text('{')", "adapter_config.json cannot be read"),
        ("adapter.mkdir(); (adapter / 'adapter_config.json').write_text('{}')", "names no peft_type"),
        ("leave(); (adapter / 'adapter_model.safetensors').rename(adapter / 'adapter_model.bin')", "only adapter_mod"),
        ("leave(); (adapter / 'adapter_model.safetensors').write_bytes(b'x' * 99)", "cannot be read"),
        ('tell(\'{"step": 3, "loss": NaN}\'); time.sleep(60)', "the loss is nan at step 3: training diverged"),
    ],
)
def test_a_script_that_goes_wrong_is_explained(script: Any, lines: str, words: str) -> None:
    assert re.search(words, failure(script(lines)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name, value: value * float("nan"), "numbers that are not finite"),
        (lambda name, value: value if "lora_A" in name else value * 0, "changes nothing"),
        (lambda name, value: value[:, :8].contiguous(), "does not fit the base model"),
    ],
)
def test_weights_that_are_nothing_are_refused(script: Any, project: Path, change: Any, words: str) -> None:
    from safetensors.torch import load_file, save_file

    path = project / "adapters" / "router" / "adapter_model.safetensors"
    save_file({name: change(name, value) for name, value in load_file(path).items()}, path, {"format": "pt"})
    assert words in failure(script("leave()"))


def test_what_a_script_tells_wrongly_is_left_out_and_said(script: Any) -> None:
    spec = script(
        """
        tell("nonsense"); tell("[1]"); tell("{" * 5000); tell("")
        tell('{"step": -1, "loss": "low", "../up": 1, "big": 1e999}')
        tell('{"step": 5, "total": "many", "loss": 1}')
        with told.open("a") as stream: stream.write('{"step": 6, "lo')
        Path(job["metrics"]).write_text("[]")
        leave()
        """
    )
    assert output(spec).metrics["final_loss"] == 1.0
    said = messages(spec)
    assert said.count("is no JSON object and is left out") == 1 and "'nonsense'" in said
    assert "'loss' is not a finite number" in said and "'../up'" in said and "'big'" in said
    assert "metrics.json is left out" in said
    assert next(event.step for event in events(spec) if event.loss) == 5


def test_a_script_is_given_the_hubs_token_and_no_other_secret_and_none_is_written_down(
    script: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token, leaked = "correct-horse-battery", "ghp_" + "a" * 36
    monkeypatch.setenv("MY_TOKEN", token)
    for name in ("MLFLOW_TRACKING_PASSWORD", "STUDIO_STATE_URL", "CDSW_APIV2_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "not for scripts")
    monkeypatch.setenv("DATABASE", "postgresql://desk:pass@host/db")
    monkeypatch.setenv("HTTPS_PROXY", "http://desk:pass@proxy:80")
    monkeypatch.setenv("HARMLESS", "yes")
    spec = script(
        f"""
        assert os.environ["MY_TOKEN"] == os.environ["HF_TOKEN"] == {token!r} and os.environ["HARMLESS"] == "yes"
        assert "HTTPS_PROXY" in os.environ and "DATABASE" not in os.environ
        found = [name for name, value in os.environ.items() if value == "not for scripts"]
        print("printed", os.environ["MY_TOKEN"], flush=True)
        tell(json.dumps({{"message": "told " + os.environ["MY_TOKEN"]}}))
        time.sleep(1)  # until the line was read
        sys.exit(f"found {{found}} with {{os.environ['MY_TOKEN']}} and {leaked}")
        """,
        secrets={"hf_token": "MY_TOKEN"},
    )
    said = failure(spec)
    assert "ended with exit code 1: found [] with *** and ***" in said
    everything = said + capfd.readouterr().out + messages(spec)
    assert "printed ***" in everything and "told ***" in everything
    assert token not in everything and leaked not in everything


def test_mlflow_that_fails_while_a_script_trains_costs_metrics_at_most(
    script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise ConnectionError("no server")

    monkeypatch.setattr(posting, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(user_script, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(TrackedRun, "log_steps", away)
    monkeypatch.setattr(TrackedRun, "log_metrics", away)
    spec = script('tell(\'{"step": 1, "loss": 1.5}\'); leave()')
    assert output(spec).metrics["final_loss"] == 1.5
    said = messages(spec)
    assert "MLflow never took 1 logs of metrics: no server" in said and "did not take the metrics of the whole" in said


def test_a_script_that_changed_since_the_plan_is_not_run(script: Any, project: Path) -> None:
    spec = script("leave()")
    (project / "scripts" / "run.py").write_text("print('other')")
    assert "run.py changed since the plan was made\nplan again" in failure(spec)
    (project / "scripts" / "run.py").unlink()
    assert "run.py does not exist" in failure(spec)


def test_nothing_that_a_script_started_outlives_it(script: Any, project: Path) -> None:
    spec = script(
        """
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        Path(job["project"], "child").write_text(str(child.pid))
        leave()
        """
    )
    output(spec)
    pid = int((project / "child").read_text())
    assert not Path(f"/proc/{pid}").exists() or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_script_that_hangs_is_ended(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_process, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(script_process, "IDLE_SECONDS", 1.0)
    text = failure(script("time.sleep(600)"))
    assert "has done nothing for" in text and "writes an event now and then" in text


def test_a_killed_job_goes_on_from_what_the_script_kept(script: Any) -> None:
    """The job is killed, the script with it; the next attempt finds the checkpoints, and the curve is one."""
    spec = script(
        """
        kept = Path(job["checkpoints"], "step")
        first = int(kept.read_text()) if kept.exists() else 0
        for step in range(first + 1, 6):
            tell(json.dumps({"step": step, "loss": float(10 - step)}))
            kept.write_text(str(step))
            if job["attempt"] == 1 and step == 3:
                time.sleep(600)
        leave()
        """
    )
    job = start(spec)
    kept = spec.folder / "script" / "checkpoints" / "step"
    until(lambda: kept.exists() and kept.read_text() == "3")
    (running,) = offspring.below(job.pid)
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    psutil.wait_procs([running], timeout=60)
    assert not running.is_running() or running.status() == psutil.STATUS_ZOMBIE
    made = output(spec.model_copy(update={"attempt": 2}))
    assert made.metrics["train_loss"] == 7.0 and made.metrics["final_loss"] == 5.0


def test_a_job_that_is_asked_to_stop_stops_its_script(script: Any) -> None:
    spec = script(
        """
        import signal
        signal.signal(signal.SIGTERM, lambda *_: (Path(job["checkpoints"], "saved").touch(), sys.exit(0)))
        tell('{"step": 1, "loss": 1}')
        time.sleep(600)
        """
    )
    job = start(spec)
    until(lambda: any(event.step for event in events(spec)))
    job.terminate()
    assert job.wait(timeout=60) == 143
    assert (spec.folder / "script" / "checkpoints" / "saved").exists() and not (spec.folder / "result.json").exists()


def test_a_script_that_ended_well_is_not_run_again_when_the_rest_failed(
    script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = script("assert job['attempt'] == 1; tell('{\"step\": 4, \"loss\": 1.5}'); leave()")

    def full(*_: Any) -> None:
        raise user_script.JobError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(user_script, "_measure", full)
        assert "the disk is full" in failure(spec)
    made = output(spec.model_copy(update={"attempt": 2}))
    assert made.metrics["final_loss"] == 1.5 and "is not run again" in messages(spec)


def test_two_workers_run_the_script_twice_and_leave_one_result(script: Any, project: Path) -> None:
    spec = script(
        """
        Path(job["project"], "rank-" + os.environ["RANK"]).write_text(os.environ["WORLD_SIZE"])
        while not Path(job["project"], "rank-1").exists():
            time.sleep(0.05)
        if os.environ["RANK"] == "0":
            leave()
        """,
        resources={"cpu": 2, "workers": 2},
    )
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    code, result = in_process_of_its_own(spec, *torchrun, OMP_NUM_THREADS="1")
    assert code == 0 and isinstance(result.output, TrainingOutput), result.failure
    assert (project / "rank-1").read_text() == "2"


def test_a_worker_whose_script_fails_is_named_by_the_first(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = script("Path(job['events']).with_name('furnished').touch(); time.sleep(600)", resources={"workers": 2})
    job = start(first)
    until((first.folder / "script" / "furnished").exists)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(user_script, "WAITING_SECONDS", 0)
    (first.path(first.work.user_script)).write_text("raise ValueError('a fault in one')")
    assert "ended with exit code 1: ValueError: a fault in one" in failure(first)
    assert job.wait(60) == 1
    said = json.loads((first.folder / "result.json").read_text())["failure"]["message"]
    assert said == "worker 1: the script scripts/run.py ended with exit code 1: ValueError: a fault in one"


def until(condition: Any, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
