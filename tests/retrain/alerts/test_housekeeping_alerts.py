"""A failure of the housekeeping is told in Slack: with its own impact and next step, and without a day."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ADDRESSES as VARIABLES

from retrain.alerts import incident as folding
from retrain.alerts.callbacks import Failed, Succeeded
from retrain.alerts.message import messages
from retrain.alerts.message.messages import PageAddresses
from retrain.alerts.outbox import Outbox
from retrain.alerts.watch.configuration import Configuration
from retrain.alerts.watch.settings import WatchSettings
from retrain.errors import HousekeepingError

ROOT = Path(__file__).resolve().parents[3]
ADDRESSES = PageAddresses("http://airflow", "http://mlflow", "http://runbooks")


def context(run: str, error: Exception | None = None) -> Any:
    ti = SimpleNamespace(
        task_id="clean_dvc_caches",
        run_id=run,
        try_number=2,
        log_url="http://airflow/log",
        task=SimpleNamespace(execution_timeout=None),
        xcom_pull=lambda task_ids: None,  # noqa: ARG005 - Airflow calls it by this name
    )
    dag = SimpleNamespace(dag_id="retrain_housekeeping", user_defined_macros=None)
    return {"dag": dag, "ti": ti, "exception": error, "params": {}, "dag_run": SimpleNamespace(run_type="scheduled")}


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    monkeypatch.setenv("RETRAIN_ALERTS", str(tmp_path))
    return Outbox(tmp_path / "outbox")


def taken(outbox: Outbox) -> Any:
    ((path, signal),) = outbox.take()
    path.unlink()
    return signal


def test_a_failure_and_its_end_are_one_message_that_names_no_day_and_no_model(outbox: Outbox) -> None:
    sys.path.insert(0, str(ROOT / "dags"))
    from retrain_housekeeping import WHAT_NEXT

    Failed("retrain_housekeeping", WHAT_NEXT)(
        context("monday", HousekeepingError("1 of 2 pipelines were not cleaned."))
    )
    (opened,) = folding.apply([], taken(outbox))
    text = messages.top(opened, ADDRESSES).text
    assert text.startswith("🔴 clean_dvc_caches failed · retrain_housekeeping\n")
    assert "grows until this is fixed. No model is affected." in text
    assert "a day not named" not in text
    assert "1 of 2 pipelines were not cleaned" in str(messages.top(opened, ADDRESSES).blocks)
    assert "The next run cleans what this one left; or clear `clean_dvc_caches`" in str(
        messages.top(opened, ADDRESSES).blocks
    )
    Succeeded("retrain_housekeeping")(context("tuesday"))
    end = replace(taken(outbox), at="2099-01-01T00:00:00.000+00:00")
    (ended,) = folding.apply([opened], end)
    assert not ended.open
    assert "a day not named" not in messages.top(ended, ADDRESSES).text


@pytest.mark.parametrize(
    ("default", "channel"), [("#platform", "#platform"), (None, VARIABLES["RETRAIN_SLACK_CHANNEL"])]
)
def test_it_goes_to_the_default_channel_or_else_to_the_first_pipeline_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default: str | None, channel: str
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    settings = WatchSettings.of({"RETRAIN_ALERTS": str(tmp_path), "RETRAIN_SLACK_CHANNEL": default or ""})
    configuration = Configuration(settings)
    configuration.read()
    assert configuration.channel("retrain_housekeeping") == channel
