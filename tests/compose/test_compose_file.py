"""Rules for the compose file, checked on its text; no engine is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow_configuration import airflow_variables
from health import OLDEST_HEARTBEAT
from programs import plan_programs
from running_stack import ROOT
from secret_files import READERS, SecretsError, make_secrets
from stack_model import Ports, Secrets, Stack

TEXT = (ROOT / "docker-compose.airflow.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
STAY = {name: service for name, service in SERVICES.items() if service["restart"] != "no"}
each = pytest.mark.parametrize("name", SERVICES)


@each
def test_a_service_can_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert "privileged" not in service
    # Our images set their user themselves; public images get it here.
    assert service["image"].startswith("${RETRAIN_") or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])


@pytest.mark.parametrize("name", STAY)
def test_a_service_restarts_and_has_a_health_check(name: str) -> None:
    assert STAY[name]["restart"] == "unless-stopped"
    assert STAY[name]["healthcheck"]["test"]


@each
def test_an_image_is_pinned_and_can_be_another(name: str) -> None:
    image = re.fullmatch(r"\$\{[A-Z_]+_IMAGE:-[a-z0-9./_-]+:([^}]+)\}", SERVICES[name]["image"])
    assert image
    assert image[1] != "latest"


@each
def test_ports_are_published_on_the_loopback_unless_a_setting_says_otherwise(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith(("${RETRAIN_BIND:-127.0.0.1}:", "127.0.0.1:"))


def test_only_pages_for_people_are_published_and_a_worker_can_have_siblings() -> None:
    published = {
        name for name, service in SERVICES.items() if "ports" in service and "local" not in service.get("profiles", ())
    }
    assert published == {"airflow-api-server", "mlflow", "alerts", "prometheus", "alertmanager", "grafana"}
    assert not {"container_name", "ports", "hostname"} & SERVICES["airflow-worker"].keys()


def test_every_service_waits_until_the_services_that_it_needs_are_healthy() -> None:
    for name, service in SERVICES.items():
        for needed, condition in dict(service.get("depends_on") or {}).items():
            wanted = "service_healthy" if needed in STAY else "service_completed_successfully"
            assert condition == {"condition": wanted}, f"{name} -> {needed}"


def test_every_secret_is_made_for_one_reader_and_no_other(tmp_path) -> None:
    assert set(yaml.safe_load(TEXT)["secrets"]) == READERS.keys() - {"admin_password"}
    files = make_secrets(tmp_path / "secrets", local=True)
    first = {name: files.read(name) for name in READERS}
    assert {oct((files.folder / name).stat().st_mode & 0o777) for name in READERS} <= {"0o600", "0o444"}
    assert oct(files.folder.stat().st_mode & 0o777) == "0o700"
    make_secrets(tmp_path / "secrets", local=True)
    assert {name: files.read(name) for name in READERS} == first, "a second start keeps them"


def test_a_secret_that_only_others_can_issue_is_asked_for_by_name(tmp_path) -> None:
    with pytest.raises(SecretsError, match="slack_token and slack_webhook"):
        make_secrets(tmp_path / "secrets", local=False)


def test_the_file_holds_no_secret() -> None:
    for service in SERVICES.values():
        for variable, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|_KEY", variable):
                assert (
                    "/run/secrets/" in str(value)
                    or variable.startswith("AIRFLOW__SECRETS__")
                    or variable.endswith("_FILE")
                ), variable


def test_the_watch_answers_prometheus_by_the_name_that_it_asks_for() -> None:
    jobs = yaml.safe_load((ROOT / "infra/monitoring/prometheus/prometheus.yml").read_text())["scrape_configs"]
    (target,) = next(job for job in jobs if job["job_name"] == "watch")["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert f"-{host}}}" in SERVICES[host]["environment"]["RETRAIN_ALERTS_ALLOWED_HOSTS"]
    assert SERVICES[host]["ports"][0].endswith(f":{port}")


@pytest.mark.parametrize(("workers", "concurrency", "slots"), [(2, 2, "4"), (5, 3, "15")])
def test_the_scheduler_sends_as_many_tasks_as_the_workers_have_slots(
    tmp_path: Path, workers: int, concurrency: int, slots: str
) -> None:
    done = _scheduler(tmp_path, workers, concurrency)
    assert done.stdout.split() == ["scheduler", "--skip-serve-logs", slots]
    assert SERVICES["airflow-worker"]["deploy"]["replicas"] == "${RETRAIN_WORKERS:-2}"
    assert SERVICES["airflow-scheduler"]["environment"]["RETRAIN_WORKERS"] == "${RETRAIN_WORKERS:-2}"
    assert "PARALLELISM" not in TEXT.replace("AIRFLOW__CORE__PARALLELISM=", ""), "a second setting could differ"


def test_a_scheduler_without_workers_does_not_start_because_a_parallelism_of_0_is_no_limit(tmp_path: Path) -> None:
    done = _scheduler(tmp_path, 0, 2)
    assert done.returncode == 78
    assert "RETRAIN_WORKERS" in done.stderr
    assert done.stdout == ""


def _scheduler(folder: Path, workers: int, concurrency: int) -> subprocess.CompletedProcess[str]:
    """The scheduler's command, with a program `airflow` that says its arguments and its parallelism."""
    program = folder / "airflow"
    program.write_text('#!/bin/sh\necho "$@" "$AIRFLOW__CORE__PARALLELISM"\n')
    program.chmod(0o755)
    variables = {"RETRAIN_WORKERS": str(workers), "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(concurrency)}
    command = [word.replace("$$", "$") for word in SERVICES["airflow-scheduler"]["command"]]
    path = f"{folder}:{os.environ['PATH']}"
    return subprocess.run(command, env=variables | {"PATH": path}, capture_output=True, text=True, check=False)


def test_every_limit_of_a_running_task_is_longer_than_five_minutes_without_the_api_server() -> None:
    away = 300
    kubernetes = yaml.safe_load((ROOT / "infra/docs/kubernetes/values.yaml").read_text())["env"]
    local = airflow_variables(Stack(ROOT, Path("/state"), Ports(), Secrets.generate()))
    for variables in (
        SERVICES["airflow-worker"]["environment"],
        {each["name"]: each["value"] for each in kubernetes},
        local,
    ):
        heartbeats = re.sub(
            r"\$\{\w+:-(\d+)\}", r"\1", str(variables["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"])
        )
        # The scheduler needs one heartbeat after the outage, and a cold api-server takes up to 85 s for it.
        assert int(heartbeats) >= away + 85
        # tenacity waits at least a second, and on average half of the longest wait.
        waits = int(variables["AIRFLOW__WORKERS__EXECUTION_API_RETRIES"]) - 1
        assert waits * (1 + int(variables["AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX"])) / 2 >= 1.3 * away
        # Airflow renews a token at the first request after four fifths of its life.
        assert int(variables["AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME"]) / 5 >= away + 85


def test_a_task_that_waits_is_sent_again_after_a_deployment_and_never_failed() -> None:
    variables = SERVICES["airflow-scheduler"]["environment"]
    minutes = re.fullmatch(r"\$\{AIRFLOW_WORKER_STOP:-(\d+)m\}", SERVICES["airflow-worker"]["stop_grace_period"])
    assert minutes
    timeout = int(variables["AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"])
    assert timeout > int(minutes[1]) * 60
    assert timeout * int(variables["AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES"]) > 365 * 86400


def test_a_worker_has_no_secret_of_airflow_s_database_tokens_or_pages() -> None:
    worker = SERVICES["airflow-worker"]
    assert worker["secrets"] == ["broker_url", "connections.json", "aws_credentials", "git_credentials"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name.startswith("airflow-") or name == "alerts"])
