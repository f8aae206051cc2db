"""Stand-ins for the programs of a host that retrain_release.py calls: `retrain-deploy`, `docker`, and two health pages.

Everything is decided by files of one folder: `faults.json` says what goes wrong, `calls` what was asked, `pin.json` is the pin.
The pin moves by the project's own rules (retrain.run.release), so that a return is what `make rollback` makes of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_SERVICES = ("airflow-init", "airflow-api-server", "postgres", "prometheus", "alerts")


def commit_of(tag: str) -> str:
    return hashlib.sha1(tag.encode(), usedforsecurity=False).hexdigest()


@dataclass
class HostStandin:
    """The stand-in's folder, as the test uses it."""

    folder: Path
    port: int = 0

    @property
    def place(self) -> Path:
        return self.folder / "place"

    @property
    def live(self) -> str | None:
        path = self.place / "release"
        return path.read_text().strip() if path.exists() else None

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def faults(self) -> dict[str, Any]:
        path = self.folder / "faults.json"
        return json.loads(path.read_text()) if path.exists() else {}

    @property
    def pin(self) -> dict[str, Any] | None:
        path = self.folder / "pin.json"
        return json.loads(path.read_text()) if path.exists() else None

    def fail(self, **faults: Any) -> None:
        draft = self.folder / "faults.new"
        draft.write_text(json.dumps(faults))
        draft.replace(self.folder / "faults.json")

    def was(self, *tags: str) -> None:
        """Set the releases that were live and pinned, the newest last."""
        self.place.mkdir(parents=True, exist_ok=True)
        (self.place / "release").write_text(tags[-1] + "\n")
        releases = [{"tag": tag, "commit": commit_of(tag)} for tag in reversed(tags)]
        (self.folder / "pin.json").write_text(json.dumps({"live": releases[0], "previous": releases[1:]}))

    def environment(self) -> dict[str, str]:
        program = f"{sys.executable} -S -E {__file__} {self.folder}"
        return {
            "PATH": os.environ["PATH"],
            "RETRAIN_ETC": str(self.folder / "etc"),
            "RETRAIN_PLACE": str(self.place),
            "RETRAIN_DEPLOY_COMMAND": f"{program} retrain-deploy",
            "RETRAIN_DOCKER_COMMAND": f"{program} docker",
            "RETRAIN_AIRFLOW_HEALTH_URL": f"http://127.0.0.1:{self.port}",
            "RETRAIN_WATCH_HEALTH_URL": f"http://127.0.0.1:{self.port}/health",
            "RETRAIN_CHECK_SECONDS": "0.4",
            "RETRAIN_POLL_SECONDS": "0.05",
        }


@contextmanager
def serving(folder: Path) -> Iterator[HostStandin]:
    """The host with its two health pages on a port of the loopback."""
    host = HostStandin(folder)

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            faults, live = host.faults, host.live
            if self.path == "/api/v2/monitor/health":
                states = dict.fromkeys(("metadatabase", "scheduler", "triggerer", "dag_processor"), "healthy")
                if live in faults.get("airflow", []):
                    states["scheduler"] = "unhealthy"
                self.answer(200 if live else 502, {name: {"status": state} for name, state in states.items()})
            else:
                problems = {}
                if live in faults.get("watch", []):
                    problems["check"] = "channel_not_found"
                if live in faults.get("mute", []):
                    problems["slack, Slack"] = "token_expired"
                attention = {"refused ours/task_failed": "invalid_blocks"} if faults.get("attention") else {}
                document = {"well": not problems, "problems": problems, "attention": attention}
                self.answer(503 if problems else 200, document)

        def answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    host.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()


def retrain_deploy(host: HostStandin, tag: str) -> int:
    gate = host.folder / "hold"
    if gate.exists():
        (host.folder / "held").touch()
        with gate.open() as pipe:  # a FIFO: opens when the test lets go
            pipe.read()
    if tag in host.faults.get("deploy", []):
        print(f"dependency failed to start: airflow-scheduler of {tag} is unhealthy", file=sys.stderr)
        return 1
    host.place.mkdir(exist_ok=True)
    (host.place / "release").write_text(tag + "\n")
    return 0


def container(host: HostStandin, service: str) -> dict[str, Any]:
    """What `docker inspect` says of a service's container, the parts that are read."""
    unhealthy = service == "postgres" and host.live in host.faults.get("services", [])
    state: dict[str, Any] = {"Status": "running", "Health": {"Status": "unhealthy" if unhealthy else "healthy"}}
    if service == "airflow-init" or (service == "prometheus" and host.live in host.faults.get("gone", [])):
        state = {"Status": "exited", "ExitCode": 0}
    return {"Id": service, "State": state, "Config": {"Labels": {"com.docker.compose.service": service}}}


def docker(host: HostStandin, arguments: list[str]) -> int:
    if arguments[0] == "ps":
        print("\n".join(_SERVICES))
        return 0
    if arguments[0] == "inspect":
        print(json.dumps([container(host, service) for service in arguments[1:]]))
        return 0
    return retrain(host, arguments[arguments.index("retrain") + 1 :])


def refused(host: HostStandin, code: str, message: str) -> int:
    """How `python -m retrain --json` fails; `no_json`: as in older releases."""
    print(f"{code}: {message}", file=sys.stderr)
    if not host.faults.get("no_json"):
        print(json.dumps({"error": {"code": code, "message": message}}))
    return 1


def retrain(host: HostStandin, arguments: list[str]) -> int:
    sys.path.insert(0, str(ROOT / "plugins"))
    from retrain.errors import RetrainError
    from retrain.run.release import Pin, Release

    path = host.folder / "pin.json"
    words = [word for word in arguments if word in ("pin", "release", "rollback") or word.startswith("v")]
    try:
        pin = Pin.from_mapping(host.pin, "trip_duration_release") if host.pin else None
        if words[0] == "release":
            if words[1] in host.faults.get("broken", []):
                return refused(host, "ConfigurationError", "trip_duration.yaml: schedule is no cron expression")
            if words[1] in host.faults.get("pin", []):
                return refused(host, "MovedTagError", f"The tag {words[1]} has moved")
            chosen = Release(words[1], commit_of(words[1]))
            pin = pin.moved_to(chosen) if pin else Pin(chosen)
        elif pin is None:
            return refused(host, "NoPinError", "No release is pinned")
        elif words[0] == "rollback":
            pin = pin.rolled_back()
    except RetrainError as error:
        return refused(host, type(error).__name__, str(error))
    path.write_text(pin.to_json())
    if words[0] == "release" and words[1] in host.faults.get("after_pin", []):
        host.fail(watch=[words[1]])
    print(pin.to_json())
    return 0


def main(folder: str, program: str, *arguments: str) -> int:
    host = HostStandin(Path(folder))
    with (host.folder / "calls").open("a") as calls:
        calls.write(" ".join([program, *(a for a in arguments if not a.startswith("--env"))]) + "\n")
    return retrain_deploy(host, arguments[0]) if program == "retrain-deploy" else docker(host, list(arguments))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
