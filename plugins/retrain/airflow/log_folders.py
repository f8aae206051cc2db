"""The folders into which Airflow's components write their logs."""

from __future__ import annotations

from pathlib import Path

from airflow.configuration import conf


def log_folders() -> list[Path]:
    """The folder of the task logs, and that of the dag-processor if it is not in the former."""
    named = (
        conf.get("logging", "base_log_folder"),
        conf.get("logging", "dag_processor_child_process_log_directory", fallback=""),
    )
    base, *others = [Path(name).absolute() for name in named if name]
    return [base, *(folder for folder in others if not folder.is_relative_to(base))]
