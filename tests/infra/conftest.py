"""Fixtures of the tests of the local stack. Run them as `.local/envs/servers/bin/pytest tests/infra`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import ROOT, SlackServer, free_ports
from stack_model import Ports, Secrets, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack that is not running, with its own state folder, free ports and new secrets."""
    return Stack(ROOT, tmp_path / "state", Ports(*free_ports(6)), Secrets.generate())


@pytest.fixture(scope="session")
def slack_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackServer]:
    with SlackServer(tmp_path_factory.mktemp("slack")) as server:
        yield server


@pytest.fixture
def slack(slack_process: SlackServer) -> SlackServer:
    """A running stand-in without messages or faults."""
    slack_process.control("reset", {})
    return slack_process
