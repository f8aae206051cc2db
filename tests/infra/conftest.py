"""What the tests of the local stack share. They run in the servers' environment: `.local/envs/servers/bin/pytest tests/infra`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import ROOT, SlackServer, free_ports, start_slack

sys.path.insert(0, str(ROOT / "infra" / "local"))

from settings import Ports, Secrets, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """Describe a stack of its own: own state folder, ports and secrets."""
    return Stack(ROOT, tmp_path / "state", Ports(*free_ports(5)), Secrets.generate())


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[SlackServer]:
    server = start_slack(tmp_path / "slack", free_ports(1)[0])
    yield server
    server.process.terminate()
    server.process.wait(timeout=20)
