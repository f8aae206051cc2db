"""The release's scripts with stand-ins for the services that they call: a host, AWS (moto's server), GitHub."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

import boto3
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(ROOT / "infra" / "release"),
    str(ROOT / "infra" / "aws" / "modules" / "host" / "files"),
    str(Path(__file__).parent),
]

from host_standin import HostStandin, serving  # noqa: E402


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    pause, deadline = Event(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        pause.wait(0.02)


@pytest.fixture(autouse=True)
def nobodys_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the credentials and settings of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GITHUB_", "ACTIONS_", "RETRAIN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostStandin]:
    with serving(tmp_path) as standin:
        yield standin
    with suppress(OSError):  # processes that a failed test still holds
        os.close(os.open(tmp_path / "hold", os.O_WRONLY | os.O_NONBLOCK))


@pytest.fixture
def release(host: HostStandin) -> Callable[[str], tuple[int, dict[str, Any]]]:
    """Ask the host for a release; returns its exit code and outcome."""

    def ask(tag: str) -> tuple[int, dict[str, Any]]:
        program = [sys.executable, str(ROOT / "infra" / "release" / "retrain_release.py"), tag]
        done = subprocess.run(program, env=host.environment(), capture_output=True, text=True, check=False, timeout=60)
        last = done.stdout.splitlines()[-1] if done.stdout else "{}"
        return done.returncode, json.loads(last) if last.startswith("{") else {"said": done.stderr}

    return ask


@dataclass(frozen=True)
class DeployAccount:
    """An AWS account on the loopback interface, with one document and one host."""

    url: str
    folder: Path
    document: str = "retrain-deploy"
    instance: str = "i-0123456789abcdef0"

    @cache  # noqa: B019 - one account, for as long as the tests run
    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def agent(self, **settings: Any) -> None:
        draft = self.folder / "agent.new"
        draft.write_text(json.dumps(settings))
        draft.replace(self.folder / "agent.json")


# As infra/aws creates it.
DOCUMENT = {
    "schemaVersion": "2.2",
    "parameters": {"release": {"type": "String", "allowedPattern": "^v[0-9]+\\.[0-9]+\\.[0-9]+$"}},
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "deploy",
            "inputs": {"runCommand": ["/usr/local/sbin/retrain-release '{{ release }}'"], "timeoutSeconds": "5400"},
        }
    ],
}


@pytest.fixture(scope="session")
def account_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployAccount]:
    folder = tmp_path_factory.mktemp("account")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    account = DeployAccount(f"http://127.0.0.1:{port}", folder)
    python = ROOT / ".local" / "envs" / "moto" / "bin" / "python"
    with (folder / "log").open("wb") as log:
        command = [python, str(Path(__file__).parent / "account_standin.py"), str(port), str(folder)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()[-2000:]
        with suppress(OSError), urllib.request.urlopen(f"{account.url}/moto-api/", timeout=5):
            return True
        return False

    wait_until(answers, "moto answers", 120)
    yield account
    assert process.stdin
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def account(account_server: DeployAccount, monkeypatch: pytest.MonkeyPatch) -> DeployAccount:
    """The account, emptied, with its variables in the test's environment."""
    reset = urllib.request.Request(f"{account_server.url}/moto-api/reset", method="POST")
    with urllib.request.urlopen(reset, timeout=10):
        pass
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": account_server.url,
    }.items():
        monkeypatch.setenv(name, value)
    account_server.client("ssm").create_document(
        Name=account_server.document, DocumentType="Command", Content=json.dumps(DOCUMENT), DocumentFormat="JSON"
    )
    return account_server
