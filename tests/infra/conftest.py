"""Fixtures of the tests of the local stack. Run them as `.local/envs/servers/bin/pytest tests/infra`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import ROOT, SlackServer, free_ports

# `loopback` puts the folder of the following modules on the path.
# isort: split
from browser import open_browser, set_screen, why_missing
from selenium.webdriver.chrome.webdriver import WebDriver
from stack_model import Ports, Secrets, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack that is not running, with its own state folder, free ports and new secrets."""
    return Stack(ROOT, tmp_path / "state", Ports(*free_ports(6)), Secrets.generate())


@pytest.fixture(scope="session")
def chromium() -> Iterator[WebDriver]:
    """The browser of all tests; its start takes seconds. Skips the test where there is none."""
    if missing := why_missing():
        pytest.skip(missing)
    with open_browser(900, 1200) as opened:
        yield opened


@pytest.fixture
def browser(chromium: WebDriver) -> WebDriver:
    """A browser with a light screen of 900 x 1200 pixels; a test may change it with `set_screen`."""
    set_screen(chromium, 900, 1200)
    return chromium


@pytest.fixture(scope="session")
def slack_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackServer]:
    with SlackServer(tmp_path_factory.mktemp("slack")) as server:
        yield server


@pytest.fixture
def slack(slack_process: SlackServer) -> SlackServer:
    """A running stand-in without messages or faults."""
    slack_process.control("reset", {})
    return slack_process