def test_a_service_is_given_each_secret_that_its_settings_name(name: str) -> None:
    service = SERVICES[name]
    said = json.dumps([service["environment"], service["command"]])
    named = set(re.findall(r"/run/secrets/([\w.]+)", said))
    assert named <= set(service["secrets"])


def test_the_page_runs_the_doctor_in_containers_that_have_what_it_asks_with() -> None:
    page = (ROOT / "infra/docs/first-deployment.md").read_text()
    runs = dict(re.findall(r"retrain-([\w-]+)-1 python -m retrain (?:--airflow \S+ )?doctor(.*)\n", page)[:3])
    assert runs == {"airflow-api-server": "", "alerts": "", "airflow-scheduler": " --only secrets --only slots"}
    needed = {
        "airflow-api-server": {"connections.json", "aws_credentials", "git_credentials", "watch_password"},
        "alerts": {"slack_token", "aws_credentials"},
        "airflow-scheduler": {"broker_url"},
    }
    assert all(needed[name] <= set(SERVICES[name]["secrets"]) for name in runs)


def test_results_of_tasks_are_kept_in_redis_and_not_in_airflow_s_database() -> None:
    for name in ("airflow-scheduler", "airflow-worker"):
        variables = SERVICES[name]["environment"]
        prefix = "sed s/^/retrain.airflow.celery_results.PolledResults+/ "
        said = variables["AIRFLOW__CELERY__RESULT_BACKEND_CMD"]
        assert said == prefix + variables["AIRFLOW__CELERY__BROKER_URL_CMD"].removeprefix("cat ")


