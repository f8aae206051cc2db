"""What every DAG of ours must be, and what a broken configuration file must not do to the others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = {
    "RETRAIN_REPOSITORY": "origin.git",
    "RETRAIN_RAW_BUCKET": "raw-bucket",
    "RETRAIN_STORE_BUCKET": "store-bucket",
    "RETRAIN_LEDGER_BUCKET": "ledger-bucket",
    "RETRAIN_SLACK_CHANNEL": "#alerts",
}
TASKS = [
    "wait_for_partition",
    "resolve_run",
    "reproduce",
    "push",
    "record_run",
    "check_drift",
    "promote",
    "remove_workspace",
]


def load_dags(folder: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(folder))


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of dags/, with the addresses that a deployment sets."""
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)
    return Path(shutil.copytree(ROOT / "dags", tmp_path / "dags"))


def test_every_dag_loads_with_the_tasks_that_the_readme_names(dags: Path) -> None:
    bag = load_dags(dags)
    assert bag.import_errors == {}
    assert {name: [t.task_id for t in dag.topological_sort()] for name, dag in bag.dags.items()} == {
        "trip_duration": TASKS
    }


def test_every_task_has_an_owner_documentation_a_failure_notice_and_no_shell(dags: Path) -> None:
    for dag in load_dags(dags).dags.values():
        for task in dag.tasks:
            assert task.owner == "ml-platform", task.task_id
            assert task.doc_md, task.task_id
            assert task.has_on_failure_callback or task.on_failure_callback, task.task_id
            assert "Bash" not in task.task_type, task.task_id


def test_every_task_is_in_the_table_that_says_whether_it_may_be_cleared(dags: Path) -> None:
    dag = load_dags(dags).dags["trip_duration"]
    rows = [line for line in dag.doc_md.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == TASKS


def test_a_day_has_a_data_interval_and_missed_days_are_not_caught_up(dags: Path) -> None:
    from airflow.sdk import CronDataIntervalTimetable

    dag = load_dags(dags).dags["trip_duration"]
    assert isinstance(dag.timetable, CronDataIntervalTimetable)
    assert dag.catchup is False


def test_a_failure_before_the_record_leaves_no_green_leaf(dags: Path) -> None:
    dag = load_dags(dags).dags["trip_duration"]
    for leaf in ("check_drift", "promote"):
        assert "push" in dag.get_task(leaf).get_flat_relative_ids(upstream=True)


def test_clearing_any_task_after_reproduce_brings_its_workspace_back(dags: Path) -> None:
    dag = load_dags(dags).dags["trip_duration"]
    for task in ("push", "record_run", "check_drift", "promote"):
        assert "reproduce" in dag.partial_subset(task, include_downstream=False, include_upstream=False).task_ids


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("partition", "2020-03-05; touch x"),
        ("partition", "2020-13-45x"),
        ("release", "v1.0.0 --upload-pack=x"),
        ("release", "main"),
        ("release", 7),
    ],
)
def test_a_parameter_that_does_not_fit_its_pattern_is_refused(dags: Path, field: str, value: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        load_dags(dags).dags["trip_duration"].params.get_param(field).resolve(value)


def test_a_broken_file_fails_its_own_dag_and_no_other(dags: Path) -> None:
    good = yaml.safe_load((dags / "pipelines" / "trip_duration.yaml").read_text())
    (dags / "pipelines" / "second.yaml").write_text(
        yaml.safe_dump({**good, "raw": {**good["raw"], "window_days": "many"}})
    )
    bag = load_dags(dags)
    assert bag.import_errors == {}
    assert [t.task_id for t in bag.dags["trip_duration"].topological_sort()] == TASKS
    broken = bag.dags["second"]
    assert "raw.window_days" in broken.doc_md
    with pytest.raises(Exception, match=r"second\.yaml: raw\.window_days"):
        broken.get_task("read_configuration").python_callable()


def test_a_second_pipeline_needs_only_a_file(dags: Path) -> None:
    shutil.copy(dags / "pipelines" / "trip_duration.yaml", dags / "pipelines" / "second.yaml")
    assert set(load_dags(dags).dags) == {"trip_duration", "second"}


def event_driven(dags: Path, queue: str | None) -> Path:
    file = dags / "pipelines" / "trip_duration.yaml"
    document = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**document, "trigger": "event", "raw": {**document["raw"], "queue": queue}}))
    return dags


def test_a_pipeline_that_messages_start_keeps_its_schedule_and_gets_a_dag_that_reads_them(dags: Path) -> None:
    bag = load_dags(event_driven(dags, "https://sqs.us-east-1.amazonaws.com/123456789012/landings"))
    assert bag.import_errors == {}
    assert [t.task_id for t in bag.dags["trip_duration"].topological_sort()] == TASKS
    assert bag.dags["trip_duration"].timetable.expression == "0 6 * * *"
    landings = bag.dags["trip_duration_landings"]
    assert {t.task_id: t.downstream_task_ids for t in landings.tasks} == {
        "read_messages": {"start_run"},
        "start_run": set(),
        "refuse_others": set(),
    }


def test_messages_without_a_queue_are_refused_by_name(dags: Path) -> None:
    assert "trigger: event needs raw.queue" in load_dags(event_driven(dags, None)).dags["trip_duration"].doc_md


def test_reading_the_dags_imports_nothing_heavy_and_starts_nothing() -> None:
    code = (
        "import sys, airflow.sdk, airflow.providers.amazon.aws.sensors.s3; before = set(sys.modules);"
        f"sys.path[:0] = [{str(ROOT / 'plugins')!r}, {str(ROOT / 'dags')!r}];"
        "import retrain_pipelines;"
        "print(*sorted(m for m in set(sys.modules) - before if m.split('.')[0] in "
        "{'mlflow', 'slack_sdk', 'pandas', 'sklearn', 'dvc', 'numpy', 'sqlalchemy'}))"
    )
    import os

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **ADDRESSES},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == ""
