"""A channel's id is asked for once: thousands of channels must not use up what Slack allows a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alerting import Standin

from retrain.alerts.errors import SlackChannelError
from retrain.alerts.watch.slack.app_token import AppToken
from retrain.alerts.watch.slack.client import SlackClient


@pytest.fixture(scope="module")
def large_workspace() -> Iterator[Standin]:
    with Standin(channels=("ours", *(f"c{number}" for number in range(450)))) as running:
        yield running


@pytest.fixture
def standin(large_workspace: Standin) -> Standin:
    large_workspace.control("reset", {})
    return large_workspace


@pytest.fixture
def slack(standin: Standin) -> SlackClient:
    return SlackClient(AppToken(standin.token), f"{standin.url}/api/", timeout=5, tries=0)


def listings(standin: Standin) -> int:
    return sum(request["method"] == "conversations.list" for request in standin.control("requests"))


def test_a_channel_is_looked_for_once_however_often_it_is_checked(standin: Standin, slack: SlackClient) -> None:
    for _ in range(3):
        slack.check("#ours")
        slack.check("c449")
    assert listings(standin) == 1  # its page holds both


def test_a_channel_that_slack_does_not_find_any_more_is_looked_for_again(standin: Standin, slack: SlackClient) -> None:
    slack.check("#ours")
    standin.control("faults", {"kind": "error", "error": "channel_not_found", "method": "conversations.info"})
    with pytest.raises(SlackChannelError, match="channel_not_found"):
        slack.check("#ours")
    slack.check("#ours")
    assert listings(standin) == 2


def test_a_name_that_no_channel_has_is_looked_for_each_time(standin: Standin, slack: SlackClient) -> None:
    for _ in range(2):
        with pytest.raises(SlackChannelError, match="channel_not_found"):
            slack.check("#new")
    standin.control("channels", {"name": "new", "state": ""})
    slack.check("#new")
    assert listings(standin) == 3
