"""The machinery without Airflow: a broker with two Celery workers, a database, the watch, and the monitoring that looks at them.

All are real processes on free ports. Prometheus and Alertmanager have the deployment's rules, texts and inhibitions; only the
addresses and the waiting times are those of a test.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from loopback import ROOT, answers, fetch, free_ports, wait_until
from machinery_programs import NOBODY, PROGRAMS, TARGETS, Place, postgres
from slack_standin.running import Standin


@dataclass
class Machinery:
    """The running processes by name, and the messages that the monitoring sends about them."""

    place: Place
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        for name in names:
            start = PROGRAMS[name](self.place)
            with (self.place.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    start.command,
                    executable=start.executable,
                    env={**start.variables, "PATH": os.environ["PATH"], "HOME": str(self.place.folder)},
                    stdout=log,
                    stderr=log,
                    user=start.user,
                )

    def kill(self, *names: str) -> None:
        """End processes as a crash does."""
        for name in names:
            process = self.running.pop(name)
            process.kill()
            process.wait()

    def stop(self) -> None:
        for name, process in self.running.items():
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)  # Postgres waits for no client
        for process in self.running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(self, query: str) -> Any:
        """What Prometheus answers to a path below its API."""
        _, body = fetch(f"http://{self.place.at('prometheus')}/api/v1/{query}")
        return json.loads(body)["data"]

    def alerts(self) -> set[str]:
        """The names of the alerts that fire or wait to."""
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"]}

    def messages(self) -> list[dict[str, Any]]:
        """Alertmanager's messages in Slack, oldest first. The watch posts there too."""
        (channel, *_) = self.place.slack.control("messages")["channels"]
        first = [attachments[0] for message in channel["messages"] if (attachments := message.get("attachments"))]
        return [attachment for attachment in first if attachment.get("footer")]

    def message(self, title: str) -> dict[str, Any]:
        """The message whose title matches a pattern, as soon as it is in Slack."""

        def arrived() -> dict[str, Any] | None:
            return next((message for message in self.messages() if re.fullmatch(title, message["title"])), None)

        try:
            wait_until(arrived, f"a message {title!r}", 90)
        except pytest.fail.Exception as error:
            titles = [message["title"] for message in self.messages()]
            raise AssertionError(f"{error}, but {titles}; these alerts fire: {self.alerts()}") from error
        found = arrived()
        assert found
        return found

    def well(self) -> bool:
        """True if every target is up, both workers answer, and no alert fires."""
        if not answers(f"http://{self.place.at('prometheus')}/-/ready"):
            return False
        up, workers = (self.ask(f"query?query={query}")["result"] for query in ("up==1", "celery_workers==2"))
        return len(up) == len(TARGETS) and bool(workers) and not self.alerts()


def run(folder: Path, slack: Standin, stack: ExitStack) -> Machinery:
    """Start everything, and wait until every target is up and no alert fires. It ends with the stack."""
    disk, volume = (_file_system(folder / name, stack) for name in ("disk", "volume"))
    # Another user's process has no access to pytest's folders.
    data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postgres-")))
    if NOBODY is not None:
        os.chown(data, NOBODY, NOBODY)
    ports = dict(zip(PROGRAMS, free_ports(len(PROGRAMS)), strict=True))
    machinery = Machinery(Place(folder, slack, disk, volume, data, ports))
    made = [postgres("initdb"), "-D", data, "--auth=trust", "-U", "postgres"]
    subprocess.run(made, check=True, capture_output=True, user=NOBODY)
    stack.callback(machinery.stop)
    machinery.start("redis", "postgres")
    wait_until(lambda: _postgres_role(machinery.place) == 0, "Postgres has the role of its exporter")
    assert _postgres_role(machinery.place) == 0, "it is safe to repeat"
    machinery.start(*(name for name in PROGRAMS if name not in machinery.running))
    wait_until(machinery.well, f"every target is up and no alert fires; the logs are in {folder}", 90)
    return machinery


def _postgres_role(place: Place) -> int:
    """Run the deployment's script; returns its exit code."""
    secrets = place.folder / "secrets"
    secrets.mkdir(exist_ok=True)
    for name in ("postgres_password", "monitor_database_password"):
        (secrets / name).write_text("it's secret")
    variables = os.environ | {"SECRETS": str(secrets), "PGHOST": "127.0.0.1", "PGPORT": str(place.ports["postgres"])}
    with (place.folder / "role.log").open("ab") as log:
        script = ["bash", ROOT / "infra" / "docker" / "postgres-monitor-role.sh"]
        return subprocess.run(script, env=variables, stdout=log, stderr=log, check=False).returncode


def _file_system(folder: Path, stack: ExitStack) -> Path:
    """A file system of 64 MB. Skips the test where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"NOT TRIED: no file system can be mounted here: {mounted.stderr.strip()}")
    stack.callback(subprocess.run, ["umount", folder], check=True)
    return folder
