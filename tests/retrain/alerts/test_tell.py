"""What leaves a task: the signal of its end, without secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout

from retrain.alerts.callbacks import Failed
from retrain.alerts.outbox import Outbox
from retrain.alerts.signal import Signal
from retrain.errors import Cause
from retrain.results import Resolved
from retrain.run.partition import MACRO
from retrain.run.run_spec import RunSpec

ROOT = Path(__file__).resolve().parents[3]
SECRET = "7Qm2xV9pLw4RzT6n"
RESOLVED = Resolved.of(RunSpec("taxi", "2020-03-17", "v1.2.0", "c" * 40, "d" * 64), "scheduled", "daily")


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    monkeypatch.setenv("RETRAIN_ALERTS", str(tmp_path))
    return Outbox(tmp_path / "outbox")


def failed(error: BaseException | None, limit: timedelta | None = None) -> None:
    """Call what Airflow calls with what a task has ended with."""
    ti = SimpleNamespace(
        task_id="reproduce",
        run_id="scheduled__2020-03-18T06:00:00+00:00",
        try_number=3,
        log_url="https://airflow.example.org/log",
        task=EmptyOperator(task_id="reproduce", execution_timeout=limit),
        xcom_pull=lambda task_ids: RESOLVED.to_json() if task_ids == "resolve_run" else None,
    )
    day = datetime(2020, 3, 17, 6, tzinfo=UTC)
    context: Any = {
        "dag": SimpleNamespace(dag_id="taxi", user_defined_macros={MACRO: lambda params, _run: params["partition"]}),
        "ti": ti,
        "exception": error,
        "params": {"partition": "2020-03-17"},
        "dag_run": SimpleNamespace(run_type="scheduled", run_id=ti.run_id, data_interval_start=day),
        "data_interval_start": day,
    }
    Failed("taxi")(context)


def told(outbox: Outbox) -> Signal:
    ((_, signal),) = outbox.take()
    return signal


@pytest.mark.parametrize("before", range(1200 - len(SECRET), 1201, 3))
def test_a_secret_that_the_limit_of_the_evidence_would_cut_in_two_is_removed(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    monkeypatch.setenv("STORE_PASSWORD", SECRET)
    failed(ValueError("x" * (before - len("ValueError: ")) + SECRET + "y" * 100))
    evidence = told(outbox).facts["evidence"]
    assert SECRET[:3] not in evidence
    assert len(evidence) <= 1200


def test_a_task_that_ran_into_its_limit_says_so_with_the_limit_and_blames_nobody(outbox: Outbox) -> None:
    with pytest.raises(AirflowTaskTimeout) as ended, timeout(0.01):
        Event().wait(30)
    failed(ended.value, timedelta(minutes=150))
    signal = told(outbox)
    facts = signal.facts
    assert (signal.partition, facts["release"]) == ("2020-03-17", "v1.2.0")
    assert facts["evidence"].startswith("reproduce ran longer than its limit of 150 minutes")
    assert facts["cause"] == Cause.UNKNOWN
    assert set(facts) == {*["cause", "evidence", "stage", "next", "task", "tries", "dag_run", "log_url", "release"]}


FETCHES_AND_FAILS = """
from airflow.sdk import BaseHook
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step
from retrain.alerts.tell import tell
password = BaseHook.get_connection("vault").password
facts = {"evidence": f"login as {password} was refused", "tried": [{"with": f"<{password}>"}]}
tell(Signal("id", "2020-03-18T06:00:00+00:00", Step.TROUBLE, "taxi", Kind.TASK_FAILED, "push", facts=facts))
"""


def test_a_password_that_only_airflow_s_secrets_backend_knew_is_removed(outbox: Outbox, tmp_path: Path) -> None:
    connections = tmp_path / "connections.json"
    connections.write_text(json.dumps({"vault": {"conn_type": "http", "host": "vault", "password": SECRET}}))
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT / "plugins"),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(connections)}),
        "RETRAIN_ALERTS": str(tmp_path),
    }
    subprocess.run([sys.executable, "-c", FETCHES_AND_FAILS], env=environment, check=True, timeout=60)
    signal = told(outbox)
    assert SECRET not in signal.to_json()
    assert signal.facts == {"evidence": "login as [redacted] was refused", "tried": [{"with": "<[redacted]>"}]}
