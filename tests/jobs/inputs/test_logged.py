"""Models and adapters of a workspace's registry: what a real MLflow run logged is fetched and used by jobs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import JobError
from studio.core.fingerprints import folder_digest, tree
from studio.core.jobspec import AdapterInput, JobSpec, ModelInput
from studio.core.registered import LOGGED_FOLDER, Logged
from studio.jobs import tracking
from studio.jobs.inputs import locations, logged
from tests import projects
from tests.cli.front_door import ask
from tests.fakes.cml_server import workspace as workspace_of
from tests.fakes.workspace.registry import logged as logged_by
from tests.fakes.workspace.registry import registered_model

from ..conftest import spec_in
from ..workbench import LORA, TEMPLATES, environment, training

PICKLE = b"\x80\x04N."


class Server:
    """The MLflow of a workspace: a database and a folder for artifacts, filled by clients as users fill it."""

    def __init__(self, home: Path) -> None:
        self.home, self.uri = home, f"sqlite:///{home}/mlflow.db"

    def run(self, fill: Callable[[str], None]) -> Logged:
        """A run that ``fill`` logs something to."""
        import mlflow

        before, named = mlflow.get_tracking_uri(), os.environ.get(tracking.ENVIRONMENT)
        mlflow.set_tracking_uri(self.uri)
        try:
            client = mlflow.MlflowClient()
            found = client.get_experiment_by_name("bases")
            place = (self.home / "artifacts").as_uri()
            experiment = found.experiment_id if found else client.create_experiment("bases", place)
            with mlflow.start_run(experiment_id=experiment) as run:
                fill(run.info.run_id)
            return Logged(experiment_id=experiment, run_id=run.info.run_id)
        finally:
            mlflow.set_tracking_uri(before)
            os.environ.pop(tracking.ENVIRONMENT)
            if named:
                os.environ[tracking.ENVIRONMENT] = named

    def files(self, contents: dict[str, bytes]) -> Logged:
        """A run with plain files, as a client of MLflow 2 left them."""
        import mlflow

        def fill(run: str) -> None:
            home = self.home / "upload"
            for name, content in contents.items():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (home / name).write_bytes(content)
            mlflow.log_artifacts(str(home))
            shutil.rmtree(home)

        return self.run(fill)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_tracking: Path) -> Server:
    home = tmp_path_factory.mktemp("workspace")
    shutil.copyfile(empty_tracking, home / "mlflow.db")
    return Server(home)


@pytest.fixture(scope="module")
def base(server: Server, tiny_model: Path) -> Logged:
    """The tiny model as ``mlflow.transformers`` logs it: weights and tokenizer in folders of their own."""
    import mlflow
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)

    def fill(run: str) -> None:
        mlflow.transformers.log_model(
            {"model": model, "tokenizer": tokenizer}, name="model", task="text-generation", pip_requirements=["mlflow"]
        )

    return server.run(fill)


@pytest.fixture(scope="module")
def tuned(server: Server, tiny_model: Path, trained: Path) -> Logged:
    """A PEFT adapter as ``mlflow.transformers`` logs it."""
    import mlflow
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    whole = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), str(trained / "adapter"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)

    def fill(run: str) -> None:
        mlflow.transformers.log_model(
            {"model": whole, "tokenizer": tokenizer}, name="tuned", task="text-generation",
            pip_requirements=["mlflow"], base_model_path=str(tiny_model),
        )  # fmt: skip

    return server.run(fill)


@pytest.fixture
def workspace(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Inside the workspace: its own MLflow is in the environment."""
    monkeypatch.setenv(tracking.ENVIRONMENT, server.uri)
    yield server


def job(project: Path) -> JobSpec:
    return spec_in(project, training(), "run")


def model(run: Logged) -> ModelInput:
    return ModelInput(name="base", type="model_registry", logged=run)


def adapter(run: Logged) -> AdapterInput:
    return AdapterInput(name="tuned", type="model_registry", logged=run)


def refusal(source: ModelInput | AdapterInput, project: Path) -> str:
    find: Callable[[Any, JobSpec], Path] = (
        locations.adapter_folder if isinstance(source, AdapterInput) else locations.model_folder
    )
    with pytest.raises(JobError) as caught:
        find(source, job(project))
    return f"{caught.value.message}\n{caught.value.hint}"


