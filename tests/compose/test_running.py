"""Real days in containers, with a worker killed in the middle of a stage, Postgres and Redis restarted, everything stopped and started.

The tests build on each other, in the order of this file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta

import images
import pytest
from conftest import STATE
from containers import Containers, await_healthy, down
from days import (
    DAY,
    PIPELINE,
    ask_prometheus,
    built_at_run_time,
    docker,
    ended,
    in_worker,
    left_behind,
    mlflow_runs,
    retrain,
    says,
    slack_messages,
    task,
    trigger,
    worker_at,
)
from quick_prometheus import quick_prometheus
from running_stack import ROOT, wait_until

pytestmark = pytest.mark.timeout(1500)
NEXT, LAST = DAY + timedelta(days=1), DAY + timedelta(days=2)


def test_a_day_ends_right_though_its_worker_was_killed_in_mid_stage(containers: Containers) -> None:
    run_id = trigger(containers, DAY)
    victim = wait_until(lambda: worker_at(containers, "train"), 600, "no training begins", every=0.2)
    docker("kill", "--signal=KILL", victim)
    assert ended(containers, run_id) == "success"
    done = task(containers, run_id, "reproduce")
    assert done["try_number"] == 2
    assert not done["hostname"].startswith(victim[:12])
    run_key = left_behind(containers, run_id, "resolve_run")["run_key"]
    assert len(mlflow_runs(containers, run_key)) == 1
    assert retrain(containers, "verify", DAY.isoformat())
    assert (
        in_worker(
            containers, "find", f"/var/lib/retrain/workspaces/{PIPELINE}", "-mindepth", "1", "-maxdepth", "1"
        ).strip()
        == ""
    )


def test_the_release_s_environment_came_with_the_worker_s_image(containers: Containers) -> None:
    assert built_at_run_time(containers) == ""


def test_a_lost_worker_is_reported_by_prometheus_through_alertmanager_in_slack(containers: Containers) -> None:
    def told() -> bool:
        return any("A worker died with a task at hand" in says(message) for message in slack_messages(containers))

    wait_until(told, 180, "Alertmanager has sent no message")


def test_postgres_and_redis_can_be_restarted_in_mid_run(containers: Containers) -> None:
    containers.start(*containers.services())  # the worker that was killed
    run_id = trigger(containers, NEXT)
    wait_until(
        lambda: worker_at(containers, "featurize") or worker_at(containers, "train"), 600, "no stage begins", every=0.2
    )
    containers.compose("restart", "redis")
    containers.compose("restart", "postgres")
    assert ended(containers, run_id) == "success"
    await_healthy(containers, "", time.monotonic())


def test_workers_that_are_told_to_stop_let_their_stage_end(containers: Containers) -> None:
    run_id = trigger(containers, LAST)
    wait_until(
        lambda: worker_at(containers, "featurize") or worker_at(containers, "train"), 600, "no stage begins", every=0.2
    )
    containers.compose("stop", "airflow-worker")
    reproduced = task(containers, run_id, "reproduce")
    assert (reproduced["state"], reproduced["try_number"]) == ("success", 1)
    containers.start(*containers.services())
    assert ended(containers, run_id) == "success"


def alert_said(containers: Containers, title: str) -> str:
    """The text of Alertmanager's message with a title, as soon as it is in Slack."""

    def found() -> str | None:
        attachments = [each for message in slack_messages(containers) for each in message.get("attachments") or ()]
        return next((each["text"] for each in attachments if each.get("title") == title), None)

    return str(wait_until(found, 120, f"no message {title!r}; alerts: {ask_prometheus(containers, 'alerts')}"))


@pytest.fixture
def _quick_alerts(containers: Containers, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Prometheus without its waiting times; afterwards all runs again, with them."""
    monkeypatch.setenv("PROMETHEUS_FILES", str(quick_prometheus(STATE / "prometheus")))
    containers.start("prometheus")
    await_healthy(containers, "", time.monotonic())
    yield
    monkeypatch.delenv("PROMETHEUS_FILES")
    containers.start(*containers.services())
    await_healthy(containers, "", time.monotonic())


@pytest.mark.usefixtures("_quick_alerts")
def test_dead_workers_a_dead_broker_and_two_dead_targets_are_reported_in_slack(containers: Containers) -> None:
    def none_fires() -> bool:
        """Apart from the worker that was killed in the first test."""
        alerts = ask_prometheus(containers, "alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"} <= {"WorkerLost"}

    wait_until(none_fires, 120, "an alert fires before anything is killed")
    containers.compose("kill", "airflow-worker", "redis-exporter", "node-exporter")
    said = alert_said(containers, "No Celery worker answers")
    assert "Queued tasks wait in Redis and none is lost" in said
    two = alert_said(containers, "host does not answer Prometheus; redis does not answer Prometheus")
    assert "the container of node-exporter:9100" in two
    assert "the container of redis-exporter:9121" in two
    containers.compose("kill", "redis")
    assert "Running stages go on and report" in alert_said(containers, "Redis does not answer")
    containers.start(*containers.services())
    wait_until(none_fires, 180, "an alert goes on")


@pytest.mark.parametrize(
    "panel",
    json.loads((ROOT / "infra/monitoring/grafana/dashboards/retrain.json").read_text())["panels"],
    ids=lambda p: p["title"],
)
def test_every_query_of_the_dashboard_has_an_answer(containers: Containers, panel: dict) -> None:
    for query in panel["targets"]:
        found = ask_prometheus(containers, "query", query=query["expr"])["result"]
        assert found, query["expr"]


def test_every_alert_rule_can_be_evaluated_and_none_fires_that_should_not(containers: Containers) -> None:
    rules = [rule for group in ask_prometheus(containers, "rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    assert {rule["name"] for rule in rules if rule["state"] == "firing"} <= {"WorkerLost"}


def test_nothing_is_lost_when_everything_is_stopped_and_started(containers: Containers) -> None:
    def known() -> dict[str, object]:
        return {
            "runs": {
                run["dag_run_id"]: run["state"]
                for run in containers.airflow.runs(PIPELINE)
                if run["dag_run_id"].startswith("test__")
            },
            "pin": retrain(containers, "pin"),
            "history": retrain(containers, "history"),
            "mlflow": mlflow_runs(containers, run_key),
        }

    run_key = left_behind(containers, f"test__{NEXT}", "resolve_run")["run_key"]
    before, told = known(), {message["ts"] for message in slack_messages(containers)}
    down(containers)
    assert docker("ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={containers.project}") == ""
    containers.start(*containers.services())
    await_healthy(containers, "", time.monotonic())
    assert known() == before
    assert told <= {message["ts"] for message in slack_messages(containers)}
    again = trigger(containers, NEXT, "again")
    assert ended(containers, again) == "success"
    assert left_behind(containers, again, "resolve_run")["run_key"] == run_key
    assert {stage["outcome"] for stage in left_behind(containers, again, "reproduce")["stages"]} == {"cached"}
    assert mlflow_runs(containers, run_key) == before["mlflow"]


@pytest.mark.usefixtures("containers")
def test_the_images_name_their_commit_and_nobody_in_them_is_root() -> None:
    for target in images.TARGETS:
        config = json.loads(docker("image", "inspect", f"retrain/{target}:local"))[0]["Config"]
        assert config["User"] == "50000:50000"
        assert len(config["Labels"]["org.opencontainers.image.revision"]) == 40
