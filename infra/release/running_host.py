"""The running deployment on this host, as a release sees it: what runs, how healthy it is, and which release is pinned.

It comes to the host with `retrain_release.py` and needs only the standard library.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Seconds.
START_SECONDS = 1800  # the images, 15 minutes for running stages, 10 until all is healthy
CHECK_SECONDS = 300
PIN_SECONDS = 180  # for all commands of one step about the pin

_SERVER = "airflow-api-server"
_ONCE = ("airflow-init", "mlflow-init", "postgres-monitor-role")
_COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StepError(Exception):
    """A step of the release failed; the message says what was seen."""


class BrokenPipelineError(StepError):
    """The file of the pipeline is broken in this release, so its pin cannot move; the message says what is wrong with it."""


@dataclass(frozen=True)
class HostSettings:
    """Paths, commands and addresses of this host."""

    place: Path  # the folder of `release` (the tag that is on the host), the journal and the lock
    deploy: tuple[str, ...]  # starts a release's images and compose file, and waits until they run
    docker: tuple[str, ...]
    project: str
    pipeline: str
    airflow_url: str
    watch_health_url: str
    check_seconds: float
    poll_seconds: float

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> HostSettings:
        get = environment.get
        return cls(
            place=Path(get("RETRAIN_PLACE", "/srv/retrain")),
            deploy=tuple(shlex.split(get("RETRAIN_DEPLOY_COMMAND", "/usr/local/sbin/retrain-deploy"))),
            docker=tuple(shlex.split(get("RETRAIN_DOCKER_COMMAND", "docker"))),
            project=get("RETRAIN_PROJECT", "retrain"),
            pipeline=get("RETRAIN_PIPELINE", "trip_duration"),
            airflow_url=get("RETRAIN_AIRFLOW_HEALTH_URL", "http://127.0.0.1:8080"),
            watch_health_url=get("RETRAIN_WATCH_HEALTH_URL", "http://127.0.0.1:8091/health"),
            check_seconds=float(get("RETRAIN_CHECK_SECONDS", str(CHECK_SECONDS))),
            poll_seconds=float(get("RETRAIN_POLL_SECONDS", "5")),
        )


class Host:
    """The running deployment. Each method does or reads one thing, within a time limit.

    Raises:
        StepError: in each method, when a command fails or takes too long.
    """

    def __init__(self, settings: HostSettings, lock: int) -> None:
        self._settings = settings
        self._lock = lock

    def image(self) -> str | None:
        """The release whose images were brought up last; None on a new host."""
        path = self._settings.place / "release"
        return path.read_text(encoding="utf-8").strip() or None if path.exists() else None

    def start(self, release: str) -> None:
        self._run([*self._settings.deploy, release], START_SECONDS)

    def pinned(self) -> str | None:
        """The tag that the daily runs use; None when none is pinned."""
        done = self._retrain("pin", check=False)
        if done.returncode == 0:
            return str(json.loads(done.stdout)["live"]["tag"])
        if error_code(done) == "NoPinError":
            return None
        raise StepError(f"the pin cannot be read: {_end(done.stderr)}")

    def pin(self, release: str) -> None:
        """Pin as `make release` does: a tag that moved, or that the origin does not have, is refused.

        Raises:
            BrokenPipelineError: the pipeline's file is broken.
        """
        if self.pinned() == release:
            return
        done = self._retrain("release", release, check=False)
        if done.returncode and error_code(done) == "ConfigurationError":
            raise BrokenPipelineError(f"the pin of {self._settings.pipeline} stays: {_end(done.stderr)}")
        if done.returncode:
            raise StepError(f"docker ended with exit code {done.returncode}: {_end(done.stderr or done.stdout)}")

    def return_pin(self, release: str, before: str) -> None:
        """Return the pin from `release` to `before` as `make rollback` does; do nothing if it is not on `release`."""
        if release != before and self.pinned() == release:
            self._retrain("rollback")
            if self.pinned() != before:
                self._retrain("release", before)

    def problems(self, mute_before: Sequence[str] = ()) -> list[str]:
        """Problems of the deployment, each in a few words, without the watch's problems named in `mute_before`."""
        return [*self._services(), *self._airflow(), *self._watch(mute_before)]

    def mute(self) -> tuple[str, ...]:
        """Names of the problems that keep the watch from delivering messages; empty where no watch answers."""
        try:
            return tuple(sorted(self._watch_problems()))
        except (OSError, StepError):
            return ()

    def await_healthy(self, mute_before: Sequence[str] = ()) -> None:
        deadline = time.monotonic() + self._settings.check_seconds
        while found := self.problems(mute_before):
            if time.monotonic() > deadline:
                raise StepError(f"still unhealthy after {self._settings.check_seconds:.0f} s: {'; '.join(found)}")
            time.sleep(self._settings.poll_seconds)

    def _containers(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Container id -> its service, and the engine's state of it."""
        # From the engine: the output of `compose ps` differs between versions of compose.
        listing = ("ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={self._settings.project}")
        ids = self._run([*self._settings.docker, *listing], 60).stdout.split()
        found = json.loads(self._run([*self._settings.docker, "inspect", *ids], 60).stdout) if ids else []
        return {each["Id"]: (each["Config"]["Labels"]["com.docker.compose.service"], each["State"]) for each in found}

    def _services(self) -> list[str]:
        try:
            containers = self._containers()
        except (StepError, ValueError, KeyError) as error:
            return [f"the engine does not list its containers ({error})"]
        if not containers:
            return ["no container runs"]
        return [
            f"{service} is {_said(state)}"
            for service, state in containers.values()
            if _said(state) not in ("running", "running, healthy", *(["exited 0"] if service in _ONCE else []))
        ]

    def _airflow(self) -> list[str]:
        try:
            status, text = _ask(f"{self._settings.airflow_url}/api/v2/monitor/health")
            health = json.loads(text)
            said = {name: health[name]["status"] for name in _COMPONENTS}
        except (OSError, ValueError, KeyError, TypeError) as error:
            return [f"Airflow does not report its health ({error})"]
        return [f"Airflow's {name} is {state}" for name, state in said.items() if state != "healthy" or status != 200]  # noqa: PLR2004

    def _watch(self, mute_before: Sequence[str]) -> list[str]:
        try:
            problems = self._watch_problems()
        except OSError as error:
            return [f"the watch does not answer ({error})"]
        except StepError as error:
            return [str(error)]
        new = {name: why for name, why in problems.items() if name not in mute_before}
        return [f"the watch cannot deliver messages: {name}: {why}"[:300] for name, why in new.items()]

    def _watch_problems(self) -> dict[str, str]:
        """The watch's problems that stop messages. Its `attention` list is for people and does not stop a release.

        Raises:
            OSError: the watch does not answer.
            StepError: its answer is not a health report.
        """
        status, text = _ask(self._settings.watch_health_url)
        if status == 200:  # noqa: PLR2004
            return {}
        try:
            return {str(name): str(why) for name, why in json.loads(text)["problems"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StepError(f"the watch answers {status}: {text[:200]}") from error

    def _retrain(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `python -m retrain` in the api-server's container, which has Git's credentials and Airflow's passwords."""
        container = next((key for key, (service, _) in self._containers().items() if service == _SERVER), None)
        if container is None:
            raise StepError(f"there is no container {_SERVER}")
        login = ("--env=AIRFLOW_API_USER=watch", "--env=AIRFLOW_API_PASSWORD_FILE=/run/secrets/watch_password")
        ours = ("python", "-m", "retrain", "--json", "--pipeline", self._settings.pipeline)
        address = ("--airflow", "http://127.0.0.1:8080")
        command = [*self._settings.docker, "exec", *login, container, *ours, *address, *arguments]
        return self._run(command, PIN_SECONDS / 3, check=check)

    def _run(self, command: list[str], seconds: float, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        name = Path(command[0]).name
        # The child inherits the lock: if this program is killed, the lock is held until the child has ended.
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=(self._lock,),
        ) as process:
            try:
                out, err = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired as error:
                os.killpg(process.pid, signal.SIGKILL)
                raise StepError(f"{name} took more than {seconds:.0f} s") from error
        if check and process.returncode:
            raise StepError(f"{name} ended with exit code {process.returncode}: {_end(err or out)}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def _said(state: Mapping[str, Any]) -> str:
    """A container's state in words: `running, healthy` or `exited 1`."""
    if state["Status"] == "running":
        health = state.get("Health", {}).get("Status", "")
        return f"running, {health}" if health else "running"
    return f"{state['Status']} {state['ExitCode']}"


def error_code(done: subprocess.CompletedProcess[str]) -> str | None:
    """The code of the error with which a command of ours ended, such as NoPinError; None if it names none."""
    try:
        return str(json.loads(done.stdout)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        # Older releases write only `NoPinError: …` to standard error.
        codes: list[str] = re.findall(r"^(\w+Error): ", done.stderr, re.MULTILINE)
        return codes[-1] if codes else None


def _end(text: str) -> str:
    return " ".join(text.split())[-600:] or "no output"


def _ask(url: str) -> tuple[int, str]:
    try:
        with _DIRECT.open(url, timeout=10) as answer:
            return answer.status, answer.read(20_000).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(20_000).decode(errors="replace")
