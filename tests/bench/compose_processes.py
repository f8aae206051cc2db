"""Services of docker-compose.airflow.yml as processes of this machine, each with its own settings and only its own secrets."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from program_variables import common_variables, inherited_environment
from stack_model import Stack

# ${NAME:-default}, whose default may hold a pair of braces.
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+):-((?:[^{}]|\{[^{}]*\})*)\}")
_END_SECONDS = 20


@dataclass
class ComposeProcesses:
    """The running processes. `secrets` is the folder of all secrets, `settings` the compose file's variables that are set."""

    stack: Stack
    secrets: Path
    settings: Mapping[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(
        self,
        service: str,
        *,
        name: str = "",
        program: Sequence[str] = (),
        arguments: Sequence[str] = (),
        command: Sequence[str] = (),
        changes: Mapping[str, str] | None = None,
    ) -> None:
        """Start a service's command with `arguments` more.

        `name` tells two processes of a service apart, `program` replaces the command's first word and `command` all of it.
        `changes` are variables that differ from the compose file.
        """
        name = name or service
        described = self._described(service)
        variables = {key: self._inside(name, str(value)) for key, value in described.get("environment", {}).items()}
        self._give_secrets(name, described["secrets"])
        first, *others = command or described["command"]
        words = [*(program or [first]), *(self._inside(name, word) for word in (*others, *arguments))]
        self.launch(name, words, variables | dict(changes or {}))

    def launch(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> None:
        """Start any command as a process with a log file of its own."""
        log = self.stack.log_dir / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = (
            inherited_environment(os.environ) | common_variables(self.stack) | self._of_image(name) | dict(variables)
        )
        with log.open("ab") as stream:
            self.running[name] = subprocess.Popen(
                command,
                env=environment,
                cwd=self.stack.root,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, name: str) -> None:
        """End a process with its group, by SIGKILL if SIGTERM does not do it."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_all(self) -> None:
        """End all processes, the last one first."""
        for name in reversed(list(self.running)):
            self.stop(name)

    def _described(self, service: str) -> dict[str, Any]:
        described: dict[str, Any] = yaml.safe_load((self.stack.root / "docker-compose.airflow.yml").read_text())[
            "services"
        ][service]
        return described

    def _inside(self, name: str, text: str) -> str:
        """The text as compose hands it to the container, with this machine's paths and addresses for the container's."""
        text = _VARIABLE.sub(lambda found: self.settings.get(found[1], found[2]), text)
        for inside, here in {
            "$$": "$",
            "http://airflow-api-server:8080": self.stack.airflow_url,
            "/run/secrets": str(self._home(name) / "secrets"),
            "/var/lib/airflow": str(self._home(name)),
            "/var/lib/retrain": str(self.stack.state / "retrain"),
            "/var/log/airflow": str(self.stack.log_dir / "airflow"),
        }.items():
            text = text.replace(inside, here)
        return text

    def _home(self, name: str) -> Path:
        return self.stack.state / "homes" / name

    def _of_image(self, name: str) -> dict[str, str]:
        """The variables that the image sets, and addresses that keep every process on the loopback."""
        root = self.stack.root
        return {
            "PATH": f"{root / '.venv' / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(root / "plugins"),
            "AIRFLOW_HOME": str(self._home(name)),
            "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.stack.ports.airflow),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.stack.ports.execution),
            "RETRAIN_HOME": str(self.stack.state / "retrain"),
            "RETRAIN_UV": str(root / ".local" / "tools" / "bin" / "uv"),
        }

    def _give_secrets(self, name: str, names: list[str]) -> None:
        folder = self._home(name) / "secrets"
        folder.mkdir(parents=True, exist_ok=True)
        for secret in names:
            shutil.copy(self.secrets / secret, folder / secret)
