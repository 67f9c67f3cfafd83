"""The seven tables of the guide's database (Fine Tuning Studio guide, Data Tier): names, columns, types, foreign keys.

They are an interchange format here, not the store.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``target`` is the table whose id it holds."""

    name: str
    type: str = "VARCHAR"
    target: str = ""


def _text(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name) for name in names)


def _numbers(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "INTEGER") for name in names)


ID = Column("id", "VARCHAR NOT NULL")
TABLES: dict[str, tuple[Column, ...]] = {
    "models": (
        ID,
        *_text("type", "framework", "name", "description", "huggingface_model_name", "location"),
        *_text("cml_registered_model_id", "mlflow_experiment_id", "mlflow_run_id"),
    ),
    "datasets": (
        ID,
        *_text("type", "name"),
        Column("description", "TEXT"),
        Column("huggingface_name"),
        Column("location", "TEXT"),
        Column("features", "TEXT"),
    ),
    "adapters": (
        ID,
        *_text("type", "name", "description", "huggingface_name"),
        Column("model_id", target="models"),
        Column("location", "TEXT"),
        Column("fine_tuning_job_id", target="fine_tuning_jobs"),
        Column("prompt_id", target="prompts"),
        *_text("cml_registered_model_id", "mlflow_experiment_id", "mlflow_run_id"),
    ),
    "prompts": (
        ID,
        *_text("type", "name", "description"),
        Column("dataset_id", target="datasets"),
        *_text("prompt_template", "input_template", "completion_template"),
    ),
    "fine_tuning_jobs": (
        ID,
        Column("base_model_id", target="models"),
        Column("dataset_id", target="datasets"),
        Column("prompt_id", target="prompts"),
        Column("num_workers", "INTEGER"),
        Column("cml_job_id"),
        Column("adapter_id", target="adapters"),
        *_numbers("num_cpu", "num_gpu", "num_memory", "num_epochs"),
        Column("learning_rate", "DOUBLE"),
        Column("out_dir"),
        Column("training_arguments_config_id", target="configs"),
        Column("model_bnb_config_id", target="configs"),
        Column("adapter_bnb_config_id", target="configs"),
        Column("lora_config_id", target="configs"),
        *_text("training_arguments_config", "model_bnb_config", "adapter_bnb_config", "lora_config"),
        Column("dataset_fraction", "DOUBLE"),
        Column("train_test_split", "DOUBLE"),
        Column("user_script"),
        Column("user_config_id", target="configs"),
        Column("framework_type"),
        Column("axolotl_config_id", target="configs"),
        Column("gpu_label_id", "INTEGER"),
        Column("adapter_name"),
    ),
    "evaluation_jobs": (
        ID,
        *_text("type", "cml_job_id", "parent_job_id"),
        Column("base_model_id", target="models"),
        Column("dataset_id", target="datasets"),
        Column("prompt_id", target="prompts"),
        Column("num_workers", "INTEGER"),
        Column("adapter_id", target="adapters"),
        *_numbers("num_cpu", "num_gpu", "num_memory"),
        Column("evaluation_dir"),
        Column("model_bnb_config_id", target="configs"),
        Column("adapter_bnb_config_id", target="configs"),
        Column("generation_config_id", target="configs"),
        *_text("model_bnb_config", "adapter_bnb_config", "generation_config"),
    ),
    "configs": (
        ID,
        *_text("type", "description"),
        Column("config", "TEXT"),
        Column("model_family"),
        Column("is_default", "INTEGER"),
    ),
}
"""In the guide's order, columns too."""

KIND_OF = {
    "models": "Model",
    "datasets": "Dataset",
    "adapters": "Adapter",
    "prompts": "Prompt",
    "fine_tuning_jobs": "FineTuningJob",
    "evaluation_jobs": "EvaluationJob",
    "configs": "Config",
}
TABLE_OF = {kind: table for table, kind in KIND_OF.items()}
SCHEMA_VERSION = "alembic_version"
"""A table of the guide's database that says nothing about resources."""


def schema_text(table: str, columns: tuple[Column, ...], key: tuple[str, ...]) -> str:
    """The statement with which the guide's import makes the table where there is none."""
    lines = [f'"{column.name}" {column.type}' for column in columns]
    lines.append(f"PRIMARY KEY ({', '.join(key)})")
    lines += [f"FOREIGN KEY({each.name}) REFERENCES {each.target} (id)" for each in columns if each.target]
    return f"CREATE TABLE IF NOT EXISTS {table} (\n\t" + ",\n\t".join(lines) + "\n)"
