"""Real servers on free loopback ports, planned as the local stack plans its own, and waiting for them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import boto3
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

from processes import end_processes  # noqa: E402
from programs import plan_programs  # noqa: E402
from stack_model import REGION, Stack  # noqa: E402

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Poll until the condition holds; fail with `what` after the deadline."""
    pause, deadline = Event(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        pause.wait(0.05)


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on, each another."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def connections(listening: socket.socket) -> list[socket.socket]:
    """The connections that wait to be accepted by a socket that answers nobody."""
    listening.setblocking(False)
    found: list[socket.socket] = []
    with suppress(BlockingIOError):
        while True:
            found.append(listening.accept()[0])
    return found


def fetch(url: str, *, token: str = "", data: object = None, method: str | None = None) -> bytes:
    """Ask a server on the loopback, past any proxy."""
    body = None if data is None else json.dumps(data).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 - our own servers
    with _DIRECT.open(request, timeout=20) as response:
        content: bytes = response.read()
    return content


def answers(url: str) -> bool:
    try:
        fetch(url)
    except OSError:
        return False
    return True


@contextmanager
def running(stack: Stack, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """One program of the stack, from the moment it answers; it and what it started are ended by pid."""
    program = next(p for p in plan_programs(stack, os.environ) if p.name == name)
    stack.run_dir.mkdir(parents=True, exist_ok=True)
    (stack.state / name).mkdir(parents=True, exist_ok=True)
    log = stack.state / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            program.argv, env=dict(program.env), cwd=program.cwd, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: answers(program.health) or process.poll() is not None, f"{name} answers; see {log}", 180)
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        yield process
    finally:
        left = end(process.pid)
        assert not left, f"{name} left {left}"


@dataclass(frozen=True)
class Server:
    """An S3 server and an account that may do everything there."""

    name: str
    url: str
    access_key: str
    secret_key: str

    def client(self, service: str = "s3", **account: str) -> Any:
        keys = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key} | account
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)


@contextmanager
def moto(log: Path) -> Iterator[Server]:
    """The other S3 implementation: moto's server, out of infra/moto. MOTO_SERVER names another program."""
    program = os.environ.get("MOTO_SERVER") or ROOT / ".local" / "envs" / "moto" / "bin" / "moto_server"
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output)
    try:
        wait_until(lambda: answers(f"{url}/moto-api/") or process.poll() is not None, f"moto answers; see {log}", 180)
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        yield Server("moto", url, "test", "test-secret")
    finally:
        assert not end(process.pid)


def end(pid: int) -> list[psutil.Process]:
    """End a process and its descendants; gives what would not go."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    # A server waits for its clients' open connections to close; what it keeps is thrown away here anyhow.
    return end_processes(family, grace_seconds=3)


def together(programs: int, code: str, environment: Mapping[str, str], *arguments: str) -> list[Any]:
    """Run the same Python `code` in several processes at the same time; gives what each printed as JSON.

    `code` gets ready, waits for a line on its stdin, and acts: nobody starts before all are ready.
    """
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "PYTHONPATH": str(ROOT / "plugins")},
            text=True,
        )
        for _ in range(programs)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        outcomes = [child.communicate(timeout=90)[0] for child in children]
    finally:
        for child in children:
            end(child.pid)
    assert [child.returncode for child in children] == [0] * programs
    return [json.loads(outcome.splitlines()[-1]) for outcome in outcomes]
