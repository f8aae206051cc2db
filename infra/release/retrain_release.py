#!/usr/bin/env python3.11
"""Bring a release to this host, or return the host to the release before: `retrain-release v1.2.0`.

The deployer's SSM document runs it on the host, where it finishes even if the deployer stops waiting. Each step may be repeated.
The release that was live before is written down first (`release.json`, removed at the end), so an interrupted release is
continued by asking for it again. It is a single file that needs only the standard library, because EC2's user data carries it to
the host.

    start -> check -> pin -> confirm        after any failure, the release before is started, pinned and checked

Settings come from the environment, else from /etc/retrain/host.env. The last line on stdout is the outcome as JSON.
Exit codes: 0 released, 1 returned to the release before, 2 stuck (a person must look), 64 not a release, 75 another is under way.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

RELEASE = re.compile(r"v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
RELEASED, RETURNED, STUCK, NO_RELEASE, BUSY = 0, 1, 2, 64, 75

# Seconds. SSM ends the command after the document's timeoutSeconds: a release and the return from it must take less.
START_SECONDS = 1800  # the images, 15 minutes for running stages, 10 until all is healthy
CHECK_SECONDS = 300
PIN_SECONDS = 180  # for all commands of one step about the pin
LONGEST_SECONDS = 2 * START_SECONDS + 3 * CHECK_SECONDS + 2 * PIN_SECONDS

_SERVER = "airflow-api-server"
_ONCE = ("airflow-init", "mlflow-init")
_COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StepError(Exception):
    """A step of the release failed; the message says what was seen."""


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


@dataclass(frozen=True)
class Journal:
    """A release under way: its target, and the state of the host before it, to which a failure returns."""

    target: str
    image_before: str | None
    pin_before: str | None
    mute_before: tuple[str, ...] = ()  # problems that kept the watch from delivering messages before this release

    @classmethod
    def read(cls, path: Path) -> Journal | None:
        if not path.exists():
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**document, "mute_before": tuple(document.get("mute_before", ()))})

    def write(self, path: Path) -> None:
        draft = path.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as stream:
            json.dump(asdict(self), stream)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)


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
        """Pin as `make release` does: a tag that moved, or that the origin does not have, is refused."""
        if self.pinned() != release:
            self._retrain("release", release)

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


def release(host: Host, target: str, journal_path: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Bring `target` to the host, or return to the release before; the `outcome` is `released`, `returned` or `stuck`."""
    journal = Journal.read(journal_path)
    if journal:
        say(f"a release of {journal.target} was interrupted; before it {journal.image_before or 'nothing'} was live")
        journal = replace(journal, target=target)
    else:
        journal = Journal(target, host.image(), None, host.mute())
    if journal.mute_before:
        say(f"the watch could not deliver messages before: {', '.join(journal.mute_before)}")
    journal.write(journal_path)
    step = "start"
    try:
        say(f"start {target}; {journal.image_before or 'nothing'} was live")
        host.start(target)
        step = "check"
        host.await_healthy(journal.mute_before)
        step = "pin"
        journal = replace(journal, pin_before=journal.pin_before or host.pinned())
        journal.write(journal_path)
        say(f"pin {target}; {journal.pin_before or 'nothing'} was pinned")
        host.pin(target)
        step = "confirm"
        if (pinned := host.pinned()) != target:
            raise StepError(f"{pinned} is pinned")
        host.await_healthy(journal.mute_before)
    except (StepError, OSError, ValueError, KeyError) as error:
        say(f"{step} failed: {error}")
        return _back(host, journal, journal_path, step, str(error), say)
    journal_path.unlink()
    return {"outcome": "released", "release": target, "before": journal.image_before}


def _back(
    host: Host, journal: Journal, path: Path, step: str, cause: str, say: Callable[[str], None]
) -> dict[str, Any]:
    outcome = {"release": journal.target, "before": journal.image_before, "failed": step, "cause": cause}
    # The journal is kept when stuck: the next release still needs to know which release was live.
    if journal.image_before is None:
        return outcome | {
            "outcome": "stuck",
            "next": "Nothing was live before. Look at the containers, then ask again.",
        }
    try:
        if journal.image_before != journal.target:
            say(f"return to {journal.image_before}")
        # Also when it is the same release: its containers may not be what `retrain-deploy` would start.
        host.start(journal.image_before)
        if journal.pin_before is not None:
            host.return_pin(journal.target, journal.pin_before)
        host.await_healthy(journal.mute_before)
    except (StepError, OSError, ValueError, KeyError) as error:
        return outcome | {"outcome": "stuck", "next": f"The return to {journal.image_before} failed too: {error}"}
    path.unlink()
    return outcome | {"outcome": "returned"}


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


def _environment() -> dict[str, str]:
    path = Path(os.environ.get("RETRAIN_ETC", "/etc/retrain")) / "host.env"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    written = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name: " ".join(shlex.split(value)) for name, value in written} | dict(os.environ)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S', time.gmtime())} {line}", flush=True)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not RELEASE.fullmatch(arguments[0]):
        print(f"{arguments} is no release. A release is a tag such as v1.2.0.", file=sys.stderr)
        return NO_RELEASE
    settings = HostSettings.of(_environment())
    settings.place.mkdir(parents=True, exist_ok=True)
    with (settings.place / "release.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another release is under way on this host.", file=sys.stderr)
            return BUSY
        outcome = release(Host(settings, lock.fileno()), arguments[0], settings.place / "release.json", _say)
    print(json.dumps(outcome), flush=True)
    return {"released": RELEASED, "returned": RETURNED}.get(outcome["outcome"], STUCK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
