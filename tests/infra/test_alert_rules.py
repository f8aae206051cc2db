"""Each alert rule fires on the series that it is about, and not on those of an ordinary day: `promtool test rules`."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from loopback import ROOT
from monitoring_programs import program

RULES = ROOT / "infra" / "monitoring" / "prometheus" / "alerts.yml"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
GB = 10**9
UP = {'up{job="airflow"}': "1x90"}
SCHEDULED = 'airflow_pool_scheduled_slots{pool_name="default_pool"}'
# A day on which nothing is wrong: one value a minute.
ORDINARY = {
    **UP,
    "airflow_scheduler_heartbeat": "0+12x90",
    "airflow_dag_processor_heartbeat": "0+12x90",
    "airflow_triggerer_heartbeat": "0+12x90",
    "airflow_dag_processing_import_errors": "0x90",
    SCHEDULED: "0 3x20 0x90",
    "airflow_executor_running_tasks": "0 4x20 0x90",
    "celery_broker_up": "1x90",
    "celery_workers": "2x10 1x5 2x90",  # one is restarted
    "celery_workers_expected": "2x90",
    'celery_queue_length{queue="default"}': "0 9x20 0x90",  # the queue at 06:00
    "redis_up": "1x90",
    "redis_memory_used_bytes": "5e6x90",
    "redis_memory_max_bytes": "2e8x90",
    "redis_start_time_seconds": "1e9x30 2e9x60",
    "pg_up": "1x90",
    'pg_stat_activity_count{datname="airflow"}': "40x90",
    "pg_settings_max_connections": "200x90",
    'node_filesystem_avail_bytes{mountpoint="/disks/docker"}': "50e9x90",
    'node_filesystem_size_bytes{mountpoint="/disks/docker"}': "100e9x90",
    "retrain_volume_free_bytes": "200e9x90",
    "retrain_volume_limit_bytes": "500e9x90",
    "retrain_volume_needed_bytes": "1e9x90",
    "node_memory_MemAvailable_bytes": "8e9x90",
    "node_memory_MemTotal_bytes": "16e9x90",
    "node_vmstat_oom_kill": "3x90",
    'process_start_time_seconds{job="redis"}': "1e9x30 2e9x60",
    "retrain_watch_delivers": "1x3 0x2 1x90",
    'retrain_watch_messages_refused_total{channel="#ours"}': "1x90",
    'up{job="redis"}': "1x3 0x3 1x90",
    'up{job="watch"}': "1x90",
}


@dataclass(frozen=True)
class Trouble:
    """What differs from an ordinary day, and by when, in minutes, the alert fires. None as a series: it is missing."""

    alert: str
    series: dict[str, str | None]
    fires_at: int
    quiet_at: int = 0  # it has not fired yet, or not any more


TROUBLES = {
    "the scheduler stops": Trouble("SchedulerSilent", {"airflow_scheduler_heartbeat": "0+12x10 120x80"}, 20, 10),
    "the scheduler has never started": Trouble("SchedulerSilent", {"airflow_scheduler_heartbeat": None}, 4, 2),
    "the DAG processor stops": Trouble("DagProcessorSilent", {"airflow_dag_processor_heartbeat": "0+9x10 90x80"}, 25),
    "the triggerer stops": Trouble("TriggererSilent", {"airflow_triggerer_heartbeat": "0+9x10 90x80"}, 20),
    "a task has lost its worker": Trouble(
        "WorkerLost", {"airflow_task_instances_without_heartbeats_killed": "_x9 1x80"}, 11, 60
    ),
    "one more task has lost its worker": Trouble(
        "WorkerLost", {"airflow_task_instances_without_heartbeats_killed": "1x29 2x60"}, 32, 28
    ),
    "a DAG file is broken": Trouble("DagFilesBroken", {"airflow_dag_processing_import_errors": "1x90"}, 6, 4),
    "tasks wait while the slots are in use": Trouble(
        "TasksStarve",
        {SCHEDULED: "2x90", "airflow_executor_running_tasks": "4x20 0 4x90"},
        31,
        29,
    ),
    "all workers are dead": Trouble("WorkersGone", {"celery_workers": "2x9 0x80"}, 31, 29),
    "one of two workers is dead": Trouble("WorkersMissing", {"celery_workers": "2x9 1x80"}, 26, 24),
    "the workers take no task": Trouble("QueueGrows", {'celery_queue_length{queue="default"}': "0 1+1x89"}, 40, 30),
    "the workers' connection to Redis is dead": Trouble(
        "BrokerDown", {"celery_broker_up": "1x9 0x80", "celery_workers": "2x9 _x80"}, 12, 10
    ),
    "Redis is dead": Trouble("BrokerDown", {"redis_up": "1x9 0x80"}, 12, 10),
    "Redis is nearly full": Trouble("BrokerMemory", {"redis_memory_used_bytes": "17e7x90"}, 6, 4),
    "Postgres is dead": Trouble("DatabaseDown", {"pg_up": "1x9 0x80"}, 12, 10),
    "Postgres has nearly all its clients": Trouble(
        "DatabaseConnections", {'pg_stat_activity_count{datname="mlflow"}': "125x90"}, 6, 4
    ),
    "a disk of the host fills up": Trouble(
        "DiskFillsUp", {'node_filesystem_avail_bytes{mountpoint="/disks/docker"}': "50e9x9 14e9x80"}, 21, 19
    ),
    "a disk of the host is full": Trouble(
        "DiskFull", {'node_filesystem_avail_bytes{mountpoint="/disks/docker"}': "50e9x9 4e9x80"}, 12, 10
    ),
    "the volume has a tenth left": Trouble("VolumeFillsUp", {"retrain_volume_free_bytes": "49e9x90"}, 11, 9),
    "the volume has space for two runs": Trouble(
        "VolumeFillsUp", {"retrain_volume_free_bytes": "2e9x90", "retrain_volume_limit_bytes": "10e9x90"}, 11, 9
    ),
    "the volume is full": Trouble("VolumeFull", {"retrain_volume_free_bytes": "200e9x9 9e8x80"}, 12, 10),
    "the volume is EFS, and has no limit": Trouble(
        "VolumeWithoutLimit",
        {"retrain_volume_limit_bytes": f"{2**63}x90", "retrain_volume_free_bytes": f"{2**63}x90"},
        11,
    ),
    "the host's memory is used": Trouble("MemoryLow", {"node_memory_MemAvailable_bytes": "1e9x90"}, 6, 4),
    "the kernel kills a process": Trouble("OutOfMemory", {"node_vmstat_oom_kill": "3x9 4x80"}, 12, 60),
    "a service fails again and again": Trouble(
        "ServiceRestarts", {'process_start_time_seconds{job="redis"}': "1e9+10x60"}, 10, 3
    ),
    "Redis fails again and again": Trouble("ServiceRestarts", {"redis_start_time_seconds": "1e9+10x60"}, 10, 3),
    "the watch cannot deliver": Trouble("WatchCannotDeliver", {"retrain_watch_delivers": "1x9 0x80"}, 16, 14),
    "the watch does not answer": Trouble(
        "WatchCannotDeliver", {"retrain_watch_delivers": "1x9 _x80", 'up{job="watch"}': "1x9 0x80"}, 20, 8
    ),
    "a message is refused": Trouble(
        "MessagesRefused", {'retrain_watch_messages_refused_total{channel="#ours"}': "1x9 2x80"}, 12, 60
    ),
    "a target is down": Trouble("TargetDown", {'up{job="redis"}': "1x9 0x80"}, 16, 14),
}


def firing(series: dict[str, str | None], at: int, folder: Path) -> set[str]:
    """The alerts that fire at a minute, by `promtool test rules`."""
    names = [rule["alert"] for rule in ALERTS]
    # promtool has no output of values: a test that expects none fails and names what it got.
    wanted = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{at}m", "exp_samples": []}
    given = [{"series": name, "values": values} for name, values in series.items() if values is not None]
    test = {"interval": "1m", "input_series": given, "promql_expr_test": [wanted]}
    file = folder / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(
        [program("promtool"), "test", "rules", file], capture_output=True, text=True, check=False, timeout=60
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 or "got:" in said, said
    return {name for name in names if f'alertname="{name}"' in said}


@pytest.mark.parametrize("trouble", [pytest.param(trouble, id=name) for name, trouble in TROUBLES.items()])
def test_an_alert_fires_on_its_trouble_alone_and_not_before_its_time(trouble: Trouble, tmp_path: Path) -> None:
    assert firing(ORDINARY | trouble.series, trouble.fires_at, tmp_path) == {trouble.alert}
    if trouble.quiet_at:
        assert firing(ORDINARY | trouble.series, trouble.quiet_at, tmp_path) == set()


@pytest.mark.parametrize("minute", [1, 8, 16, 31, 45, 89])
def test_no_alert_fires_on_an_ordinary_day(minute: int, tmp_path: Path) -> None:
    assert firing(ORDINARY, minute, tmp_path) == set()


@pytest.mark.parametrize("minute", [16, 28])
def test_a_release_that_waits_for_running_stages_as_long_as_it_may_is_no_alert(minute: int, tmp_path: Path) -> None:
    waits = {
        "celery_workers": "2x9 0x17 2x80",  # 15 minutes to stop, then their start
        'celery_queue_length{queue="default"}': "0x9 3x17 0x80",
        "airflow_scheduler_heartbeat": "0+12x24 288x2 0+12x80",
        "celery_broker_up": "1x90",
    }
    assert firing(ORDINARY | waits, minute, tmp_path) == set()


def test_nothing_is_said_of_airflow_while_its_exporter_is_down(tmp_path: Path) -> None:
    silent = {name: None for name in ORDINARY if name.startswith("airflow_")}
    assert firing(ORDINARY | silent | {'up{job="airflow"}': "0x90"}, 20, tmp_path) == {"TargetDown"}


def test_tasks_of_a_paused_dag_that_wait_while_nothing_runs_are_no_alert(tmp_path: Path) -> None:
    paused = {SCHEDULED: "2x90", "airflow_executor_running_tasks": "0x90"}
    assert firing(ORDINARY | paused, 60, tmp_path) == set()


def test_nothing_is_said_of_the_workers_while_the_broker_is_down(tmp_path: Path) -> None:
    down = {"celery_broker_up": "0x90", "celery_workers": None, 'celery_queue_length{queue="default"}': None}
    assert firing(ORDINARY | down, 40, tmp_path) == {"BrokerDown"}


def test_a_redis_without_a_limit_of_its_memory_is_not_full(tmp_path: Path) -> None:
    assert firing(ORDINARY | {"redis_memory_max_bytes": "0x90"}, 30, tmp_path) == set()


def test_every_alert_is_tried() -> None:
    assert {trouble.alert for trouble in TROUBLES.values()} == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_broken_what_that_means_for_the_days_and_where_to_look(rule: dict[str, Any]) -> None:
    assert rule["annotations"].keys() == {"summary", "effect", "look"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert len(rule["annotations"]["summary"]) <= 120, "the lock screen of a phone shows no more"
    assert not rule["annotations"]["summary"].endswith("."), "it is a title"


def test_the_page_of_the_monitoring_has_a_row_for_each_alert_and_no_other() -> None:
    page = (ROOT / "infra" / "docs" / "monitoring.md").read_text()
    section = page.partition("## The alerts")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip(" `") for line in section.splitlines() if line.startswith("| `")]
    assert rows == [rule["alert"] for rule in ALERTS]
