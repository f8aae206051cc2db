"""The programs of the machinery of the tests: how each is started, and what it reads."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from loopback import ROOT
from monitoring_programs import alertmanager, libraries, program
from slack_standin.running import Standin

MB = 2**20
LIMIT = 50 * MB  # of the volume
NOBODY = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None  # Postgres does not run as root
# Each target by the name of its job in the deployment's prometheus.yml.
TARGETS = {
    "watch": "watch",
    "celery": "celery",
    "redis": "redis-exporter",
    "postgres": "postgres-exporter",
    "host": "host",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
}
_MONITORING = ROOT / "infra" / "monitoring"
_PYTHON = ROOT / ".venv" / "bin" / "python"


@dataclass(frozen=True)
class Place:
    """Where the machinery is. `disk` and `volume` are file systems of their own: the host's disk, and the volume of the runs."""

    folder: Path
    slack: Standin
    disk: Path
    volume: Path
    data: Path  # of Postgres
    ports: Mapping[str, int]

    def at(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"


@dataclass(frozen=True)
class Start:
    """How a program is started. `executable` is its file, where that has another name than the program."""

    command: list[str | Path]
    variables: Mapping[str, str] = field(default_factory=dict)
    executable: str | None = None
    user: int | None = None


def _redis(place: Place) -> Start:
    command: list[str | Path] = [
        "redis-server",
        "--port",
        str(place.ports["redis"]),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ]
    return Start(command, libraries("redis-server"), program("redis-server"))


def _worker(name: str) -> Callable[[Place], Start]:
    def start(place: Place) -> Start:
        command = [_PYTHON, "-m", "celery", f"--broker=redis://{place.at('redis')}/0", "worker", "--pool=solo"]
        return Start([*command, "--queues=default", f"--hostname={name}@here"])

    return start


def _celery_exporter(place: Place) -> Start:
    (place.folder / "broker_url").write_text(f"redis://{place.at('redis')}/0")
    variables = {
        "CELERY_EXPORTER_BROKER_FILE": str(place.folder / "broker_url"),
        "CELERY_EXPORTER_HOST": "127.0.0.1",
        "RETRAIN_WORKERS": "2",
    }
    return Start([_PYTHON, ROOT / "infra" / "docker" / "celery_exporter.py", str(place.ports["celery"])], variables)


def _redis_exporter(place: Place) -> Start:
    command = [program("prometheus-redis-exporter"), f"-redis.addr=redis://{place.at('redis')}", "-config-command=-"]
    return Start([*command, "-connection-timeout=2s", f"-web.listen-address={place.at('redis-exporter')}"])


def _postgres_server(place: Place) -> Start:
    port = str(place.ports["postgres"])
    command: list[str | Path] = [
        postgres("postgres"),
        "-D",
        place.data,
        "-k",
        place.data,
        "-p",
        port,
        "-h",
        "127.0.0.1",
    ]
    return Start(command, user=NOBODY)


def _postgres_exporter(place: Place) -> Start:
    variables = {"DATA_SOURCE_URI": f"{place.at('postgres')}/postgres?sslmode=disable", "DATA_SOURCE_USER": "monitor"}
    command = [program("prometheus-postgres-exporter"), f"--web.listen-address={place.at('postgres-exporter')}"]
    return Start([*command], variables)


def _node_exporter(place: Place) -> Start:
    """It sees `disk` alone. Prometheus' patterns have no negation, so the others are named."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    mounted = {line.split()[1].replace("\\040", " ") for line in lines} - {str(place.disk)}
    others = "|".join(f"{mount.lstrip('/')}$" for mount in sorted(mounted))
    command = [program("prometheus-node-exporter"), f"--web.listen-address={place.at('host')}"]
    command += ["--collector.disable-defaults", "--collector.filesystem", "--collector.vmstat"]
    command += [
        "--collector.filesystem.fs-types-exclude=^proc$",
        f"--collector.filesystem.mount-points-exclude=^/({others})",
    ]
    return Start([*command])


def _watch(place: Place) -> Start:
    pipelines = place.folder / "pipelines"
    pipelines.mkdir(exist_ok=True)
    text = (ROOT / "dags" / "pipelines" / "trip_duration.yaml").read_text()
    small = text.replace("min_free_disk_mb: 1024", "min_free_disk_mb: 8")
    (pipelines / "trip_duration.yaml").write_text(small)
    buckets = ("RETRAIN_REPOSITORY", "RETRAIN_RAW_BUCKET", "RETRAIN_STORE_BUCKET", "RETRAIN_LEDGER_BUCKET")
    variables = {
        "PYTHONPATH": str(ROOT / "plugins"),
        "RETRAIN_HOME": str(place.volume),
        "RETRAIN_HOME_LIMIT_GB": str(LIMIT / 10**9),
        "RETRAIN_PIPELINES": str(pipelines),
        "RETRAIN_ALERTS_PORT": str(place.ports["watch"]),
        "RETRAIN_SLACK_TOKEN": place.slack.token,
        "RETRAIN_SLACK_API_URL": f"{place.slack.url}/api/",
        "RETRAIN_SLACK_CHANNEL": "#retrain-alerts",
        **dict.fromkeys(buckets, "none"),
    }
    return Start([_PYTHON, "-m", "retrain.alerts.watch"], variables)


def _prometheus(place: Place) -> Start:
    """The deployment's configuration and rules, without their waiting times and long windows."""
    config = yaml.safe_load((_MONITORING / "prometheus" / "prometheus.yml").read_text())
    # Five seconds, for some wait for a server that does not answer.
    config["global"] = {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "1s"}
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [place.at("alertmanager")]
    jobs = [job for job in config["scrape_configs"] if job["job_name"] in TARGETS]
    for job in jobs:
        job["static_configs"][0]["targets"] = [place.at(TARGETS[job["job_name"]])]
    config["scrape_configs"] = jobs
    rules = yaml.safe_load((_MONITORING / "prometheus" / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
            rule["expr"] = rule["expr"].replace("[15m]", "[20s]")
    (place.folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    file = place.folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    command = [program("prometheus"), f"--config.file={file}", f"--web.listen-address={place.at('prometheus')}"]
    return Start([*command, f"--storage.tsdb.path={place.folder}/tsdb"])


def _alertmanager(place: Place) -> Start:
    """The deployment's configuration and texts, sent to the stand-in after seconds."""
    slack = place.slack
    config = yaml.safe_load((_MONITORING / "alertmanager" / "alertmanager.yml").read_text())
    (place.folder / "webhook").write_text(f"{slack.url}/services/T0RETRAIN/B0RETRAIN/{slack.token}")
    config["receivers"][0]["slack_configs"][0]["api_url_file"] = str(place.folder / "webhook")
    config["route"] |= {"group_wait": "3s", "group_interval": "3s"}
    for name in config["templates"]:
        shutil.copy(_MONITORING / "alertmanager" / name, place.folder)
    file = place.folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    command = [*alertmanager(), f"--config.file={file}", "--cluster.listen-address="]
    command += [f"--web.listen-address={place.at('alertmanager')}", f"--storage.path={place.folder}/alertmanager"]
    return Start([*command])


def postgres(name: str) -> Path:
    """A program of Postgres. Skips the test if it is not here."""
    found = [*Path("/usr/lib/postgresql").glob(f"*/bin/{name}")]
    if not found:
        pytest.skip("NOT TRIED: there is no Postgres below /usr/lib/postgresql")
    return found[0]


PROGRAMS: Mapping[str, Callable[[Place], Start]] = {
    "redis": _redis,
    "postgres": _postgres_server,
    "worker-1": _worker("worker-1"),
    "worker-2": _worker("worker-2"),
    "celery": _celery_exporter,
    "redis-exporter": _redis_exporter,
    "postgres-exporter": _postgres_exporter,
    "host": _node_exporter,
    "watch": _watch,
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
}