def test_a_model_that_mlflow_transformers_logged_is_fetched_once_with_its_tokenizer(
    project: Path, workspace: Server, base: Logged, tiny_model: Path
) -> None:
    folder = locations.model_folder(model(base), job(project))
    assert folder == project / LOGGED_FOLDER / "model" / base.run_id
    assert (folder / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    assert (folder / "tokenizer.json").is_file()
    assert [each.name for each in folder.parent.iterdir()] == [base.run_id]
    (folder / "here").touch()
    assert (locations.model_folder(model(base), job(project)) / "here").exists()
    stored = list((workspace.home / "artifacts").rglob("model.safetensors"))
    assert stored, "fetching moved the files of the registry"


def test_an_adapter_that_mlflow_transformers_logged_is_fetched(
    project: Path, workspace: Server, tuned: Logged, trained: Path
) -> None:
    folder = locations.adapter_folder(adapter(tuned), job(project))
    mine, theirs = (each / "adapter_model.safetensors" for each in (folder, trained / "adapter"))
    assert mine.read_bytes() == theirs.read_bytes()


def test_the_projects_own_mlflow_is_asked_before_that_of_the_workspace(
    project: Path, server: Server, base: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tracking.ENVIRONMENT, "http://127.0.0.1:9")
    own = spec_in(project, training(), "run", tracking={"tracking_uri": server.uri, "experiment": "tests"})
    assert locations.model_folder(model(base), own).is_dir()


def test_a_run_that_no_known_mlflow_has_is_told_with_where_to_name_one(project: Path, base: Logged) -> None:
    words = refusal(model(base), project)
    assert "no MLflow that is known here has that run" in words and tracking.ENVIRONMENT in words


def test_a_plain_folder_of_files_in_a_run_is_found(project: Path, workspace: Server, tiny_model: Path) -> None:
    contents = {f"some/where/{each.name}": each.read_bytes() for each in tiny_model.iterdir()}
    found = locations.model_folder(model(workspace.files(contents)), job(project))
    assert folder_digest(tree(found)) == folder_digest(tree(tiny_model))


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({"model/config.json": b"{}", "model/pytorch_model.bin": PICKLE}, "pickled weights only, which are refused"),
        ({"metrics.csv": b"1"}, "the run holds no model with weights\nlog it with mlflow.transformers"),
        ({"model/MLmodel": b"flavors: {}"}, "it may refer to a model of the hub"),
        (
            {f"{at}/{name}": b"{}" for at in "ab" for name in ("config.json", "model.safetensors")},
            "the run holds more than one model: a, b",
        ),
        ({"peft/adapter_config.json": b"{}", "peft/adapter_model.safetensors": b""}, "declare an Adapter of it"),
    ],
)
def test_what_is_no_model_that_may_be_loaded_is_refused_and_leaves_nothing(
    project: Path, workspace: Server, contents: dict[str, bytes], words: str
) -> None:
    assert words in refusal(model(workspace.files(contents)), project)
    assert list((project / LOGGED_FOLDER / "model").iterdir()) == []


def test_pickles_beside_safetensors_stay_where_they_are(project: Path, workspace: Server, tiny_model: Path) -> None:
    contents = {f"model/{each.name}": each.read_bytes() for each in tiny_model.iterdir()}
    run = workspace.files({**contents, "model/training_args.bin": PICKLE, "model/evil.py": b"1/0"})
    folder = locations.model_folder(model(run), job(project))
    assert {each.suffix for each in folder.iterdir()} <= set(logged.PLAIN)


def test_a_model_is_no_adapter(project: Path, workspace: Server, base: Logged) -> None:
    assert "it holds a model: declare a Model of it" in refusal(adapter(base), project)


@pytest.mark.slow
def test_apply_trains_and_evaluates_a_model_and_an_adapter_of_the_registry(
    tmp_path: Path, server: Server, base: Logged, tuned: Logged, tickets: list[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    rows = "".join(f"{row['text']},{row['queue']}\n" for row in tickets)
    root = projects.write(tmp_path / "desk", registered_desk())
    (root / "data" / "tickets.csv").write_text(f"text,queue\n{rows}")
    known = {id: registered_model(id, logged_by(run.experiment_id, run.run_id)) for id, run in
             (("base-id", base), ("tuned-id", tuned))}  # fmt: skip
    with workspace_of(None, *known.values()) as cml:
        for name, value in {**environment(), **cml.environ(), tracking.ENVIRONMENT: server.uri}.items():
            monkeypatch.setenv(name, value)
        answer = ask(root, "apply", "--yes")
        assert answer.code == 0, answer.out + answer.err
        assert "Nothing to do" in ask(root, "plan", "--online").out
    fetched = {path.name for path in (root / LOGGED_FOLDER).glob("*/*")}
    assert fetched == {base.run_id, tuned.run_id}
    outcome = json.loads(ask(root, "state", "show", "EvaluationJob/compare").out)["outcome"]["output"]
    alone, theirs, own = (each["metrics"]["exact_match"] for each in outcome["combinations"])
    assert theirs > 0.9 > alone and own >= 0


def registered_desk() -> list[projects.Document]:
    """A training and an evaluation of a model and an adapter that are in the registry only."""
    size = {"num_cpu": 1, "num_gpu": 0, "num_memory": 2}
    job = {
        "base_model": "base", "dataset": "tickets", "prompt": "route", "adapter_name": "own", "num_epochs": 1,
        "learning_rate": 0.01, "train_test_split": 0.8, "lora_config": LORA,
        "training_arguments_config": {"per_device_train_batch_size": 4, "use_cpu": True, "bf16": False}, **size,
    }  # fmt: skip
    combinations = [{"base_model": "base", **more} for more in ({}, {"adapter": "theirs"}, {"adapter": "own"})]
    compare = {
        "dataset": "tickets", "prompt": "route", "model_adapter_combinations": combinations,
        "metrics": ["exact_match"], "generation_config": {"max_new_tokens": 8, "do_sample": False}, **size,
    }  # fmt: skip
    names = {"prompt_template": "prompt", "input_template": "input", "completion_template": "completion"}
    texts = {field: TEMPLATES[name] for field, name in names.items()}
    at = {"type": "model_registry"}
    return [
        projects.manifest("Dataset", "tickets", {"type": "project_csv", "location": "data/tickets.csv"}),
        projects.manifest("Model", "base", {**at, "cml_registered_model_id": "base-id"}),
        projects.manifest("Adapter", "theirs", {**at, "cml_registered_model_id": "tuned-id", "model": "base"}),
        projects.manifest("Prompt", "route", {"type": "in_place", "dataset": "tickets", **texts}),
        projects.manifest("FineTuningJob", "train", job),
        projects.manifest("EvaluationJob", "compare", compare),
    ]