def test_redis_refuses_writes_before_its_container_is_killed_for_memory() -> None:
    words = SERVICES["redis"]["command"]
    limit, most = (
        int(re.match(r"\d+", text)[0])
        for text in (SERVICES["redis"]["mem_limit"], words[words.index("--maxmemory") + 1])
    )
    assert words[words.index("--maxmemory-policy") + 1] == "noeviction"
    assert most <= limit / 2, "the fork that rewrites the file may copy all of it"


def test_logs_of_the_dag_processor_lie_on_the_volume_of_logs() -> None:
    variables = SERVICES["airflow-dag-processor"]["environment"]
    base = variables["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]
    assert variables["AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY"].startswith(f"{base}/")
    assert any(volume.endswith(f":{base}") for volume in SERVICES["airflow-dag-processor"]["volumes"])


def test_the_values_for_kubernetes_send_as_many_tasks_as_their_workers_have_slots() -> None:
    values = yaml.safe_load((ROOT / "infra/docs/kubernetes/values.yaml").read_text())
    variables = {each["name"]: each["value"] for each in values["env"]}
    slots = values["workers"]["replicas"] * int(variables["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    assert int(variables["AIRFLOW__CORE__PARALLELISM"]) == slots


def test_every_target_of_prometheus_is_a_service_and_every_service_of_the_monitoring_is_a_target() -> None:
    jobs = yaml.safe_load((ROOT / "infra/monitoring/prometheus/prometheus.yml").read_text())["scrape_configs"]
    hosts = {target.split(":")[0] for job in jobs for target in job["static_configs"][0]["targets"]}
    exporters = {name for name in SERVICES if name.endswith("-exporter")}
    assert hosts - {"127.0.0.1"} == exporters | {"alerts", "alertmanager", "grafana"}


def test_an_exporter_has_no_secret_but_its_own_and_sees_of_the_host_no_more_than_two_folders() -> None:
    secrets = {name: service.get("secrets", []) for name, service in SERVICES.items() if name.endswith("-exporter")}
    assert secrets == {
        "statsd-exporter": [],
        "node-exporter": [],
        "celery-exporter": ["broker_url"],
        "redis-exporter": ["redis_exporter.json"],
        "postgres-exporter": ["postgres_exporter_password"],
    }
    assert SERVICES["node-exporter"]["volumes"] == ["prometheus-data:/disks/docker:ro", "/usr/share:/disks/system:ro"]
    assert not {"pid", "network_mode", "privileged"} & SERVICES["node-exporter"].keys()


def test_an_exporter_waits_for_no_server_for_it_has_to_report_that_one_is_down() -> None:
    waits = {
        name: set(service.get("depends_on", ())) for name, service in SERVICES.items() if name.endswith("-exporter")
    }
    assert {name: needed for name, needed in waits.items() if needed} == {
        "postgres-exporter": {"postgres-monitor-role"}  # of the first start; later ones are Docker's
    }


def test_prometheus_is_bound_by_time_and_by_size() -> None:
    flags = [argument.partition("=")[0] for argument in SERVICES["prometheus"]["command"]]
    assert {"--storage.tsdb.retention.time", "--storage.tsdb.retention.size"} <= set(flags)


def test_the_passwords_of_the_exporters_are_those_of_their_servers(tmp_path) -> None:
    files = make_secrets(tmp_path / "secrets", local=True)
    assert files.read("postgres_exporter_password") == files.read("monitor_database_password")
    assert json.loads(files.read("redis_exporter.json")) == {"redis://redis:6379": files.read("redis.conf").split()[1]}
    assert "--redis.addr=redis://redis:6379" in SERVICES["redis-exporter"]["command"]


def test_the_dashboard_is_provisioned_with_a_source_that_is_there() -> None:
    grafana = ROOT / "infra" / "monitoring" / "grafana"
    sources = yaml.safe_load((grafana / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((grafana / "provisioning/dashboards/files.yml").read_text())["providers"]
    assert f"./infra/monitoring/grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    dashboard = json.loads((grafana / "dashboards/retrain.json").read_text())
    panels = dashboard["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"] for source in sources}
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].endswith("/retrain.json")
    places = [
        (panel["gridPos"]["x"] + dx, panel["gridPos"]["y"] + dy)
        for panel in panels
        for dx in range(panel["gridPos"]["w"])
        for dy in range(panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places), "two panels overlap"


def test_a_release_made_beside_the_api_is_noted_in_the_ledger_with_the_workers_role() -> None:
    commands = SERVICES["airflow-api-server"]["environment"]["RETRAIN_COMMANDS_PROFILE"]
    assert commands == SERVICES["airflow-worker"]["environment"]["AWS_PROFILE"]


def test_the_cleaner_of_airflow_s_database_has_no_other_secret_and_no_other_volume_than_its_result_s() -> None:
    cleaner = SERVICES["airflow-database-cleaner"]
    assert cleaner["secrets"] == ["airflow_database_url"]
    assert [volume.rpartition(":")[2] for volume in cleaner["volumes"]] == ["/var/lib/retrain"]
    assert [name for name, value in cleaner["environment"].items() if "/run/secrets/" in value] == [
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD"
    ]


def test_the_cleaner_s_health_is_the_age_of_its_heartbeat_as_in_the_local_stack() -> None:
    stack = Stack(ROOT, Path("/state"), Ports(), Secrets.generate())
    program = next(each for each in plan_programs(stack, {}) if each.name == "airflow-database-cleaner")
    assert program.heartbeat
    inside = Path("/var/lib/retrain") / program.heartbeat.relative_to("/state/retrain")
    *_, file, seconds = SERVICES["airflow-database-cleaner"]["healthcheck"]["test"]
    assert (file, float(seconds)) == (str(inside), OLDEST_HEARTBEAT)


def test_the_health_of_a_file_is_its_age(tmp_path) -> None:
    def healthy(seconds: int) -> bool:
        program = ROOT / "infra" / "docker" / "fresh_file.py"
        return subprocess.run([sys.executable, program, file, str(seconds)], check=False).returncode == 0

    file = tmp_path / "heartbeat"
    assert not healthy(60)
    file.touch()
    assert healthy(60)
    os.utime(file, (time.time() - 61, time.time() - 61))
    assert not healthy(60)
