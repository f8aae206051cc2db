"""An image registry and an AWS account with secrets, as a host has them, on the loopback interface. Each is ended by its id."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import images
import requests
from days import docker
from engine import pulls, unpacked
from loopback import free_ports
from running_stack import ROOT, wait_until

_REGISTRY = "registry:2.8.3"
_MOTO = ROOT / ".local" / "envs" / "moto" / "bin" / "moto_server"


@contextmanager
def registry(state: Path, folder: Path) -> Iterator[str]:
    """The address of a real registry (distribution): its own image, or Debian's package if no image can be pulled."""
    (port,) = free_ports(1)
    if pulls(images.docker(), _REGISTRY):
        container = docker("run", "--detach", "--rm", f"--publish=127.0.0.1:{port}:5000", _REGISTRY)
        try:
            wait_until(lambda: _answers(f"http://127.0.0.1:{port}/v2/"), 60, "the registry does not answer", every=0.2)
            yield f"127.0.0.1:{port}"
        finally:
            docker("stop", container)
        return
    program = unpacked("docker-registry", "bookworm", state) / "usr" / "bin" / "docker-registry"
    settings = folder / "registry.yml"
    settings.write_text(
        f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {folder}/images}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: only-here}}\n"
    )
    with _serving([program, "serve", settings], f"http://127.0.0.1:{port}/v2/", folder / "registry.log", os.environ):
        yield f"127.0.0.1:{port}"


@contextmanager
def account(folder: Path) -> Iterator[str]:
    """The address of an account's services: moto."""
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    with _serving([_MOTO, "-H", "127.0.0.1", "-p", str(port)], f"{address}/moto-api/", folder / "account.log", {}):
        yield address


@contextmanager
def _serving(command: list[object], answers_at: str, log: Path, variables: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=said, stderr=subprocess.STDOUT, env=dict(variables)
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        return _answers(answers_at)

    try:
        wait_until(answers, 60, f"no server answers at {answers_at}", every=0.2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
