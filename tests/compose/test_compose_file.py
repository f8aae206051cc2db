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
